"""What a load test is made of: arrivals, samples, the measured window. Plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

_NO_STAGES: Mapping[str, float] = MappingProxyType({})


class DropReason(StrEnum):
    """Why an arrival was not started. It counts as offered, and never waits for a later moment."""

    MAX_IN_FLIGHT = "max_in_flight"
    """As many jobs as ``--max-in-flight`` allows were in flight."""
    INTERRUPTED = "interrupted"
    """The run was interrupted before its job was ordered."""


@dataclass(frozen=True, slots=True)
class Window:
    """The measured part of a run: what lies before it is warm-up. Seconds from the start of the run."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    def holds(self, at: float) -> bool:
        """Whether a moment lies in it, its end included."""
        return self.start <= at <= self.end


@dataclass(frozen=True, slots=True)
class Schedule:
    """The arrivals of an open model, drawn before anything is sent.

    Attributes:
        times: When each job is meant to start, in seconds from the start of the run, ascending.
        length: When the load ends, in seconds: the last arrival, or later.
    """

    times: Sequence[float]
    length: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One started job, as ``samples.jsonl`` has it.

    Attributes:
        index: Its place among the arrivals, from 0; in a closed model among the starts.
        job_id: None when no job came to be.
        status: The terminal status; None when none is known.
        intended: When it was meant to start, in seconds from the start of the run. In a closed model the
            same as ``started``.
        started: When it was really started.
        ended: When its outcome was known here, or its end was not waited for any more.
        stages: Stage -> seconds, 0 for one that it did not have; of a job that completed they add up to
            ``ended - intended``.
        detect_lag: How many seconds late its end was noticed at most; None where nothing bounds that.
        measured: Whether it is in the latency figures: it completed, and was meant to start within the
            measured window.
    """

    index: int
    job_id: str | None
    status: str | None
    intended: float
    started: float
    ended: float
    stages: Mapping[str, float] = field(default_factory=lambda: _NO_STAGES)
    detect_lag: float | None = None
    measured: bool = True

    @property
    def e2e_intended(self) -> float:
        """Seconds from when it was meant to start to its end."""
        return self.ended - self.intended

    @property
    def e2e_service(self) -> float:
        """Seconds from when it was started to its end."""
        return self.ended - self.started

    def as_json(self) -> dict[str, Any]:
        """Its line, as JSON values; seconds to the microsecond."""
        return {
            "index": self.index,
            "job_id": self.job_id,
            "status": self.status,
            "intended": round(self.intended, 6),
            "started": round(self.started, 6),
            "ended": round(self.ended, 6),
            "stages": {name: round(seconds, 6) for name, seconds in self.stages.items()},
            "detect_lag": None if self.detect_lag is None else round(self.detect_lag, 6),
            "measured": self.measured,
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """Read a line; raises KeyError where a field is missing. What the fields hold is not checked."""
        return cls(
            index=line["index"],
            job_id=line["job_id"],
            status=line["status"],
            intended=line["intended"],
            started=line["started"],
            ended=line["ended"],
            stages=line["stages"],
            detect_lag=line["detect_lag"],
            measured=line["measured"],
        )
