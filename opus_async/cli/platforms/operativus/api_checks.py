"""Makes one live call with the token, or after a log-in, and says what it means if that fails."""

from __future__ import annotations

import warnings

from yarl import URL

from opus_async.cli.checks import PATIENCE, Check, bad, good, risk, skipped
from opus_async.cli.platforms.operativus import ENTRY
from opus_async.config import RetryPolicy, Timeouts
from opus_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    NotFound,
    OpusError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    ServerError,
)
from opus_async.operativus.client import OperativusClient
from opus_async.operativus.settings import Login, resolve_credentials

RETRY_SECONDS = 3.0
"""Seconds over which a call is repeated; what lasts longer is reported."""
(CALL,) = ENTRY.live_steps


async def examine(base_url: str, workflow_id: str | None) -> list[Check]:
    """Read a workflow, or the list of workflows where none is named.

    Args:
        base_url: The server's URL.
        workflow_id: The workflow; None for any.
    """
    try:
        login = isinstance(resolve_credentials(None, None, None), Login)
        client = _client()
    except ConfigurationError:  # said already
        return [skipped(CALL, "needs what has to be mended above")]
    async with client:
        try:
            return [good(CALL, f"{_what_works(login=login)}; {await _read(client, workflow_id)}")]
        except OpusError as error:
            return [_failed(error, base_url, workflow_id, login=login)]


async def _read(client: OperativusClient, workflow_id: str | None) -> str:
    """What a call found, in words."""
    if workflow_id is None:
        async for workflow in client.workflows.list(page_size=1):
            return f"there are workflows, {workflow.name!r} for example"
        return "there are no workflows yet"
    found = await client.workflows.get(workflow_id)
    steps = await client.steps.list(workflow_id)
    return f"workflow {found.name!r}, steps: {len(steps)}"


def _what_works(*, login: bool) -> str:
    return "the log-in works" if login else "the token works"


def _failed(error: OpusError, base_url: str, workflow_id: str | None, *, login: bool) -> Check:  # noqa: PLR0911 - a table
    """The check of a call that failed."""
    match error:
        case AuthenticationError() if login:
            return bad(
                CALL,
                f"user name or password is refused ({_seen(error)})",
                "correct OPERATIVUS_USERNAME and OPERATIVUS_PASSWORD",
            )
        case AuthenticationError():
            return bad(
                CALL,
                f"the token is refused ({_seen(error)})",
                "make a new one by logging in: tokens live for a day; or set OPERATIVUS_USERNAME and "
                "OPERATIVUS_PASSWORD, and they are renewed by themselves",
            )
        case PermissionDenied():
            return bad(
                CALL,
                f"the user may not read workflows ({_seen(error)})",
                "ask an administrator for the role",
            )
        case NotFound() if workflow_id is not None:
            return bad(
                CALL,
                f"{_what_works(login=login)}, but workflow {workflow_id} is unknown to it ({_seen(error)})",
                "check the id, and that the user belongs to its organization",
            )
        case NotFound() | ProtocolError():
            path = URL(base_url).path.strip("/")
            why = f"which has a path: /{path}" if path else "so what answers is no Operativus"
            return bad(
                CALL,
                f"there is no API of Operativus at {base_url}, {why} ({_seen(error)})",
                "give the host alone in OPERATIVUS_BASE_URL, and see that its port is the server's",
            )
        case RateLimited():
            return risk(
                CALL,
                f"{_what_works(login=login)}, the server is only busy ({_seen(error)})",
                "wait until whatever else uses this user has less to do",
            )
        case ServerError():
            return bad(CALL, f"the server failed ({_seen(error)})", "try again in a few minutes; see its log")
    return bad(CALL, str(error), "try again in a few minutes; see the log of the server")


def _seen(error: OpusError) -> str:
    """The status and the server's own words."""
    if not isinstance(error, APIError):
        return error.message
    return f"HTTP {error.status}: {error.detail}" if error.detail else f"HTTP {error.status}"


def _client() -> OperativusClient:
    """A client that soon gives up, and does not warn: the settings have been checked already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OperativusClient(
            retry=RetryPolicy(attempts=3, max_elapsed=RETRY_SECONDS, base=0.2),
            timeouts=Timeouts(connect=PATIENCE, request=PATIENCE),
        )
