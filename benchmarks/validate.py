"""The CPU time and memory of checking a manifest before anything is sent.

Three manifests: a text in each row; a file in each; in each a pattern that matches one file, in a folder with
as many files as there are rows. Next to it, the rows are read with :mod:`csv` and their files looked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.clients.checking import CELLS
from benchmarks.harness.comparison import Comparison, Coroutine, Measurement, Side
from benchmarks.harness.figures import Figure, Settings
from benchmarks.serving import Server, serving

OURS, TENTH, BARE = "validation", "that of a tenth of the rows", "csv.DictReader and os.stat"


def run(settings: Settings) -> Iterator[Figure]:
    """Compare for each manifest, and with a tenth of it."""
    rows = settings.size(20_000, 20)
    with serving() as server:
        for kind in filter(settings.wants, CELLS):
            comparison = Comparison(
                benchmark="validate",
                condition=f"{rows:,} rows, {kind}",
                unit="row",
                sides=_sides(server, rows, kind),
                ratios=[(OURS, BARE), (OURS, TENTH)],
            )
            measured = comparison.measure(settings)
            yield from comparison.figures_of(measured, settings)
            yield _memory(comparison.condition, measured[OURS], measured[TENTH])


def _sides(server: Server, rows: int, kind: str) -> dict[str, Side]:
    def ours(count: int) -> Coroutine:
        return Coroutine(
            target="benchmarks.clients.checking:ours",
            count=count,
            arguments={"url": server.url, "kind": kind},
        )

    return {
        OURS: ours(rows),
        TENTH: ours(rows // 10),
        BARE: Coroutine(target="benchmarks.clients.checking:bare", count=rows, arguments={"kind": kind}),
    }


def _memory(condition: str, all_rows: list[Measurement], tenth: list[Measurement]) -> Figure:
    return Figure(
        benchmark="validate",
        name=f"{condition}: memory for the first row to the last, over that of a tenth of the rows",
        unit="MB",
        values=[
            (one.peak - one.before - other.peak + other.before) / 1e6
            for one, other in zip(all_rows, tenth, strict=True)
        ],
        detail=f"{statistics.median(one.peak - one.before for one in all_rows) / 1e6:.1f} MB, "
        f"{statistics.median(one.peak for one in all_rows) / 1e6:.0f} MB with all that was there before",
    )
