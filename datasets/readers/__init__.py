"""How bytes become columns, and which line of a file is at fault."""
