"""What a test says that workflows do: the next runs that fail, pause or take longer."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

MOST_TIMES = 100_000
"""Runs that one call may be about."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said about one run.

    Attributes:
        fails_at: Index of the task that fails, counted from the end if negative; None for none.
        error: The text of that failure.
        pauses_at: Index of the task that waits for a person; None for none.
        delay: Seconds that it takes in addition.
    """

    fails_at: int | None = None
    error: str = ""
    pauses_at: int | None = None
    delay: float = 0.0


NOTHING = Said()


@dataclass(slots=True)
class _Script:
    failures: deque[tuple[int, str]] = field(default_factory=deque)
    pauses: deque[int] = field(default_factory=deque)
    delays: deque[float] = field(default_factory=deque)


class RunScripts:
    """The scripts of one server. What is said holds for runs that are ordered from then on.

    Every method raises ValueError for numbers that make no sense.
    """

    def __init__(self) -> None:
        self._scripts: defaultdict[str, _Script] = defaultdict(_Script)

    def fail_next(self, workflow_id: str, times: int = 1, *, step: int = -1, error: str = "") -> None:
        """Let the next runs of a workflow fail, at a step by its place from 0, or from the end."""
        failure = step, error or "the step failed"
        self._scripts[workflow_id].failures.extend([failure] * _checked(times))

    def pause_next(self, workflow_id: str, times: int = 1, *, step: int = -1) -> None:
        """Let the next runs of a workflow wait for a person, at a step counted from 0, or from the end."""
        self._scripts[workflow_id].pauses.extend([step] * _checked(times))

    def delay_next(self, workflow_id: str, seconds: float, times: int = 1) -> None:
        """Let the next runs of a workflow take so many seconds more."""
        if not seconds >= 0:
            raise ValueError(f"seconds must be 0 or more, not {seconds}")
        self._scripts[workflow_id].delays.extend([seconds] * _checked(times))

    def reset(self) -> None:
        """Forget all that was said; runs that were ordered keep it."""
        self._scripts.clear()

    def take(self, workflow_id: str) -> Said:
        """Return what is said about the run that is ordered now, and use it up."""
        script = self._scripts.get(workflow_id)
        if script is None:
            return NOTHING
        place, error = script.failures.popleft() if script.failures else (None, "")
        return Said(
            fails_at=place,
            error=error,
            pauses_at=script.pauses.popleft() if script.pauses else None,
            delay=script.delays.popleft() if script.delays else 0.0,
        )


def _checked(times: int) -> int:
    if not 1 <= times <= MOST_TIMES:
        raise ValueError(f"times must lie between 1 and {MOST_TIMES:,}, not {times}")
    return times
