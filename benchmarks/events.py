"""What listeners to events cost: whole text jobs without one, with a plain function, with a coroutine."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness.comparison import Comparison, Coroutine
from benchmarks.harness.figures import Figure, Settings
from benchmarks.serving import serving

NAMES = {
    "none": "nobody listening",
    "plain": "one function",
    "coroutine": "one coroutine function",
}


def run(settings: Settings) -> Iterator[Figure]:
    """Compare the listeners."""
    with serving() as server:
        yield from Comparison(
            benchmark="events",
            condition="text, 64 in flight",
            unit="job",
            sides={
                name: Coroutine(
                    target="benchmarks.clients.ours:jobs",
                    count=settings.size(2000, 8),
                    arguments={
                        "url": server.url,
                        "folder": "",
                        "in_flight": 64,
                        "warm": settings.size(1500, 4),
                        "listeners": listeners,
                    },
                )
                for listeners, name in NAMES.items()
            },
            ratios=[(NAMES["plain"], NAMES["none"]), (NAMES["coroutine"], NAMES["none"])],
        ).figures(settings)
