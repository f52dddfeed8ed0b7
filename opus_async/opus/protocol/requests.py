"""Helpers for building requests: path segments, query strings and bodies, checked before anything is sent."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from opus_async.errors import ConfigurationError, InvalidInputs
from opus_async.input_problems import bad_argument
from opus_async.opus.protocol.api_messages import InitiateFields
from opus_async.opus.protocol.json_values import to_jsonable
from opus_async.opus.protocol.pasted_ids import IdKind, id_in
from opus_async.wire.messages import ApiRequest
from opus_async.wire.requests import encoded_segment, given, query, sendable

UNUSED_CALLBACK = "https://callback.opus-async.invalid/unused"
"""Sent where the caller has no callback: newer docs require a URL, and a result that is posted to a host one
does not own is a leak. Names under ``.invalid`` never resolve (RFC 6761)."""

SOURCES = ("email-agent", "chat-agent", "scheduled", "api", "manual", "agent", "opus-ai", "web-app")
"""What ``initiate`` may name as the origin of a job (vendor page "Initiate Job")."""

DEFAULT_TITLE = "opus_async job"
DEFAULT_DESCRIPTION = "Started with opus_async"
"""The older docs require both texts, the newer ones do not: they are always sent."""

_KINDS = {"workflow id": IdKind.WORKFLOW, "job id": IdKind.JOB, "case id": IdKind.JOB}
"""What an id is called in a message -> what it is of."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def segment(identifier: str | int, what: str) -> str:
    """Encode an id as one segment of a path: whatever is in it, it cannot lead to another path.

    Raises:
        InvalidInputs: It is empty, or cannot be written as UTF-8.
    """
    return encoded_segment(named(identifier, what))


def is_uuid(identifier: str) -> bool:
    """Whether an id is written as a UUID, with its four dashes."""
    return _UUID.fullmatch(identifier) is not None


def workflow_details(
    path: str, workflow_id: str, *, version: int | None, version_id: str | None
) -> ApiRequest:
    """Ask for a workflow's schema; ``version_id`` wins on the platform when both are given."""
    asked = query(version=version, workflowVersionId=version_id)
    named_one = named(workflow_id, "workflow id")
    return ApiRequest(operation="workflow", method="GET", path=path + asked, workflow_id=named_one)


def callback(url: str, *, plain_http: bool = False) -> str:
    """Check a callback URL, and return it unchanged.

    Args:
        url: The URL.
        plain_http: Whether http is enough, because the API itself is on this machine.

    Raises:
        ConfigurationError: It is no https URL with a host. The message does not quote it, since its path
            can be a secret.
    """
    problem = _callback_problem(url, plain_http=plain_http)
    if problem:
        raise ConfigurationError(
            f"The callback URL {problem}; expected like https://your-app.example.com/opus/callback. "
            "Leave it out to wait by polling alone."
        )
    return url


def _callback_problem(url: str, *, plain_http: bool) -> str | None:
    if not url.strip():
        return "is empty"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "holds a space or a character that must be percent-encoded"
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a port that is none
    except ValueError as error:
        return f"cannot be read ({error})"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "does not begin with https:// and a host"
    if parts.scheme == "http" and not plain_http:
        return "must be https: the platform posts results to it, and this API is on another machine"
    return None


def initiate_body(fields: InitiateFields) -> dict[str, Any]:
    """Make the body of ``initiate``: title and description always, every other field only if it is given.

    ``referenceEntityId`` wins on the platform when both ids are sent.

    Raises:
        InvalidInputs: No workflow is named, the source is not in ``SOURCES``, or ``initial_input`` is no
            JSON.
    """
    workflow_id = workflow_named(fields.workflow_id)
    problems = []
    if not workflow_id and not fields.reference_entity_id:
        problems.append(
            bad_argument("give workflow_id or reference_entity_id: a job is always of one workflow")
        )
    if fields.source is not None and fields.source not in SOURCES:
        problems.append(bad_argument(f"source must be one of {', '.join(SOURCES)}"))
    initial_input = None
    if fields.initial_input is not None:
        try:
            initial_input = to_jsonable(fields.initial_input)
        except ValueError as error:
            problems.append(bad_argument(f"initial_input {error}"))
    if problems:
        raise InvalidInputs(problems)
    return given(
        workflowId=workflow_id,
        referenceEntityId=workflow_named(fields.reference_entity_id),
        workflowVersionId=fields.version_id,
        workflowVersionNumber=fields.version_number,
        title=_or_default(fields.title, DEFAULT_TITLE),
        description=_or_default(fields.description, DEFAULT_DESCRIPTION),
        refUserId=fields.ref_user_id,
        source=fields.source,
        workspaces=fields.workspaces,
        initialInput=initial_input,
        webAppId=fields.web_app_id,
    )


def named(identifier: str | int, what: str) -> str:
    """Return an id as text, also of a page's link; the API itself may send numbers.

    Raises:
        InvalidInputs: It is no id, it is empty, a link that names none, or cannot be written as UTF-8.
    """
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        return str(identifier)
    if not isinstance(identifier, str):
        raise InvalidInputs([bad_argument(f"the {what} is a {type(identifier).__name__}, not text")])
    found = id_in(identifier, _KINDS[what])
    if not found:
        raise InvalidInputs([bad_argument(f"the {what} is empty")])
    try:
        return sendable(found)
    except ValueError as error:
        raise InvalidInputs([bad_argument(f"the {what} {error}")]) from None


def workflow_named(identifier: str | None) -> str | None:
    """A workflow id for a body or a query, also of a page's link; None where none is given.

    Raises:
        InvalidInputs: As for :func:`named`.
    """
    return named(identifier, "workflow id") if identifier else None


def _or_default(text: str | None, default: str) -> str:
    return text if text and text.strip() else default
