"""``timeline.jsonl``: a load test over time, one line for each second, with the health of its maker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from opus_async import text
from opus_async.errors import LoadRefused
from opus_async.layout import TIMELINE
from opus_async.load.figures import Figures
from opus_async.metrics.time_series import TimeSeries

OFFERED, STARTED, DROPPED, THROTTLED = "offered", "started", "dropped", "throttled"
COMPLETED, FAILED, UNKNOWN = "completed", "failed", "unknown"
"""The names under which a :class:`~opus_async.metrics.time_series.TimeSeries` counts a load test."""
_LONGEST = 10_000


class Moment(Figures):
    """An interval of a load test. Counts are of that interval; what was not measured in it is None.

    Attributes:
        at: When it begins, in seconds from the start of the run.
        seconds: Its length.
        offered: Arrivals.
        started: Jobs that were started.
        completed: Jobs that completed.
        failed: Jobs that ended otherwise.
        unknown: Jobs of which it is not known how they ended.
        dropped: Arrivals that were not started.
        throttled: Answers with 429.
        in_flight: Jobs in flight at its end.
        loop_lag: The longest lag of the event loop, in seconds.
        cpu_share: CPU time of the process, over the time of one core.
        rss_bytes: Memory.
        open_files: Files and sockets.
    """

    at: float = Field(ge=0)
    seconds: float = Field(gt=0)
    offered: int = 0
    started: int = 0
    completed: int = 0
    failed: int = 0
    unknown: int = 0
    dropped: int = 0
    throttled: int = 0
    in_flight: int = 0
    loop_lag: float | None = None
    cpu_share: float | None = None
    rss_bytes: int | None = None
    open_files: int | None = None


HealthAt = Mapping[str, float | int | None]
"""The fields of a :class:`Moment` that tell of health."""


def moments(series: TimeSeries, health: Iterable[tuple[float, HealthAt]] = ()) -> Iterator[Moment]:
    """Yield a load test interval by interval.

    Args:
        series: What happened, under the names above.
        health: When health was sampled, in seconds from the start of the run, and what was seen; the last
            sample of an interval counts.
    """
    seen = {int(at / series.interval): values for at, values in health}
    levels = series.levels(STARTED, (COMPLETED, FAILED, UNKNOWN))
    for place, (interval, (_, level)) in enumerate(zip(series.intervals(), levels, strict=True)):
        yield Moment.model_validate(
            {
                "at": interval.begin,
                "seconds": interval.seconds,
                "in_flight": max(level, 0),
                **interval.counts,
                **seen.get(place, {}),
            }
        )


def as_lines(found: Iterable[Moment]) -> Iterator[bytes]:
    """The lines of ``timeline.jsonl``."""
    for moment in found:
        yield f"{moment.model_dump_json(exclude_defaults=True)}\n".encode()


def read_timeline(directory: Path) -> list[Moment]:
    """Read the timeline of a load test; empty where there is none.

    Raises:
        LoadRefused: It cannot be read, or a line is none; the message says which, and what is wrong.
    """
    path = directory / TIMELINE
    found: list[Moment] = []
    try:
        with path.open("rb") as file:
            while line := file.readline(_LONGEST):
                found.append(Moment.model_validate_json(line))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LoadRefused(
            f"{TIMELINE} of {text.quoted(directory)} cannot be read: {error.strerror}"
        ) from None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise LoadRefused(
            f"{TIMELINE} of {text.quoted(directory)}, line {len(found) + 1}: "
            f"{f'{field}: ' if field else ''}{problem['msg']}"
        ) from None
    return found
