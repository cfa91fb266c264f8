"""The paper's printed numbers and its claims, as data, and an audit that checks them against each other."""
