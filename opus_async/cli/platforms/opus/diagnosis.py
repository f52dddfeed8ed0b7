"""What a failed call means, and what to do about it on this machine.

The errors explain themselves to a program's author. The doctor knows more: that the key was sent, whether it
has the right shape, whether another call has worked, what the base URL is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from http import HTTPStatus

from yarl import URL

from opus_async.cli.checks import Check, bad, good, risk
from opus_async.error_codes import NextAction
from opus_async.errors import (
    APIError,
    AuthenticationError,
    NotFound,
    OpusError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    ServerError,
    TransportError,
    ValidationFailed,
)
from opus_async.models import Workflow
from opus_async.opus.errors import RetiredPath
from opus_async.opus.settings import DEFAULT_BASE_URL, key_problem, resolve_key

_GATEWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_NEW_KEY = "make a new one in Opus under My Organization > settings > API Keys"


def of_host(name: str, generations: Iterable[str], found: Workflow | OpusError, base_url: str) -> Check:
    """The check of a base URL where no generation of the API answers: what answers instead.

    Args:
        name: The name of the check.
        generations: The generations that were asked.
        found: What a call there gave.
        base_url: The URL that was asked.
    """
    url = URL(base_url)
    correct = "correct OPUS_BASE_URL, or unset it to use the vendor's"
    if base_url == DEFAULT_BASE_URL:
        correct = "this is the vendor's address: ask who runs the network or the proxy what answers instead"
    nobody = f"neither {' nor '.join(generations)} answers at this base URL"
    if url.path.strip("/"):
        return bad(
            name,
            f"{nobody}, which has a path: {url.path}",
            f"give the host alone: OPUS_BASE_URL={url.origin()}",
        )
    match found:
        case AuthenticationError():
            return bad(
                name,
                f"{nobody}: what answers is for browsers only ({_seen(found)})",
                f"the key is not the problem, this looks like the web app and not like the API: {correct}",
            )
        case NotFound():
            return bad(name, f"{nobody}: there is no such path ({_seen(found)})", correct)
        case ProtocolError():
            said = f"a page comes that says {found.body!r}" if found.body else "an empty page comes"
            return bad(
                name,
                f"{nobody}: {said}",
                "open the base URL in a browser: where a log-in page or captive portal stands in between, "
                f"log in; else {correct}",
            )
    return bad(name, f"{nobody}: {found}" if isinstance(found, OpusError) else nobody, correct)


def of_call(  # noqa: PLR0911 - a table
    name: str, error: OpusError, workflow_id: str | None, *, works: bool
) -> Check:
    """The check of a live call that failed.

    Args:
        name: The name of the check.
        error: What the call failed with.
        workflow_id: The workflow that was asked for; None for an id that no workflow has.
        works: Whether another call with the same key was accepted.
    """
    match error:
        case AuthenticationError():
            return _of_key(name, error, works=works)
        case PermissionDenied():
            return _of_permission(name, error, works=works)
        case NotFound() | ValidationFailed():
            return _of_workflow(name, error, workflow_id) if workflow_id else _of_made_up_id(name, error)
        case RateLimited():
            return risk(
                name,
                f"the key works, the platform is only busy ({_seen(error)})",
                "wait until whatever else uses this key has less to do, or lower its api_rate",
            )
        case ServerError():
            return _of_outage(name, error)
        case ProtocolError():
            return bad(
                name,
                error.message,
                "check OPUS_BASE_URL; if it is the API's, report what 'opus-async workflow show ID' says",
            )
        case TransportError(retryable=False, request_sent=True):
            return bad(
                name,
                error.message,
                "where the API has moved there, set OPUS_BASE_URL to it: the key is sent to no other host by "
                "itself; where that is a log-in page, log in with a browser",
            )
    return bad(name, str(error), "try again in a few minutes; if it stays, ask the platform's support")


def _of_key(name: str, error: AuthenticationError, *, works: bool) -> Check:
    if works:
        return bad(
            name,
            f"the key works, but not to read a workflow ({_seen(error)})",
            "try the other generation with --api; if that refuses it too, ask the platform's support",
        )
    if error.next_step and error.next_step.action is NextAction.SET_KEY:
        return bad(
            name,
            f"the key was sent and did not arrive ({_seen(error)})",
            "a proxy or gateway in between removes the header x-service-key: have it let through",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = key_problem(resolve_key(None))
    if problem:
        return bad(name, f"the key is refused ({_seen(error)})", f"{problem}; or {_NEW_KEY}")
    return bad(
        name,
        f"the key is refused ({_seen(error)})",
        f"copy it again, or {_NEW_KEY}: keys expire, and die with their user",
    )


def _of_permission(name: str, error: PermissionDenied, *, works: bool) -> Check:
    if works:
        return bad(
            name,
            f"the key works, but its user may not read workflows ({_seen(error)})",
            "ask an administrator of the organization for the permission that is named here; for the details "
            'of a workflow, v1 wants "Workflow: Full"',
        )
    return bad(
        name,
        f"every call is refused ({_seen(error)})",
        "ask an administrator of the organization for the permission that is named here; if none is, ask who "
        "runs the firewall, or the list of allowed addresses",
    )


def _of_workflow(name: str, error: APIError, workflow_id: str) -> Check:
    match error:
        case RetiredPath():
            return bad(
                name,
                f"the key works, but workflow {workflow_id} has no details any more ({_seen(error)})",
                "use the UUID that its page in Opus shows; if this is the UUID, rebuild the workflow there: "
                "it was made with an old builder",
            )
        case ValidationFailed():
            return bad(
                name,
                f"the key works, but workflow {workflow_id} cannot be asked for ({_seen(error)})",
                "copy the id again: 16 characters, or the UUID that the workflow's page in Opus shows",
            )
    return bad(
        name,
        f"the key works, but workflow {workflow_id} is unknown to it ({_seen(error)})",
        "check the id, and that the key's user belongs to the organization and the workspace it lives in",
    )


def _of_made_up_id(name: str, error: APIError) -> Check:
    if isinstance(error, RetiredPath):
        return risk(
            name,
            f"the key works; the details of a workflow come for its UUID only ({_seen(error)})",
            "use the UUID that the workflow's page in Opus shows, not its 16 characters",
        )
    return good(name, f"the key works (HTTP {error.status} to a made-up id, as it should be)")


def _of_outage(name: str, error: ServerError) -> Check:
    who = "the platform failed"
    if error.status in _GATEWAY:
        who = "a gateway answers, and the platform behind it does not"
    quoting = f", quoting the request id {error.request_id}" if error.request_id else ""
    return bad(
        name,
        f"{who} ({_seen(error)})",
        f"try again in a few minutes; if it stays, ask the platform's support{quoting}",
    )


def _seen(error: APIError) -> str:
    """The status and the platform's own words."""
    return f"HTTP {error.status}: {error.detail}" if error.detail else f"HTTP {error.status}"
