"""The CPU time of a batch's ledger: all rows planned, and every step of every row kept on the disk.

Next to it, bare sqlite3 writes the same steps in the same transactions to one table, without a thread of its
own, and checks nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.harness.comparison import Comparison, Coroutine
from benchmarks.harness.figures import Figure, Settings

OURS, TENTH, BARE = "the ledger", "of a tenth of the rows", "bare sqlite3"


def run(settings: Settings) -> Iterator[Figure]:
    """Compare the ledger with bare sqlite3, and with itself on a tenth of the rows."""
    rows = settings.size(20_000, 200)
    comparison = Comparison(
        benchmark="ledger",
        condition=f"{rows:,} rows, all steps",
        unit="row",
        sides={
            OURS: Coroutine(target="benchmarks.clients.ledger_steps:ours", count=rows),
            TENTH: Coroutine(target="benchmarks.clients.ledger_steps:ours", count=rows // 10),
            BARE: Coroutine(target="benchmarks.clients.ledger_steps:bare", count=rows),
        },
        ratios=[(OURS, BARE), (OURS, TENTH)],
    )
    measured = comparison.measure(settings)
    yield from comparison.figures_of(measured, settings)
    ours = measured[OURS]
    yield Figure(
        benchmark="ledger",
        name="share of the event loop's thread",
        unit="%",
        values=[100 * one.more["loop"] / one.cpu for one in ours],
        detail=f"{statistics.median(one.wall for one in ours) / rows * 1e6:.0f} us of time a row",
    )
    for name, what in (("plan", "planning"), ("open", "opening it again")):
        yield Figure(
            benchmark="ledger",
            name=what,
            unit="us/row",
            values=[1e6 * one.more[name] / rows for one in ours],
        )
