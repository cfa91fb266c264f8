"""What the runs say on each claim of the paper."""
