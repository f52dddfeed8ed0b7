"""What the recorder of a load test costs: whole text jobs with it, and with one that takes nothing down."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness.comparison import Comparison, Coroutine
from benchmarks.harness.figures import Figure, Settings
from benchmarks.serving import serving

NAMES = {"real": "with the recorder", "silent": "with a silent one"}


def run(settings: Settings) -> Iterator[Figure]:
    """Compare the recorders."""
    with serving() as server:
        yield from Comparison(
            benchmark="load",
            condition="text, 64 users",
            unit="job",
            sides={
                name: Coroutine(
                    target="benchmarks.clients.load_runs:jobs",
                    count=settings.size(2000, 8),
                    arguments={
                        "url": server.url,
                        "users": 64,
                        "warm": settings.size(1500, 4),
                        "recorder": recorder,
                    },
                )
                for recorder, name in NAMES.items()
            },
            ratios=[(NAMES["real"], NAMES["silent"])],
        ).figures(settings)
