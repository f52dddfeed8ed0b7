"""What Operativus refuses: problem+json, an empty body, or the form of a 401 that its gate gives.

Most 404 answers are empty: controllers build them without a body.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from opus_async.simulator.answers import Answer
from opus_async.simulator.operativus import traits

PROBLEM_TYPE: Final = "application/problem+json"


class Problem(Exception):
    """A request that is refused.

    Attributes:
        status: The HTTP status.
        kind: The end of its `urn:problem-type:`; empty for `about:blank`.
        title: Its title.
        detail: Its sentence.
        more: Further members.
        headers: Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.more = more
        self.headers = headers or {}

    def answer(self, path: str, active: frozenset[str]) -> Answer:
        """Return it as an answer; `path` is its `instance`."""
        if traits.ERRORS_EMPTY in active:
            return Answer(self.status, b"", content_type="", headers=self.headers)
        body = {
            "type": f"urn:problem-type:{self.kind}" if self.kind else "about:blank",
            "title": self.title,
            "status": int(self.status),
            "detail": self.detail,
            "instance": path,
            **self.more,
        }
        return Answer(self.status, json.dumps(body).encode(), PROBLEM_TYPE, self.headers)


class Missing(Problem):
    """What does not exist, or belongs to another organization: 404 with an empty body."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, "resource-not-found", "Resource Not Found", "Not found.")

    def answer(self, path: str, active: frozenset[str]) -> Answer:
        """Return it as an answer: without a body unless a trait gives it one."""
        if traits.PROBLEM_404 in active:
            return super().answer(path, active)
        return Answer(self.status, b"", content_type="")


class Unauthenticated(Problem):
    """No token, or one that is wrong or has expired: 401 in the form of the server's gate."""

    def __init__(self, timestamp: str) -> None:
        super().__init__(HTTPStatus.UNAUTHORIZED, "", "Unauthorized", "Full authentication is required")
        self.timestamp = timestamp

    def answer(self, path: str, active: frozenset[str]) -> Answer:
        """Return it as an answer: no problem+json."""
        if traits.ERRORS_EMPTY in active:
            return super().answer(path, active)
        body = {"timestamp": self.timestamp, "status": 401, "error": "Unauthorized", "path": path}
        return Answer(self.status, json.dumps(body).encode(), "application/json")


def forbidden() -> Problem:
    """Return the refusal of a caller whose role is missing."""
    return Problem(HTTPStatus.FORBIDDEN, "forbidden", "Forbidden", "Access is denied.")


def invalid(field: str, message: str) -> Problem:
    """Return the refusal of a field of the body by validation."""
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "invalid-request",
        "Invalid Request Content",
        "Validation failed for one or more arguments.",
        invalidParams=[{"field": field, "message": message}],
    )


def rule_broken(detail: str) -> Problem:
    """Return the refusal of a request that a rule of the business forbids."""
    return Problem(
        HTTPStatus.BAD_REQUEST, "business-validation-error", "Business Validation Error", detail, errors=[]
    )


def invalid_argument(detail: str) -> Problem:
    """Return the refusal of an argument that is out of its range."""
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-argument", "Invalid Argument", detail)


def malformed() -> Problem:
    """Return the refusal of a body that cannot be read."""
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "malformed-request-body",
        "Malformed Request Body",
        "The request body could not be parsed. Ensure it is valid JSON matching the endpoint's schema.",
    )


def conflict(column: str, table: str) -> Problem:
    """Return the refusal of a row that its table does not take: also one whose column is missing."""
    return Problem(
        HTTPStatus.CONFLICT,
        "resource-already-exists",
        "Resource Already Exists",
        "A record with the same identifier or unique value already exists.",
        hint=f'ERROR: null value in column "{column}" of relation "{table}" violates not-null constraint',
    )


def server_error() -> Problem:
    """Return the answer to what the server did not expect, also a sort field that does not exist."""
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal-server-error",
        "Internal Server Error",
        "An unexpected error occurred.",
    )


def too_many_requests(wait: int) -> Problem:
    """Return the refusal of a caller who asks too often; `wait` in seconds."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "",
        "Too Many Requests",
        "Rate limit exceeded. Please slow down.",
        headers={"Retry-After": str(wait)},
    )


def budget_exhausted() -> Problem:
    """Return the 402 of a used-up budget."""
    return Problem(
        HTTPStatus.PAYMENT_REQUIRED,
        "finops-daily-budget-exhausted",
        "Daily Budget Exhausted",
        "Your organization has reached its daily FinOps spend cap.",
    )
