"""`python -m benchmark bench`: speed and memory, compared with the usual way (see `naive`) and with other libraries."""
