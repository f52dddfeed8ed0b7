"""`python -m opus_async.simulator`: the simulator as a process of its own."""

from __future__ import annotations

import sys

from opus_async.simulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
