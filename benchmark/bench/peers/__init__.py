"""Other libraries' SASRec compared with ours, each in an environment of its own."""
