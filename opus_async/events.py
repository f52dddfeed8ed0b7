"""The events that listeners receive, and the signature of a listener.

Events are frozen and carry no secret: URLs come without their query, headers and bodies do not come at all.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from opus_async.input_problems import InputProblem
from opus_async.value import Value


class RequestKind(StrEnum):
    """What a request is for."""

    API = "api"
    """A request to the platform's API that is not a poll."""
    POLL = "poll"
    """A request for the status of a job that is waited for."""
    STORAGE = "storage"
    """Bytes of a file, to or from the storage behind a presigned URL."""


class FailureClass(StrEnum):
    """What happened to a request that failed."""

    SHORTAGE = "shortage"
    """This machine had no open files, memory or threads left for it: nothing was sent."""
    UNSENT = "unsent"
    """No byte of it was sent: repeating is safe whatever it does."""
    BROKEN = "broken"
    """It may have taken effect; no complete response came."""
    THROTTLED = "throttled"
    """429: without effect, and everybody has to slow down."""
    OVERLOADED = "overloaded"
    """503: as a rule without effect, and everybody has to slow down."""
    SERVER = "server error"
    """Any other 5xx, 408, 425."""
    GARBLED = "garbled"
    """A response that cannot be understood, e.g. JSON cut short."""
    REFUSED = "refused"
    """Refused, or failed for a reason other than the network: the same again would fail again."""


class HostState(StrEnum):
    """Whether a host is up."""

    FAILING = "failing"
    """It has given no good response for a second or longer; each request is tried again."""
    DOWN = "down"
    """It gives no good response; requests to it wait."""
    GIVEN_UP = "given_up"
    """It has been down for longer than it is waited for; requests to it fail at once."""
    UP = "up"
    """It answers again."""


@dataclass(slots=True, weakref_slot=True)
class CurrentJob:
    """The job that the current task works for; events of its requests name it.

    There is one for each job that is run, so that a plain function that is called with an event can tell jobs
    of the same index apart, and learn by a weak reference that one is gone without an end.

    Attributes:
        index: The row's position in its run; None for a call about a job that is no row.
        key: The caller's own name for the row.
        job_id: None before one exists.
    """

    index: int | None = None
    key: str | None = None
    job_id: str | None = None


NO_CURRENT_JOB = CurrentJob()
current_jobs: ContextVar[tuple[CurrentJob, ...]] = ContextVar("opus_async current jobs", default=())
"""The jobs that a request of the current task serves, where they are several; empty otherwise."""
current_job: ContextVar[CurrentJob] = ContextVar("opus_async current job", default=NO_CURRENT_JOB)
"""The job of the current task; set by what runs a job, so that its requests need not be told."""


@dataclass(frozen=True, slots=True, kw_only=True, init=False, repr=False, eq=False)
class _Timed(Value):
    """What every event has: when it was made, in :func:`time.monotonic` and in seconds since the epoch."""

    monotonic: float = field(default_factory=time.monotonic)
    timestamp: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True, init=False, repr=False, eq=False)
