"""The command line: its options and messages, and one file for each group of commands."""
