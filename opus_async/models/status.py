"""The status of a job."""

from __future__ import annotations

from typing import ClassVar, Self


class JobStatus(str):
    """The status of a job: a string equal to its normalised name that keeps what the platform wrote.

    ``JobStatus("COMPLETED", raw="Completed ") == JobStatus.COMPLETED == "COMPLETED"``. The names are the
    same for all platforms; each maps its own words onto them.

    Attributes:
        raw: The platform's own text, for unknown statuses (``UNKNOWN``) and for bug reports.
    """

    __slots__ = ("raw",)

    raw: str
    PENDING: ClassVar[JobStatus]
    """Accepted or not yet started; waiting for its turn."""
    IN_PROGRESS: ClassVar[JobStatus]
    WAITING: ClassVar[JobStatus]
    """Parked for a person, a sub-workflow or a callback: hours or days are normal. Not a failure."""
    COMPLETED: ClassVar[JobStatus]
    FAILED: ClassVar[JobStatus]
    CANCELLED: ClassVar[JobStatus]
    TIMED_OUT: ClassVar[JobStatus]
    UNKNOWN: ClassVar[JobStatus]
    """A status that is not known: the job is polled on; never an error."""

    def __new__(cls, name: str, raw: str | None = None) -> Self:
        """Make a status of a normalised name, e.g. ``JobStatus("COMPLETED")``."""
        self = super().__new__(cls, name)
        self.raw = name if raw is None else raw
        return self

    def __repr__(self) -> str:
        return f"<{self}>" if self.raw == self else f"<{self} {self.raw!r}>"

    def __reduce__(self) -> tuple[type[JobStatus], tuple[str, str]]:
        return JobStatus, (str(self), self.raw)

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended: its status will not change again."""
        return self in _TERMINAL


_NAMES = ("PENDING", "IN_PROGRESS", "WAITING", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "UNKNOWN")
for _name in _NAMES:
    setattr(JobStatus, _name, JobStatus(_name))
_TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
