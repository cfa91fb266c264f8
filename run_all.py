"""The door to the reproduction of "Barlow Twins for Sequential Recommendation": python run_all.py --help."""

import os
import signal
import sys

from benchmark.runs.signals import leave, listen

if __name__ == "__main__":
    listen(leave)
    try:
        os.getcwd()
    except OSError as error:  # libraries would abort the process over it
        sys.exit(f"run_all.py: the directory that you are in: {error.strerror or error}; go to one that is there")
    from benchmark.cli.main import main  # here, for it takes seconds, and workers import this file as well

    code = main()
    listen(signal.SIG_IGN)  # nothing is left to interrupt
    sys.exit(code)
