"""When jobs are meant to start: rates over time, and the arrivals drawn from them before anything is sent.

Arrivals are made in operational time: the n-th comes when so many are expected by then. In a Poisson process
the gaps between them are exponential there, with mean 1; in a uniform one they are 1.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from opus_async.load.values import Schedule

Arrival = Literal["poisson", "uniform"]
MOST = 10_000_000
"""Arrivals that are drawn at most: more are a slip of the finger, and would take minutes to draw."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PER = {"s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"\d+(?:\.\d+)?"
_STAGE = re.compile(
    rf"(?:(?P<start>{_NUMBER})\.\.)?(?P<end>{_NUMBER})/(?P<per>[smh]):(?P<time>{_NUMBER})(?P<unit>ms|s|m|h)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a load during which its rate changes evenly, or not at all.

    Attributes:
        start: Jobs a second at its beginning.
        end: Jobs a second at its end.
        seconds: How long it lasts; infinite for a rate without an end.
    """

    start: float
    end: float
    seconds: float

    @property
    def jobs(self) -> float:
        """How many jobs are expected in it."""
        return (self.start + self.end) / 2 * self.seconds

    def when(self, jobs: float) -> float:
        """Seconds from its beginning until so many jobs are expected, which are no more than in all of it."""
        slope = 0.0 if math.isinf(self.seconds) else (self.end - self.start) / self.seconds
        root = math.sqrt(max(self.start * self.start + 2 * slope * jobs, 0.0))
        return 2 * jobs / (self.start + root) if jobs else 0.0


def constant(rate: float) -> tuple[Segment, ...]:
    """A load of so many jobs a second, without an end."""
    return (Segment(rate, rate, math.inf),)


def parse_stages(text: str) -> tuple[Segment, ...]:
    """Read stages such as ``0..50/s:2m,50/s:5m``: a ramp from 0 to 50 jobs a second, then that rate.

    Raises:
        ValueError: A stage cannot be read, or none of them starts a job.
    """
    segments = []
    for part in text.replace(" ", "").split(","):
        found = _STAGE.fullmatch(part)
        if found is None:
            raise ValueError(
                f"{part!r} is no stage: write a rate and for how long, 50/s:5m, or a ramp, 0..50/s:2m"
            )
        per = _PER[found["per"]]
        end = float(found["end"]) / per
        start = end if found["start"] is None else float(found["start"]) / per
        segments.append(Segment(start, end, float(found["time"]) * _UNITS[found["unit"]]))
    if not sum(segment.jobs for segment in segments):
        raise ValueError(f"{text!r} starts no job at all")
    return tuple(segments)


def length_of(segments: Sequence[Segment]) -> float:
    """For how many seconds a load lasts; infinite where it has no end."""
    return sum(segment.seconds for segment in segments)


def cut(segments: Sequence[Segment], seconds: float) -> tuple[Segment, ...]:
    """The first seconds of a load. One that is shorter goes on at its last rate."""
    parts: list[Segment] = []
    left = seconds
    for segment in segments:
        if segment.seconds >= left:
            share = 0.0 if math.isinf(segment.seconds) else left / segment.seconds
            rate = segment.start + (segment.end - segment.start) * share
            parts.append(Segment(segment.start, rate, left))
            return tuple(parts)
        parts.append(segment)
        left -= segment.seconds
    last = segments[-1].end
    return (*parts, Segment(last, last, left))


def draw(
    segments: Sequence[Segment],
    *,
    process: Arrival,
    seed: int,
    jobs: int | None = None,
) -> Schedule:
    """Draw all arrivals of a load. The same arguments give the same ones, on any machine.

    Args:
        segments: The rate over time.
        process: ``poisson``, as independent users arrive, or ``uniform``, at even distances.
        seed: Of the draws.
        jobs: How many arrivals at most; None for as many as the load has until its end.

    Raises:
        ValueError: There would be more than :data:`MOST`, or no end.
    """
    length = length_of(segments)
    most = MOST if jobs is None else jobs
    if most > MOST or (jobs is None and sum(segment.jobs for segment in segments) > MOST):
        raise ValueError(f"that is more than {MOST:,} jobs")
    places = _places(process, seed)
    times: list[float] = []
    for at in _moments(segments, places):
        if len(times) == most:
            break
        times.append(at)
    if jobs is not None and len(times) == jobs:
        length = min(length, _end_of(segments, process, times))
    return Schedule(tuple(times), length)


def _places(process: Arrival, seed: int) -> Iterator[float]:
    """Where the arrivals lie in operational time."""
    if process == "uniform":
        place = 0.5
        while True:
            yield place
            place += 1.0
    gap = random.Random(f"arrivals {seed}").expovariate  # noqa: S311 - draws a load, guards nothing
    place = 0.0
    while True:
        place += gap(1.0)
        yield place


def _moments(segments: Sequence[Segment], places: Iterator[float]) -> Iterator[float]:
    """The moments, in seconds, of places in operational time, as far as the load goes."""
    before, began = 0.0, 0.0
    place = next(places)
    for segment in segments:
        jobs = segment.jobs
        while place - before <= jobs:
            yield began + segment.when(place - before)
            place = next(places)
        before += jobs
        began += segment.seconds


def _end_of(segments: Sequence[Segment], process: Arrival, times: Sequence[float]) -> float:
    """When a load of so many jobs ends: behind the last of even distances as much as before the first."""
    if process == "poisson" or not times:
        return times[-1] if times else 0.0
    return next(_moments(segments, iter((float(len(times)), math.inf))), times[-1])
