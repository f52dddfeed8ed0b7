"""In which stage jobs are, and how many have left each."""

from __future__ import annotations

from collections import Counter


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

    def enter(self, index: int, stage: str) -> bool:
        """Take a job to its next stage; returns whether it is its first."""
        before = self._stage_of.get(index)
        self._stage_of[index] = stage
        self.in_stage[stage] += 1
        if before is None:
            return True
        self.in_stage[before] -= 1
        self.left_stage[before] += 1
        return False

    def leave(self, index: int, *, completed: bool) -> None:
        """Take a job out, which is parked or done."""
        before = self._stage_of.pop(index, None)
        if before is not None:
            self.in_stage[before] -= 1
            if completed:
                self.left_stage[before] += 1
