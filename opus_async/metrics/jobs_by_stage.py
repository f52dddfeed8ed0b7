"""In which stage jobs are, and how many have left each."""

from __future__ import annotations

from collections import Counter

from opus_async.stages import DONE, PAUSED

COMPLETED = "COMPLETED"


class JobsByStage:
    """Counts jobs by stage.

    Attributes:
        left_stage: Stage -> jobs that have left it for the next, or as completed.
        in_stage: Stage -> jobs that are in it now.
    """

    def __init__(self) -> None:
        self.left_stage: Counter[str] = Counter()
        self.in_stage: Counter[str] = Counter()
        self._stage_of: dict[int, str] = {}  # of jobs in flight only

    @property
    def in_flight(self) -> int:
        """Jobs between their first stage and their end, parked ones not counted."""
        return len(self._stage_of)

    def move(self, index: int, stage: str, status: str | None) -> None:
        """Take a job from its stage to the next; or out, when it is parked or done, with its last status."""
        before = self._stage_of.pop(index, None)
        if before is not None:
            self.in_stage[before] -= 1
        if stage == PAUSED:
            return
        if before is not None and (stage != DONE or status == COMPLETED):
            self.left_stage[before] += 1
        if stage != DONE:
            self._stage_of[index] = stage
            self.in_stage[stage] += 1
