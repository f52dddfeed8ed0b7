"""Failed attempts, classified: what an error says happened to the request."""

from __future__ import annotations

from typing import NamedTuple

from opus_async.errors import (
    APIError,
    DownloadError,
    NotFound,
    OpusError,
    ProtocolError,
    QuotaExhausted,
    TransportError,
    UploadError,
)
from opus_async.events import FailureClass

__all__ = ["Failure", "classify"]

_TOO_MANY = 429
_UNAVAILABLE = 503
_NOT_IMPLEMENTED = 501
_SERVER_ERRORS = 500
_WORTH_REPEATING = frozenset({408, 425})
"""Request Timeout and Too Early: the server says itself that the same request may come again."""
_STORAGE_SLOW = frozenset({"SlowDown", "ServiceUnavailable", "RequestLimitExceeded"})
_STORAGE_AGAIN = frozenset({"RequestTimeout", "InternalError", "OperationAborted"})


class Failure(NamedTuple):
    """A failed attempt.

    Attributes:
        error: What it raised.
        kind: What happened to the request.
        status: The HTTP status of the response; None where there was none, or none that counts.
        code: The error code in the response, where there was one.
        retry_after: Seconds the server asked to wait; None where it did not say.
        retryable: False where only a person can mend it: a certificate that is not trusted, say.
    """

    error: OpusError
    kind: FailureClass
    status: int | None
    code: str | None
    retry_after: float | None
    retryable: bool

    @classmethod
    def of(cls, error: OpusError) -> Failure:
        """Classify an error."""
        status, code = None, None
        if isinstance(error, APIError | UploadError | DownloadError):
            status, code = error.status, error.code
        return cls(
            error,
            kind=classify(error),
            status=status,
            code=None if status is None else code,
            retry_after=error.retry_after if isinstance(error, APIError) else None,
            retryable=not isinstance(error, TransportError | ProtocolError) or error.retryable,
        )

    @property
    def reason(self) -> str:
        """The class and what was seen, to be shown: ``overloaded: HTTP 503 SlowDown``."""
        if self.status is None:
            return f"{self.kind.value}: {self.error.message}"
        seen = f"HTTP {self.status} {self.code}" if self.code else f"HTTP {self.status}"
        return f"{self.kind.value}: {seen}"


def classify(error: OpusError) -> FailureClass:  # noqa: PLR0911 - a table
    """What this error says happened to the request."""
    if error.shortage:
        return FailureClass.SHORTAGE
    match error:
        case NotFound() | QuotaExhausted():
            return FailureClass.REFUSED  # whatever the status: some answers say so with a 500, or a 429
        case TransportError():
            return FailureClass.BROKEN if error.request_sent else FailureClass.UNSENT
        case UploadError(status=None) | DownloadError(status=None):
            return FailureClass.REFUSED
        case UploadError(code=code) | DownloadError(code=code) if code in _STORAGE_SLOW:
            return FailureClass.OVERLOADED
        case UploadError(code=code) | DownloadError(code=code) if code in _STORAGE_AGAIN:
            return FailureClass.SERVER
        case APIError() | UploadError() | DownloadError():
            return _classify_status(error.status or 0)
        case ProtocolError():
            return FailureClass.GARBLED
    return FailureClass.REFUSED


def _classify_status(status: int) -> FailureClass:
    if status == _TOO_MANY:
        return FailureClass.THROTTLED
    if status == _UNAVAILABLE:
        return FailureClass.OVERLOADED
    if status in _WORTH_REPEATING or (status >= _SERVER_ERRORS and status != _NOT_IMPLEMENTED):
        return FailureClass.SERVER
    return FailureClass.REFUSED
