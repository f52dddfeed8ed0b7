"""In which stage jobs are, how many have left each, and how many have ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from opus_async.metrics.run_times import RunTimes
from opus_async.stages import DONE, PAUSED

COMPLETED: Final = "COMPLETED"
_OUT_OF_STAGES: Final = frozenset({DONE, PAUSED})


class JobsByStage:
    """Counts jobs by stage.

    Args:
        clock: Gives the time in seconds, from any beginning.

    Attributes:
        left_stage: Stage -> jobs that have left it for the next, or as completed.
        in_stage: Stage -> jobs that are in it now.
        completed: Jobs that ended as COMPLETED.
        not_completed: Jobs that ended otherwise.
        run_times: How long they took.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.left_stage: dict[str, int] = defaultdict(int)  # counts in half the time of a Counter
        self.in_stage: dict[str, int] = defaultdict(int)
        self.completed = self.not_completed = 0
        self.run_times = RunTimes(clock)
        self._stage_of: dict[int, str] = {}  # of jobs in flight only

    @property
    def in_flight(self) -> int:
        """Jobs between their first stage and their end, parked ones not counted."""
        return len(self._stage_of)

    def stage_changed(self, index: int, stage: str, status: str | None = None) -> None:
        """Count a job that entered a stage; arguments as in :class:`opus_async.events.JobStageChanged`."""
        if stage in _OUT_OF_STAGES:
            self._leave(index, done=stage == DONE, completed=status == COMPLETED)
            return
        before = self._stage_of.get(index)
        self._stage_of[index] = stage
        self.in_stage[stage] += 1
        if before is None:
            self.run_times.begin(index)
        else:
            self.in_stage[before] -= 1
            self.left_stage[before] += 1

    def add_left(self, left_stage: Mapping[str, int]) -> None:
        """Add how many jobs of another process have left which stage."""
        for stage, jobs in left_stage.items():
            self.left_stage[stage] += jobs

    def _leave(self, index: int, *, done: bool, completed: bool) -> None:
        """Take a job out, which is parked or done."""
        self.run_times.end(index, done=done)
        before = self._stage_of.pop(index, None)
        if before is not None:
            self.in_stage[before] -= 1
            if completed:
                self.left_stage[before] += 1
        if done:
            if completed:
                self.completed += 1
            else:
                self.not_completed += 1
