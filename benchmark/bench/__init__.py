"""`python -m benchmark bench`: what the suite's own ways cost, side by side with the usual way (see `naive`)."""
