"""The paper's printed numbers and sentences checked against each other."""
