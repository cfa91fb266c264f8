"""The run record, and the only code that reads or writes results/."""
