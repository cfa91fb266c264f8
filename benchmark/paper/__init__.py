"""What the paper prints and claims, as data, and the audit of it."""
