"""The health of the load generator, sampled while it runs: without it nobody knows whose limit was met."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from opus_async.metrics.histogram import Histogram
from opus_async.tasks import start

EVERY = 0.1
"""Seconds between samples of the loop's lag."""
_TOLD_EVERY = 10
"""So many of them until CPU, memory and open files are read, too: that takes longer."""
_NANOSECOND = 1e-9
clock: Callable[[], float] = time.monotonic
"""Gives the time in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSample:
    """How the generator was in one second.

    Attributes:
        at: When it ended, in seconds of :func:`time.monotonic`.
        loop_lag: The longest lag of the event loop in it, in seconds.
        cpu_share: CPU time of this process, as a share of one core.
        cpu_wait: For how much of the time its main thread was ready to run and had no core; None where the
            system does not tell.
        rss_bytes: Memory.
        open_files: Files and sockets that are open; None where the system does not tell.
    """

    at: float
    loop_lag: float
    cpu_share: float
    cpu_wait: float | None
    rss_bytes: int
    open_files: int | None


class HealthSampler:
    """Samples the health of this process for as long as an ``async with`` block lasts.

    Attributes:
        samples: A sample for each second.
        loop_lag: How late the event loop was, ten times a second.
    """

    def __init__(self) -> None:
        self.samples: list[HealthSample] = []
        self.loop_lag = Histogram()

    async def __aenter__(self) -> Self:
        self._task = start("opus_async health", self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def snapshot(self) -> HealthSampler:
        """What was sampled so far, by itself: it may be read in another thread while this one goes on."""
        twin = HealthSampler()
        twin.samples, twin.loop_lag = self.samples.copy(), self.loop_lag.copy()
        return twin

    @property
    def cpu_share(self) -> float:
        """CPU time as a share of one core, over all samples."""
        return _mean([sample.cpu_share for sample in self.samples])

    @property
    def cpu_wanted(self) -> float:
        """The share of one core that it used or waited for, over all samples."""
        return _mean([sample.cpu_share + (sample.cpu_wait or 0.0) for sample in self.samples])

    @property
    def rss_bytes(self) -> int:
        """The most memory that was seen."""
        return max((sample.rss_bytes for sample in self.samples), default=_rss())

    @property
    def open_files(self) -> int | None:
        """The most open files that were seen; None where the system does not tell."""
        return max(
            (sample.open_files for sample in self.samples if sample.open_files is not None), default=None
        )

    async def _run(self) -> None:
        worst, before, waited = 0.0, _used(), _run_queue_wait()
        for turn in range(1, sys.maxsize):
            due = clock() + EVERY
            await asyncio.sleep(EVERY)
            lag = max(clock() - due, 0.0)
            self.loop_lag.record(lag)
            worst = max(worst, lag)
            if turn % _TOLD_EVERY == 0:
                now, wait = _used(), _run_queue_wait()
                self.samples.append(_sample(worst, before, now, waited, wait))
                worst, before, waited = 0.0, now, wait


def _sample(
    lag: float,
    before: tuple[float, float],
    now: tuple[float, float],
    waited: float | None,
    wait: float | None,
) -> HealthSample:
    wall = max(now[0] - before[0], 1e-6)
    return HealthSample(
        at=now[0],
        loop_lag=lag,
        cpu_share=(now[1] - before[1]) / wall,
        cpu_wait=None if wait is None or waited is None else min((wait - waited) / wall, 1.0),
        rss_bytes=_rss(),
        open_files=_open_files(),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _used() -> tuple[float, float]:
    """The time, and the CPU time that this process has used, in seconds."""
    return clock(), time.process_time()


def _run_queue_wait() -> float | None:
    """Seconds for which this thread was ready to run and had no core (Linux)."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) * _NANOSECOND
    return None


def _rss() -> int:
    """Memory of this process in bytes: as it is now (Linux), or its peak."""
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    import resource  # noqa: PLC0415 - there is none on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _open_files() -> int | None:
    for place in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(place))  # noqa: PTH208 - no path is made for each of thousands
    return None
