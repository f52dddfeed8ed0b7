"""The process of one measurement: ``python -m benchmarks.harness.child SIDE``, a side as JSON.

The target of the side is a function ``(meter, count, **arguments)``, of coroutines or not; what it returns,
if anything, are more figures of the measurement.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys


def main(target: str, count: int, loop: str, arguments: dict[str, object]) -> None:
    """Run the target, and print what was measured."""
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)  # first: it may patch what others import
    import asyncio  # noqa: PLC0415

    from benchmarks.harness.machine import loop_factory  # noqa: PLC0415
    from benchmarks.harness.meter import Meter  # noqa: PLC0415

    meter = Meter()
    if inspect.iscoroutinefunction(function):
        factory = loop_factory("uvloop" if loop == "uvloop" else "asyncio")
        with asyncio.Runner(loop_factory=factory) as runner:
            more = runner.run(function(meter, count, **arguments))
    else:
        more = function(meter, count, **arguments)
    print(json.dumps(meter.measured | (more or {})))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
