"""One run from its specification to its record, and the engines that execute runs."""
