"""From the publishers' bytes to packed sequences."""
