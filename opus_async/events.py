"""What a listener is told: frozen events, and the protocol a listener follows.

Events carry no secret: URLs come without their query, headers and bodies do not come at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent:
    """One attempt of one request was answered.

    Attributes:
        operation: ``workflow``, ``initiate``, ``presign``, ``put``, ``execute``, ``status``, ...
        method: The HTTP method.
        url: Without its query.
        status: The HTTP status.
        seconds: From the moment the slot was ours to the last byte of the answer.
        attempt: From 1.
    """

    operation: str
    method: str
    url: str
    status: int
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRetried:
    """One attempt failed, and another will follow.

    Attributes:
        operation: As in :class:`RequestSent`.
        reason: The failure class and what was seen, e.g. ``throttled: HTTP 429``.
        wait: Seconds until the next attempt at the earliest.
        attempt: The attempt that failed, from 1.
    """

    operation: str
    reason: str
    wait: float
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStageChanged:
    """A job entered a stage, ended (``stage="done"``), or rests until a person acts (``stage="parked"``).

    Attributes:
        index: The row's position in its run.
        key: The caller's own name for the row.
        job_id: None before one exists.
        stage: The platform's stage name; ``done`` at the end, ``parked`` while nobody waits for it.
        status: The terminal status, only with ``done``; None there when none is known.
    """

    index: int
    key: str | None
    job_id: str | None
    stage: str
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatusSeen:
    """A job's status was seen for the first time, or is another than before; terminal ones too.

    Attributes:
        index: The row's position in its run; 0 for a job that is waited for by its id.
        key: The caller's own name for the row.
        job_id: The job.
        status: By its normalised name, e.g. ``WAITING``.
    """

    index: int
    key: str | None
    job_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadProgress:
    """Bytes of a file went out.

    Attributes:
        filename: As the caller named it.
        sent: Bytes handed to the socket in this attempt.
        size: Bytes in all.
    """

    filename: str
    sent: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTroubled:
    """A host is not there, or not well: requests to it wait. Told again when it is given up, and at the end.

    Attributes:
        host: Its name; ``file storage`` for wherever files go.
        down: Whether the trouble goes on; False when it answers again.
        reason: What was seen last, e.g. ``unsent: no connection to ...``; with ``given up, `` before it once
            requests are no longer kept waiting.
        seconds: For how long it has answered nothing good.
    """

    host: str
    down: bool
    reason: str
    seconds: float


Event: TypeAlias = (
    RequestSent | RequestRetried | HostTroubled | JobStageChanged | JobStatusSeen | UploadProgress
)
Listener: TypeAlias = Callable[[Event], Awaitable[object] | object]
"""Called with each event. A plain function runs on the event loop: keep it short. A coroutine function runs
beside the job, in the order of the events. What it raises is logged and goes no further."""
