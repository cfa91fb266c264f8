"""The figures of one dataset."""
