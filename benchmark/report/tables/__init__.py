"""The tables of one dataset, one file each."""
