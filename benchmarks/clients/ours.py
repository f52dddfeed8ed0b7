"""opus_async: whole jobs by ``run_many``, with all that it does by default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.answers import DOCUMENT, KEY, TEXT
from benchmarks.documents import path_of
from benchmarks.harness.meter import Meter
from opus_async import Limits, OpusClient
from opus_async.events import Event, Listener
from opus_async.testing import quick_polls

LAG = 0.02
"""Seconds, of jobs that run for a while: with the floor of half a second a client would only wait."""
NO_LAG = 0.001
"""The same of jobs that take no time. With a longer lag the client would sleep between their requests, and
waking up cost it CPU time (0.16 ms a job at 20 ms), where the other side never sleeps."""


async def jobs(
    meter: Meter, count: int, *, url: str, folder: str, in_flight: int, warm: int, listeners: str = "none"
) -> None:
    """Run so many jobs, so many at once, after some to warm up.

    Args:
        meter: Measures them.
        count: Of jobs.
        url: Of the platform.
        folder: Of the documents, see :mod:`benchmarks.documents`; empty for text jobs.
        in_flight: Jobs at once.
        warm: Jobs before.
        listeners: Who listens to events: ``none``, ``plain`` or ``coroutine``.
    """
    limits = Limits(max_in_flight=in_flight, upload_concurrency=in_flight)
    listening: dict[str, list[Listener]] = {"plain": [_ignore], "coroutine": [_ignore_later]}
    with quick_polls(NO_LAG):
        async with OpusClient(
            KEY, base_url=url, limits=limits, listeners=listening.get(listeners, [])
        ) as opus:
            await _run(opus, folder, warm)
            with meter.against(url):
                await _run(opus, folder, count)


async def _run(opus: OpusClient, folder: str, count: int) -> None:
    done = 0
    async for outcome in opus.run_many(DOCUMENT if folder else TEXT, _rows(folder, count)):
        assert outcome.ok, outcome.error
        done += 1
    assert done == count


def _rows(folder: str, count: int) -> Iterator[Mapping[str, Any]]:
    for number in range(count):
        yield {"Document": path_of(folder, number)} if folder else {"Text": "a text of some words"}


def _ignore(event: Event) -> None:
    pass


async def _ignore_later(event: Event) -> None:
    pass
