"""The door to the reproduction of "Barlow Twins for Sequential Recommendation": python run_all.py --help."""

import sys

from benchmark.cli import main

if __name__ == "__main__":
    sys.exit(main())
