"""The CPU time until something can be done: importing the client, and ``opus-async --help``."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.harness.comparison import Command, Comparison, Measurement
from benchmarks.harness.figures import Figure, Settings

DEPENDENCIES, CLIENT, HELP, NOTHING = ("the four core dependencies", "OpusClient", "--help", "python -c pass")
ROUNDS = 4
"""Starts in each round: one takes a fifth of a second."""


def run(settings: Settings) -> Iterator[Figure]:
    """Compare the starts."""
    comparison = Comparison(
        benchmark="start",
        condition="a whole process",
        unit="start",
        sides={
            DEPENDENCIES: _python("-c", "import aiohttp, aiofiles, pydantic, backoff"),
            CLIENT: _python("-c", "import opus_async; opus_async.OpusClient"),
            HELP: _python("-m", "opus_async", "--help"),
            NOTHING: _python("-c", "pass"),
        },
        ratios=[(CLIENT, DEPENDENCIES), (HELP, NOTHING)],
    )
    often = Settings(rounds=settings.size(ROUNDS * settings.rounds, 1), long_rounds=1)
    for side in comparison.sides.values():
        side.measure()  # what is imported is compiled and in the page cache from here on
    measured = comparison.measure(often)
    yield from comparison.figures_of(measured, settings)
    yield _over(measured, HELP, NOTHING)
    yield _over(measured, CLIENT, DEPENDENCIES)


def _python(*arguments: str) -> Command:
    return Command(command=[sys.executable, *arguments])


def _over(measured: Mapping[str, Sequence[Measurement]], top: str, bottom: str) -> Figure:
    """By how much one takes longer than the other."""
    more = [1e3 * (one.cpu - other.cpu) for one, other in zip(measured[top], measured[bottom], strict=True)]
    return Figure(
        benchmark="start",
        name=f"{top} over {bottom}",
        unit="ms",
        values=more,
        detail=f"{1e3 * statistics.median(one.cpu for one in measured[bottom]):.0f} ms and that",
    )
