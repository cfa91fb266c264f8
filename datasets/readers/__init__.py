"""How bytes become rows of text, ids and timestamps, and which line of a file is at fault."""
