"""What a refusal by Operativus means, and what to do about it: from its status, and from what was asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus

from opus_async.error_codes import NextAction
from opus_async.errors import QuotaExhausted
from opus_async.operativus.protocol.requests import LOGIN_PATH
from opus_async.wire.api_errors import Advice, Refusal
from opus_async.wire.messages import ApiResponse

_CORRECT = "Correct it first: the same request will be refused again"
_ADVICE: Mapping[int, Advice] = {
    400: Advice("The server refused the request", _CORRECT),
    401: Advice(
        "The token is missing, wrong or has expired",
        "Make a new one by logging in, or give user name and password, with which it is renewed",
    ),
    402: Advice(
        "The budget is used up",
        "Nothing will be accepted until it is raised: ask an administrator of the organization",
        kind=QuotaExhausted,
    ),
    403: Advice(
        "The user behind the token lacks the role for this",
        "Workflows and steps are made and changed by users with the role ADMIN: use such a user's token",
    ),
    404: Advice(
        "The server does not know this id, or it belongs to another organization",
        "Check the id, and to which organization the token's user belongs",
    ),
    405: Advice("The server has no such call", "Check the base URL, and the version of the server"),
    409: Advice(
        "The server says that it contradicts what is there",
        "A field that is required may be missing, or the id is taken: correct the request first",
        NextAction.CORRECT_INPUTS,
    ),
    413: Advice("The server finds the request too large", "Send a shorter text"),
    415: Advice("The server does not read this kind of body", "Check that no proxy changes the request"),
    422: Advice("The server refused the request", _CORRECT),
    429: Advice(
        "The server answers only that there are too many requests",
        "Lower api_rate, or try again later; other programs of the same user share its limit",
    ),
}
_LOGIN_REFUSED = Advice(
    "The user name or the password is wrong",
    "Correct OPERATIVUS_USERNAME and OPERATIVUS_PASSWORD; they are not tried again by themselves",
)
_STEP_REFUSED = Advice(
    "The server does not take this step",
    "It gives no reason: check the workflow's id, the agent's id, and to which organization they belong",
)
_NO_STEPS = Advice(
    "The server does not run this workflow",
    "A workflow without steps cannot be run: add one first; otherwise correct the request",
)
_FAILED = Advice("The server failed", "Try again later; if it goes on, look into the log of the server")
_REDIRECTED = Advice(
    "The server answered with a redirect", "Check the base URL: it is followed to no other host"
)
_STEPS = re.compile(r"/workflows/[^/]+/steps$")
_RUN = re.compile(r"/workflows/[^/]+/run$")


def adviser(answer: ApiResponse) -> Callable[[Refusal], Advice]:
    """What a refusal of this request means, as a function of the refusal."""

    def advise(refusal: Refusal) -> Advice:
        return _of_request(answer, refusal.status) or _of_status(refusal.status)

    return advise


def _of_request(answer: ApiResponse, status: int) -> Advice | None:
    """What a status means for one request alone; None where it means the usual."""
    path = answer.url.partition("?")[0]
    if status == HTTPStatus.UNAUTHORIZED and path.endswith(LOGIN_PATH):
        return _LOGIN_REFUSED
    if status == HTTPStatus.NOT_FOUND and answer.method == "POST" and _STEPS.search(path):
        return _STEP_REFUSED
    if status == HTTPStatus.BAD_REQUEST and answer.method == "POST" and _RUN.search(path):
        return _NO_STEPS
    return None


def _of_status(status: int) -> Advice:
    if status in _ADVICE:
        return _ADVICE[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _FAILED
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return _REDIRECTED
    return Advice(f"The server answered HTTP {status}", "See the detail, and the log of the server")
