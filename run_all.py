"""The door to the reproduction of "Barlow Twins for Sequential Recommendation": python run_all.py --help."""

import signal
import sys

from benchmark.stopping import leave, listen

if __name__ == "__main__":
    listen(leave)
    from benchmark.cli import main  # here, for it takes seconds, and workers import this file as well

    code = main()
    listen(signal.SIG_IGN)  # nothing is left to interrupt
    sys.exit(code)
