"""The wall between what a job is and whose job it is.

Everything above this file (lifecycle, watch, stream, later batch and load) speaks of a job in these words
only; everything below an implementation of it may speak of presigned URLs, sessions or cases. A platform
object belongs to one run of one workflow: what it caches (schema, uploads) lives as long as that run.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from opus_async.errors import OpusError
from opus_async.models import AuditLog, JobRequest, JobStatus

BoundT = TypeVar("BoundT")
"""A platform's own value: a request checked against the workflow, nothing sent yet."""
ReadyT = TypeVar("ReadyT")
"""A platform's own value: what ``start`` sends, files uploaded."""


@dataclass(frozen=True, slots=True)
class Stages:
    """A platform's names for the stages of a job, in order, as events and the ledger use them."""

    bind: str
    prepare: str
    create: str
    start: str
    watch: str
    collect: str


class Standing(enum.Enum):
    """What one look at a job tells after its start became uncertain."""

    RUNNING = "running"
    """Something differs from a job never started: it was started."""
    UNSTARTED = "unstarted"
    """It looks exactly like a job never started. One look proves nothing: it may be queued."""
    UNCLEAR = "unclear"
    """The look itself failed."""


class UncertainStart(Exception):
    """Raised by ``start`` when the order may or may not have been obeyed: a question for the lifecycle.

    Attributes:
        cause: What was seen instead of a clear answer.
        may_resend: False when the platform said in its own words that it did not start: then the cause is
            raised if no look shows the opposite, and nothing is sent again.
    """

    def __init__(self, cause: OpusError, *, may_resend: bool = True) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.may_resend = may_resend


@dataclass(frozen=True, slots=True)
class Collected:
    """What a job that ended has left.

    Attributes:
        outputs: Display name -> value.
        results: As the platform sent them.
        audit: What it tells of the way there; None when it could not be had or was not asked for.
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    results: Any = None
    audit: AuditLog | None = None


class Observer(Protocol):
    """Asks the platform where jobs stand."""

    observes_at_once: int
    """How many jobs one call of ``observe`` can ask about."""

    async def observe(self, remote_ids: Sequence[str]) -> Mapping[str, JobStatus | OpusError]:
        """Look once, without retries; an id that could not be read maps to what went wrong."""


class Platform(Observer, Protocol[BoundT, ReadyT]):
    """One platform, for one run of one workflow."""

    stages: Stages
    kind: str
    """What run times are learned for: the workflow."""
    stray_shells: int
    """Shells made and never started: after lost answers, and to learn what an unstarted job looks like."""

    calls_back: bool
    """Whether the platform was asked to call when a job ends; such a call is a hint and no more."""

    async def open(self) -> None:
        """Read what every row needs. What this raises dooms them all."""

    async def bind(self, request: JobRequest) -> BoundT:
        """Check a request against the workflow before any cost; raises InvalidInputs."""

    async def prepare(self, bound: BoundT) -> ReadyT:
        """Upload the files. Repeating it after a crash is harmless."""

    async def create(self, bound: BoundT) -> str:
        """Make an unbilled shell, or an id under which the job can be found again; returns the remote id."""

    async def start(self, remote_id: str, ready: ReadyT) -> None:
        """Start the job, and its bill. Sent once.

        Raises:
            UncertainStart: It may or may not have been obeyed.
            OpusError: It was refused.
        """

    async def settle(self, remote_id: str) -> Standing:
        """Look once whether an uncertain start was obeyed."""

    async def collect(self, remote_id: str, status: JobStatus) -> Collected:
        """Fetch what a job with this terminal status has left.

        Of a job that did not complete only the audit, and an audit that cannot be had is no error.
        """
