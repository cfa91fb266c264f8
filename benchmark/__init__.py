"""The harness: what is run, how one run comes about, what is kept of it, and what is reported."""
