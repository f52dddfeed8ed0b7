"""The CPU time of a durable batch, next to the same rows by ``run_many``, and to its ledger alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.harness.comparison import Comparison, Coroutine
from benchmarks.harness.figures import Figure, Settings
from benchmarks.serving import Config, serving

BATCH, STREAM, LEDGER = "batch", "run_many", "its ledger alone"


def run(settings: Settings) -> Iterator[Figure]:
    """Compare a batch of text rows with ``run_many`` and with what the ledger does for it."""
    rows = settings.size(2000, 10)
    with serving(Config(run_time=(0.1, 0.3))) as server:
        arguments = {"url": server.url}
        comparison = Comparison(
            benchmark="batch",
            condition=f"{rows:,} text rows",
            unit="row",
            sides={
                BATCH: Coroutine(
                    target="benchmarks.clients.batches:durable", count=rows, arguments=arguments
                ),
                STREAM: Coroutine(
                    target="benchmarks.clients.batches:streamed", count=rows, arguments=arguments
                ),
                LEDGER: Coroutine(target="benchmarks.clients.ledger_steps:ours", count=rows),
            },
            ratios=[(BATCH, STREAM), (LEDGER, BATCH)],
        )
        measured = comparison.measure(settings)
    yield from comparison.figures_of(measured, settings)
    yield Figure(
        benchmark="batch",
        name="a first batch of one text row, once a process",
        unit="ms",
        values=[1e3 * one.more["first"] for one in measured[BATCH]],
    )
    yield Figure(
        benchmark="batch",
        name=f"{rows:,} text rows: resume of the finished batch",
        unit="us/row",
        values=[1e6 * one.more["resume"] / rows for one in measured[BATCH]],
    )
    yield Figure(
        benchmark="batch",
        name=f"{rows:,} text rows: peak memory over that of run_many",
        unit="MB",
        values=[
            (one.peak - other.peak) / 1e6
            for one, other in zip(measured[BATCH], measured[STREAM], strict=True)
        ],
        detail=f"{statistics.median(one.peak for one in measured[BATCH]) / 1e6:.0f} MB",
    )
