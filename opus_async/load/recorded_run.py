"""A run as its directory has it, and its jobs cut into blocks of time, from which its figures are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from opus_async import text
from opus_async.errors import LoadRefused
from opus_async.load.bootstrap import Distribution, Percentile, Ratio, Statistic, into_blocks
from opus_async.load.metric import (
    COMPLETED_RATE,
    E2E_INTENDED,
    E2E_SERVICE,
    ERROR_RATE,
    PERCENTILES,
    Metric,
)
from opus_async.load.sample_file import read_samples
from opus_async.load.summary import RunSummary, read
from opus_async.load.values import Sample, Window
from opus_async.load.verdict import jobs_needed

_FEWEST_BLOCKS, _MOST_BLOCKS = 8, 30
_LENGTHS = 2
"""A block is so many times as long as nearly all jobs take, if that leaves enough blocks."""
_OF_E2E = ("p50", "p90", "p95", "p99", "mean")
_OF_STAGE = ("p50", "p95")
_COMPLETED = "COMPLETED"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run as its directory has it.

    Attributes:
        name: What it is called in messages.
        summary: Its summary.
        samples: Its jobs.
    """

    name: str
    summary: RunSummary
    samples: Sequence[Sample]

    @property
    def window(self) -> Window:
        """Its measured window, in the time of its samples."""
        summary = self.summary
        return Window(summary.window.start - summary.began, summary.window.end - summary.began)


def load_run(directory: Path) -> RecordedRun:
    """Read a run.

    Raises:
        LoadRefused: Its files are not there, or are not as they were written.
    """
    return RecordedRun(str(directory), read(directory, RunSummary), list(read_samples(directory)))


def statistics_of(run: RecordedRun) -> dict[str, Statistic]:
    """The metrics of a run that can be compared, each as a figure of its blocks.

    Percentiles that too few jobs were measured for are left out.

    Raises:
        LoadRefused: No job was measured.
    """
    blocks = _Blocks(run)
    return {
        **blocks.times(E2E_INTENDED, _OF_E2E, [sample.e2e_intended for sample in blocks.measured]),
        **blocks.times(E2E_SERVICE, _OF_E2E, [sample.e2e_service for sample in blocks.measured]),
        **{
            name: statistic
            for stage in run.summary.stages
            for name, statistic in blocks.times(
                stage, _OF_STAGE, [sample.stages.get(stage, 0.0) for sample in blocks.measured]
            ).items()
        },
        ERROR_RATE: blocks.error_rate(),
        COMPLETED_RATE: blocks.completed_rate(),
    }


class _Blocks:
    """The jobs of a run by blocks of its measured window."""

    def __init__(self, run: RecordedRun) -> None:
        self.measured = [sample for sample in run.samples if sample.measured]
        self._run = run
        self._window = run.window
        if not self.measured or self._window.seconds <= 0:
            raise LoadRefused(
                f"{text.quoted(run.name)} has no job in its measured window: there is nothing to compare"
            )
        self._number = _number_of_blocks(run.summary, self._window.seconds)
        self._block = into_blocks(self._window.start, self._window.seconds, self._number)

    def times(self, name: str, statistics: Sequence[str], seconds: Sequence[float]) -> dict[str, Statistic]:
        """Statistics of a series or stage, of which every measured job has a time."""
        blocks: list[list[float]] = [[] for _ in range(self._number)]
        for sample, value in zip(self.measured, seconds, strict=True):
            blocks[self._block(sample.intended)].append(max(value, 0.0))
        distribution = Distribution(blocks)
        found: dict[str, Statistic] = {}
        for statistic in statistics:
            if statistic == "mean":
                found[str(Metric(name, statistic))] = Ratio(
                    [sum(block) for block in blocks], distribution.counts
                )
            elif len(seconds) >= jobs_needed(statistic):
                found[str(Metric(name, statistic))] = Percentile(distribution, PERCENTILES[statistic])
        return found

    def error_rate(self) -> Statistic:
        """Jobs that did not complete, over those that were meant to start in the window."""
        inside = [sample for sample in self._run.samples if self._window.holds(sample.intended)]
        bad = [sample.intended for sample in inside if sample.status != _COMPLETED]
        return Ratio(self._counted(bad), self._counted(sample.intended for sample in inside))

    def completed_rate(self) -> Statistic:
        """Jobs that completed in the window, a second."""
        ends = [sample.ended for sample in self._run.samples if sample.status == _COMPLETED]
        inside = [at for at in ends if self._window.holds(at)]
        return Ratio(self._counted(inside), [self._window.seconds / self._number] * self._number)

    def _counted(self, moments: Iterable[float]) -> list[int]:
        counts = [0] * self._number
        for at in moments:
            counts[self._block(at)] += 1
        return counts


def _number_of_blocks(summary: RunSummary, seconds: float) -> int:
    e2e = summary.latency.get(E2E_INTENDED)
    longest = e2e.p95 if e2e is not None and e2e.p95 else 0.0
    fitting = int(seconds / (_LENGTHS * longest)) if longest else _MOST_BLOCKS
    return min(max(fitting, _FEWEST_BLOCKS), _MOST_BLOCKS)