class _OfRequest(_Timed):
    """What every event of a request has: the job it serves, and which attempt it is of.

    ``index``, ``key`` and ``job_id`` are as in :class:`JobStageChanged`, and None where it serves no row, or
    no job yet.
    """

    index: int | None = None
    key: str | None = None
    job_id: str | None = None
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class RequestSent(_OfRequest):
    """One attempt of one request was answered.

    Attributes:
        monotonic: When, in seconds of :func:`time.monotonic`.
        timestamp: When, in seconds since the epoch.
        index: The position of the row that it serves; None when it serves none, or many.
        key: The caller's own name for that row.
        job_id: The job that it serves; None before one exists.
        attempt: From 1.
        operation: ``workflow``, ``initiate``, ``presign``, ``put``, ``execute``, ``status``, ...
        kind: What it is for.
        method: The HTTP method.
        url: Without its query.
        status: The HTTP status.
        waited: Seconds for which this attempt waited directly before: for a slot, a rate, the end of a
            pause or of an outage.
        seconds: From getting its slot to the last byte of the response.
    """

    operation: str
    kind: RequestKind
    method: str
    url: str
    status: int
    waited: float = 0.0
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class RequestUnanswered(_OfRequest):
    """One attempt of one request got no complete answer, whether or not another follows.

    Attributes:
        monotonic: When, in seconds of :func:`time.monotonic`.
        timestamp: When, in seconds since the epoch.
        index: As in :class:`RequestSent`.
        key: As in :class:`RequestSent`.
        job_id: As in :class:`RequestSent`.
        attempt: From 1.
        operation: As in :class:`RequestSent`.
        kind: What it is for.
        method: The HTTP method.
        url: Without its query.
        failure: ``UNSENT`` where no byte of it can have left, else ``BROKEN``.
        waited: As in :class:`RequestSent`.
        seconds: From getting its slot to the failure.
    """

    operation: str
    kind: RequestKind
    method: str
    url: str
    failure: FailureClass
    waited: float = 0.0
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class RequestRetried(_OfRequest):
    """One attempt failed, and another will follow.

    Attributes:
        monotonic: When, in seconds of :func:`time.monotonic`.
        timestamp: When, in seconds since the epoch.
        index: As in :class:`RequestSent`.
        key: As in :class:`RequestSent`.
        job_id: As in :class:`RequestSent`.
        attempt: The attempt that failed, from 1.
        operation: As in :class:`RequestSent`.
        kind: What it is for.
        failure: What happened to it.
        status: The HTTP status; None where there was no answer, or one without a meaning.
        code: The error code in the answer, where there was one.
        reason: The failure class and what was seen, to be shown, e.g. ``throttled: HTTP 429``.
        waited: As in :class:`RequestSent`.
        seconds: From getting its slot to the failure.
        wait: Seconds until the next attempt at the earliest.
    """

    operation: str
    kind: RequestKind
    failure: FailureClass
    status: int | None = None
    code: str | None = None
    reason: str
    waited: float = 0.0
    seconds: float = 0.0
    wait: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class JobStageChanged(_Timed):
    """A job entered a stage, ended (``stage="done"``), or waits for a person (``stage="parked"``).

    Attributes:
        monotonic: When, in seconds of :func:`time.monotonic`.
        timestamp: When, in seconds since the epoch.
        index: The row's position in its run.
        key: The caller's own name for the row.
        job_id: None before one exists.
        stage: The platform's stage name; ``done`` at the end, ``parked`` while it waits for a person.
        status: The terminal status, only with ``done``; None there when none is known.
        detect_lag: With ``done``, how many seconds late the end was noticed at most; None where that has no
            bound.
        told_by: With ``done``, by what the end was noticed, ``callback`` or ``poll``; None where none was.
    """

    index: int
    key: str | None
    job_id: str | None
    stage: str
    status: str | None = None
    detect_lag: float | None = None
    told_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class JobStatusSeen(_Timed):
    """A job's status was seen for the first time, or is another than before; terminal ones too.

    Attributes:
        monotonic: When, in seconds of :func:`time.monotonic`.
        timestamp: When, in seconds since the epoch.
        index: The row's position in its run; 0 for a job that is waited for by its id.
        key: The caller's own name for the row.
        job_id: The job.
        status: By its normalised name, e.g. ``WAITING``.
    """

    index: int
    key: str | None
    job_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class UploadProgress(_OfRequest):
    """Bytes of a file were sent.

    Attributes:
        monotonic: When, in seconds of :func:`time.monotonic`.
        timestamp: When, in seconds since the epoch.
        index: As in :class:`RequestSent`. Content that several rows share is sent for the first of them.
        key: As in :class:`RequestSent`.
        job_id: As in :class:`RequestSent`.
        attempt: Of the request that sends them, from 1.
        filename: As the caller named it.
        sent: Bytes handed to the socket in this attempt.
        size: Bytes in all.
    """

    filename: str
    sent: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class HostTroubled(_Timed):
    """A host gives no good answer, went down, was given up, or is back; one event for each change.

    ``failing`` comes first, a second after the first failure: many a host is back before it counts as down.

    Attributes:
        monotonic: When, in seconds of :func:`time.monotonic`.
        timestamp: When, in seconds since the epoch.
        host: Its name; ``file storage`` for wherever files go, ``s3://bucket`` for a store of documents.
        state: Its state now.
        reason: What was seen last, to be shown, e.g. ``unsent: no connection to ...``.
        seconds: For how long it has given no good response.
    """

    host: str
    state: HostState
    reason: str
    seconds: float

    @property
    def down(self) -> bool:
        """Whether it is down, waited for or given up; a host that has only begun to fail is not."""
        return self.state in {HostState.DOWN, HostState.GIVEN_UP}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class SchemaWarning(_Timed):
    """The schema of a workflow holds what a person should know about. A client tells each warning once.

    Attributes:
        monotonic: When, in seconds of :func:`time.monotonic`.
        timestamp: When, in seconds since the epoch.
        workflow_id: The workflow.
        problem: What it is and which input it is about; its ``code`` is ``unknown_type``.
    """

    workflow_id: str
    problem: InputProblem


Event: TypeAlias = (
    RequestSent
    | RequestUnanswered
    | RequestRetried
    | HostTroubled
    | JobStageChanged
    | JobStatusSeen
    | UploadProgress
    | SchemaWarning
)
Listener: TypeAlias = Callable[[Event], Awaitable[object] | object]
"""Called with each event. A plain function runs on the event loop: keep it short. A coroutine function runs
beside the job, in the order of the events. What it raises is logged and goes no further."""
