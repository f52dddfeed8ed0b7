"""``opus-async simulate``: hands over to the simulator's own command line."""

from __future__ import annotations

from collections.abc import Sequence


def run(argv: Sequence[str]) -> int:
    """Run the simulator's command line with these arguments; returns its exit code."""
    from opus_async.simulator.cli import main

    try:
        return main(argv)
    except SystemExit as ended:  # argparse has said why
        return int(ended.code or 0)
    except KeyboardInterrupt:  # before its own handling of signals began
        return 130
