"""One publisher's file format each, read into Interactions."""
