"""The door's arguments and messages, and one file per command."""
