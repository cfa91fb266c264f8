"""`python -m benchmark COMMAND`: everything beside preparing, training and reporting, which `run_all.py` does."""

import sys

from benchmark.bench.command import main

if __name__ == "__main__":
    if sys.argv[1:2] != ["bench"]:
        sys.exit("python -m benchmark: give a command: bench")
    sys.exit(main(sys.argv[2:]))
