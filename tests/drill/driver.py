"""run_all.py with faults: python -m tests.drill.driver FAULTS ARGUMENT...

FAULTS is a JSON object, see tests/drill/faults.py. Spawned workers import their parent's main module, this one, and so
have the same faults.
"""

from __future__ import annotations

import json
import signal
import sys

from benchmark.cli.process import leave, listen

if __name__ == "__main__":
    listen(leave)

from benchmark.cli.main import main
from tests.drill.faults import inject

if __name__ in ("__main__", "__mp_main__"):
    inject(json.loads(sys.argv[1]))

if __name__ == "__main__":
    code = main(sys.argv[2:])
    listen(signal.SIG_IGN)
    sys.exit(code)
