"""The door to the reproduction of "Barlow Twins for Sequential Recommendation": python run_all.py --help."""

import sys

from benchmark.stopping import leave, listen

if __name__ == "__main__":
    listen(leave)
    from benchmark.cli import main  # here, for it takes seconds, and workers import this file as well

    sys.exit(main())
