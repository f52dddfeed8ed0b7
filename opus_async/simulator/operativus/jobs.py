"""The jobs of the server's queue: each order, and each answer to a pause, is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opus_async.simulator.operativus.runs import COMPLETED, FAILED, RUNNING

if TYPE_CHECKING:
    from opus_async.simulator.operativus.runs import Run

EXECUTION: Final = "WORKFLOW_EXECUTION"
RESUME: Final = "WORKFLOW_RESUME"
CONTINUE: Final = "WORKFLOW_CONTINUE"
STATUSES: Final = ("QUEUED", "PROCESSING", "PAUSED", "COMPLETED", "FAILED", "DLQ", "CANCELLED")


@dataclass(slots=True)
class Job:
    """One job of the queue.

    Attributes:
        job_id: Its id.
        kind: `EXECUTION`, `RESUME` or `CONTINUE`.
        created_at: Epoch seconds.
        taken_at: When the queue takes it, epoch seconds.
        run: The run it works on; None before it is taken, or if there is none.
        error: Why it failed; empty if it did not.
    """

    job_id: str
    kind: str
    created_at: float
    taken_at: float
    run: Run | None = None
    error: str = ""

    def status(self, now: float) -> str:
        """Return what the job is: COMPLETED also for a run that only waits, DLQ for one that failed."""
        if now < self.taken_at:
            return "QUEUED"
        if self.error:
            return "DLQ"
        status = COMPLETED if self.run is None else self.run.status(now)
        if status == RUNNING:
            return "PROCESSING"
        return "DLQ" if status == FAILED else "COMPLETED"
