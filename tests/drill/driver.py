"""run_all.py with faults: python -m tests.drill.driver FAULTS ARGUMENT...

FAULTS is a JSON object, see tests/drill/faults.py. Spawned workers import their parent's main module, this one, and so
have the same faults.
"""

from __future__ import annotations

import json
import signal
import sys

from benchmark.cli.process import exit_at_once, set_handlers

if __name__ == "__main__":
    set_handlers(exit_at_once)

from benchmark.cli.main import main
from tests.drill.faults import inject

if __name__ in ("__main__", "__mp_main__"):
    inject(json.loads(sys.argv[1]))

if __name__ == "__main__":
    code = main(sys.argv[2:])
    set_handlers(signal.SIG_IGN)
    sys.exit(code)
