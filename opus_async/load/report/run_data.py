"""What the report of a run shows beyond its summary: its jobs and its seconds, as charts need them."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from opus_async.load.recorded_run import RecordedRun
from opus_async.load.summary import RunSummary
from opus_async.load.timeline import (
    COMPLETED,
    DROPPED,
    FAILED,
    OFFERED,
    STARTED,
    THROTTLED,
    UNKNOWN,
    Moment,
    moments,
    read_timeline,
)
from opus_async.load.values import Sample
from opus_async.metrics.histogram import Histogram
from opus_async.metrics.time_series import TimeSeries
from opus_async.reporting.charts.axes import Span
from opus_async.reporting.charts.resolution import EventBins

SPAN = 1
"""The number of the only span of time: a load test has no gaps."""
_COUNTED = (OFFERED, STARTED, COMPLETED, FAILED, UNKNOWN, DROPPED, THROTTLED)


@dataclass(frozen=True, slots=True)
class Part:
    """The jobs of a part of the time, by when they were meant to start.

    Attributes:
        began: Seconds since the epoch.
        ended: Seconds since the epoch.
        stages: Stage -> mean seconds.
        median: Median of the end-to-end time from the intended start, in seconds.
        high: Its 95th percentile.
        jobs: How many.
    """

    began: float
    ended: float
    stages: dict[str, float]
    median: float
    high: float
    jobs: int


@dataclass(frozen=True, slots=True)
class RunData:
    """A run, ready to be shown.

    Attributes:
        directory: Where its files lie.
        run: The run.
        timeline: Its seconds; without a health where nobody noted any.
        made_at: When the report is made, in seconds since the epoch.
    """

    directory: Path
    run: RecordedRun
    timeline: Sequence[Moment]
    made_at: float

    @classmethod
    def load(cls, directory: Path, run: RecordedRun) -> Self:
        """Read what is not read yet."""
        return cls(directory, run, read_timeline(directory) or list(_from_samples(run.samples)), time.time())

    @property
    def summary(self) -> RunSummary:
        """Its summary."""
        return self.run.summary

    @property
    def span(self) -> Span:
        """The time from the first arrival to the last end."""
        ends = [sample.ended for sample in self.run.samples]
        ends += [moment.at + moment.seconds for moment in self.timeline[-1:]]
        window = self.run.window
        return Span(SPAN, self.summary.began, self.summary.began + max([*ends, window.end, 1.0]))

    @property
    def measured(self) -> list[Sample]:
        """The jobs that are in the figures."""
        return [sample for sample in self.run.samples if sample.measured]

    def counted(self) -> EventBins:
        """What happened, over time."""
        bins = EventBins([self.span])
        for moment in self.timeline:
            for name in _COUNTED:
                number = getattr(moment, name)
                if number:
                    bins.add(SPAN, self.summary.began + moment.at + moment.seconds / 2, name, number)
        return bins

    def parts(self) -> Iterator[Part]:
        """Yield the completed jobs by when they were meant to start; parts without any are left out."""
        began = self.summary.began
        bins = [(each.began - began, each.ended - began) for each in EventBins([self.span])]
        width = bins[0][1] - bins[0][0]
        ended = sorted(
            (sample for sample in self.run.samples if sample.status == "COMPLETED"),
            key=lambda sample: sample.intended,
        )
        for place, jobs in itertools.groupby(
            ended, lambda sample: min(int(sample.intended / width), len(bins) - 1)
        ):
            group = list(jobs)
            times = Histogram(sample.e2e_intended for sample in group)
            left, right = bins[max(place, 0)]
            yield Part(
                began=began + left,
                ended=began + right,
                stages={
                    name: statistics.fmean(sample.stages.get(name, 0.0) for sample in group)
                    for name in self.summary.stages
                },
                median=times.percentile(50) or 0.0,
                high=times.percentile(95) or 0.0,
                jobs=len(group),
            )


def _from_samples(samples: Sequence[Sample]) -> Iterator[Moment]:
    """The seconds of a run whose timeline is not there: as far as its jobs tell."""
    series = TimeSeries(1.0)
    for sample in samples:
        series.add(OFFERED, sample.intended)
        series.add(STARTED, sample.started)
        known = FAILED if sample.status else UNKNOWN
        series.add(COMPLETED if sample.status == "COMPLETED" else known, sample.ended)
    return moments(series)
