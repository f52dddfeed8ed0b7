"""The process of one measurement: ``python -m benchmarks.harness.child SIDE``, a side as JSON.

The target of the side is a coroutine function ``(meter, count, **arguments)``; what it returns, if anything,
are more figures of the measurement.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys

from benchmarks.harness.machine import loop_factory
from benchmarks.harness.meter import Meter


def main(target: str, count: int, loop: str, arguments: dict[str, object]) -> None:
    """Run the target, and print what was measured."""
    module, _, name = target.partition(":")
    meter = Meter()
    with asyncio.Runner(loop_factory=loop_factory("uvloop" if loop == "uvloop" else "asyncio")) as runner:
        more = runner.run(getattr(importlib.import_module(module), name)(meter, count, **arguments))
    print(json.dumps(meter.measured | (more or {})))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
