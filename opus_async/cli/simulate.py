"""``opus-async simulate``: the simulator's own command line, under this roof."""

from __future__ import annotations

from collections.abc import Sequence


def run(argv: Sequence[str]) -> int:
    """Hand all arguments over."""
    from opus_async.simulator.cli import main

    try:
        return main(argv)
    except SystemExit as ended:  # argparse has said why
        return int(ended.code or 0)
    except KeyboardInterrupt:  # before its own handling of signals began
        return 130
