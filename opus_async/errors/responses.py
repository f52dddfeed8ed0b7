"""Errors of responses: the platform refused a request, or its response makes no sense."""

from __future__ import annotations

from collections.abc import Mapping

from opus_async.error_codes import ErrorCode, NextAction
from opus_async.errors.base import OpusError
from opus_async.models.mappings import EMPTY


class APIError(OpusError):
    """The platform refused a request, or failed to serve it.

    Attributes:
        status: The HTTP status, or the ``statusCode`` inside a 200 that is none.
        code: The platform's machine-readable code, where it gives one.
        detail: The platform's own words, every message of a list, shortened.
        request_id: The value of a request-id header, to quote to the vendor's support.
        attempt: Which attempt got this answer, from 1.
        method: The HTTP method.
        url: The URL without its query.
        retry_after: Seconds the platform asked to wait, already capped; None where it did not say.
        invalid_fields: Field of the request -> why it was refused, where the platform says; the reason can be
            empty.
    """

    error_code = ErrorCode.REFUSED

    retry_after: float | None = None
    invalid_fields: Mapping[str, str] = EMPTY

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        detail: str = "",
        request_id: str | None = None,
        attempt: int = 1,
        method: str = "",
        url: str = "",
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.attempt = attempt
        self.method = method
        self.url = url

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}"]
        if self.method:
            facts.append(f"{self.method} {self.url}")
        if self.attempt > 1:
            facts.append(f"attempt {self.attempt}")
        if self.request_id:
            facts.append(f"request id {self.request_id}")
        return f"{super().__str__()} ({', '.join(facts)})"


class AuthenticationError(APIError):
    """401: the service key is missing, wrong or expired."""

    error_code = ErrorCode.AUTHENTICATION
    usual_action = NextAction.CHECK_KEY


class PermissionDenied(APIError):
    """403: the user behind the key lacks a permission."""

    error_code = ErrorCode.PERMISSION_DENIED
    usual_action = NextAction.ASK_FOR_PERMISSION


class NotFound(APIError):
    """404: no such id, or not visible to this key."""

    error_code = ErrorCode.NOT_FOUND
    usual_action = NextAction.CHECK_ID


class ValidationFailed(APIError):
    """400, 413 or 422: the platform understood the request and refused it."""

    error_code = ErrorCode.VALIDATION_FAILED
    usual_action = NextAction.CORRECT_INPUTS


class RateLimited(APIError):
    """429, and nothing but 429, for longer than it is worth waiting."""

    error_code = ErrorCode.RATE_LIMITED
    usual_action = NextAction.SLOW_DOWN


class QuotaExhausted(APIError):
    """The plan's or the budget's limit is used up: nothing will be accepted until it is raised.

    402, or another refusal that says so in unmistakable words. Never repeated.
    """

    error_code = ErrorCode.QUOTA_EXHAUSTED
    usual_action = NextAction.RAISE_QUOTA


class ServerError(APIError):
    """5xx after the last retry."""

    error_code = ErrorCode.SERVER_ERROR
    usual_action = NextAction.TRY_LATER


class ProtocolError(OpusError):
    """The response of the platform cannot be understood.

    Attributes:
        body: The beginning of the response, for a bug report.
        retryable: Whether the same request may be answered better a moment later.
    """

    error_code = ErrorCode.PROTOCOL
    usual_action = NextAction.CHECK_CONNECTION

    retryable = True

    def __init__(
        self, message: str, *, body: str = "", job_id: str | None = None, stage: str | None = None
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.body = body


class MixedUpAnswer(ProtocolError):
    """The response is about another job, or another workflow, than was asked about.

    The request is repeated on a new connection before this is raised; after an ``execute`` it cannot be
    known whether the job was started.

    Attributes:
        asked: The id that was asked about.
        named: The id that the answer names.
    """

    error_code = ErrorCode.MIXED_UP_ANSWER

    def __init__(self, message: str, *, asked: str, named: str, body: str = "") -> None:
        super().__init__(message, body=body)
        self.asked = asked
        self.named = named
