"""The figures of a load test, as its summary has them: one class for each object in the JSON.

Figures that could not be measured are None, and null in the JSON.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from opus_async.load.metric import PERCENTILES
from opus_async.metrics.histogram import Histogram

_PLACES = 6


class Figures(BaseModel):
    """What all have in common: they do not change, and what is read from a disk is checked."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, strict=True)


class Latency(Figures):
    """The statistics of one latency, in seconds; all None where there was nothing to measure.

    Attributes:
        count: How many jobs it is of.
        mean: The mean.
        p50: The median.
        p90: The 90th percentile.
        p95: The 95th percentile.
        p99: The 99th percentile.
        p999: The 99.9th percentile.
        max: The longest.
    """

    count: int = Field(0, ge=0)
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None

    @classmethod
    def of(cls, histogram: Histogram) -> Self:
        """The statistics of a histogram of seconds, to the microsecond."""
        if histogram.mean is None:
            return cls()
        found = histogram.percentiles(PERCENTILES.values())
        values = dict(zip(PERCENTILES, found, strict=True)) | {"mean": histogram.mean, "max": histogram.max}
        shown = {name: None if value is None else round(value, _PLACES) for name, value in values.items()}
        return cls.model_validate({"count": histogram.count, **shown})

    def value(self, statistic: str) -> float | None:
        """One of :data:`~opus_async.load.metric.STATISTICS`."""
        found: float | None = getattr(self, statistic)
        return found


class Counts(Figures):
    """Jobs of a whole run, its warm-up included.

    Attributes:
        offered: Arrivals: ``started``, and those that were dropped.
        started: Jobs that were started.
        completed: Of these, jobs that completed.
        failed: Jobs that ended otherwise.
        unknown: Jobs of which it is not known how they ended.
        dropped: Reason -> arrivals that were not started.
    """

    offered: int = Field(ge=0)
    started: int = Field(ge=0)
    completed: int = Field(ge=0)
    failed: int = Field(ge=0)
    unknown: int = Field(ge=0)
    dropped: dict[str, int] = Field(default_factory=dict)

    @property
    def all_dropped(self) -> int:
        """Arrivals that were dropped, whatever the reason."""
        return sum(self.dropped.values())


class Rates(Figures):
    """Jobs a second over the measured window; None for a window without length.

    Attributes:
        offered: Arrivals.
        started: Jobs that were started.
        completed: Jobs that completed in the window, whenever they were started.
    """

    offered: float | None = None
    started: float | None = None
    completed: float | None = None


class InFlight(Figures):
    """How many jobs were in flight in the measured window.

    Attributes:
        mean: Over time; None for a window without length.
        max: At once.
    """

    mean: float | None = None
    max: int = Field(0, ge=0)


class DetectLag(Figures):
    """How late the ends of jobs were noticed at most, in seconds.

    Attributes:
        p50: Of half of the jobs.
        p95: Of 95 of 100.
    """

    p50: float | None = None
    p95: float | None = None


class Throttled(Figures):
    """What the platform's rate limit did.

    Attributes:
        responses: Answers with 429.
        share: These over all answers, 0 to 1; None without answers.
        paused_seconds: For how long all requests waited, after such answers.
    """

    responses: int = Field(0, ge=0)
    share: float | None = None
    paused_seconds: float = 0.0


class Health(Figures):
    """How this process, which made the load, was itself.

    Attributes:
        loop_lag_p99: How late the event loop came to what was due, in seconds, 99th percentile.
        start_lateness_p99: How late jobs were started, in seconds, 99th percentile; None in a closed model,
            where nothing is due.
        cpu_share: CPU time of the process, over the time of one core.
        rss_bytes: Memory at the most.
        open_files: Files and sockets at the most.
    """

    loop_lag_p99: float | None = None
    start_lateness_p99: float | None = None
    cpu_share: float | None = None
    rss_bytes: int | None = None
    open_files: int | None = None
