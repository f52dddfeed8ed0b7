"""`python -m opus_async.simulator`: the simulator as a process of its own."""

from __future__ import annotations

import os
import sys


def _open_streams() -> None:
    """Let streams that are closed (`2>&-`) lead nowhere: no write fails, no socket gets their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w"))


if __name__ == "__main__":
    _open_streams()
    from opus_async.simulator.cli import main

    sys.exit(main())
