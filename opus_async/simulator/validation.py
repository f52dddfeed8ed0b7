"""Checks the body of a request, and gives what the vendor refuses as the list of messages of a 400.

One function per operation, from the decoded body to messages; an empty list is a good body. The values
inside an execute payload are judged in `payload`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opus_async.simulator.sigv4 import LONGEST_EXPIRY
from opus_async.simulator.workflows import EXTENSIONS, is_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES = ("email-agent", "chat-agent", "scheduled", "api", "manual", "agent", "opus-ai", "web-app")
ACCESS_SCOPES = ("all", "user", "workspace", "organization")
CASE_ACCESS_SCOPES = ("workspace", "unlisted")
CALLBACK_MESSAGE = "callbackUrl must be a URL address"
WORKFLOW_MESSAGE = "workspaceId or workflowId is required"

INITIATE_FIELDS = frozenset(
    {
        "workflowId",
        "referenceEntityId",
        "workflowVersionId",
        "workflowVersionNumber",
        "title",
        "description",
        "refUserId",
        "source",
        "workspaces",
        "initialInput",
        "webAppId",
    }
)
PRESIGN_FIELDS = frozenset({"fileExtension", "accessScope", "originalName", "workspaceId", "workflowId"})
EXECUTE_FIELDS = frozenset({"jobExecutionId", "jobPayloadSchemaInstance", "callbackUrl", "workspaces"})
CASE_FIELDS = frozenset({"workflowId", "title", "description", "workflowVersionNumber", "workflowVersionId"})
CASE_EXECUTE_FIELDS = frozenset({"payload", "callbackUrl"})
DOWNLOAD_FIELDS = frozenset({"fileUrl", "workspaceId", "customExpiry"})

_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def check_initiate(body: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the body of POST /job/initiate."""
    problems: list[str] = []
    if _absent(body, "referenceEntityId"):
        if _absent(body, "workflowId"):
            problems.append("workflowId should not be empty")
        problems += _strings(body, "workflowId", required=True)
    else:
        problems += _uuid(body, "referenceEntityId")
    problems += _version(body)
    for name in ("title", "description", "refUserId", "workspaces", "webAppId"):
        problems += _strings(body, name)
    if not _absent(body, "source") and body["source"] not in SOURCES:
        problems.append(f"source must be one of the following values: {', '.join(SOURCES)}")
    if not _absent(body, "initialInput") and not isinstance(body["initialInput"], dict):
        problems.append("initialInput must be an object")
    return problems


def check_case(body: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the body of POST /api/v1/case."""
    problems: list[str] = []
    for name in ("workflowId", "title", "description"):
        problems += _filled(body, name)
    return problems + _version(body)


def check_presign(body: Mapping[str, Any], *, workflow_required: bool = False) -> list[str]:
    """Return what is wrong with the body of POST /job/file/upload."""
    problems = _extension(body) + _one_of(body, "accessScope", ACCESS_SCOPES)
    scope = body.get("accessScope")
    for name in ("originalName", "workspaceId", "workflowId"):
        problems += _strings(body, name)
    if _absent(body, "workspaceId") and _absent(body, "workflowId"):
        if workflow_required:
            problems.append(WORKFLOW_MESSAGE)
        elif scope == "workspace":
            problems.append(f"{WORKFLOW_MESSAGE} when accessScope is workspace")
    return problems


def check_case_presign(body: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the body of POST /api/v1/file/upload/presigned."""
    problems = _extension(body) + _filled(body, "originalName")
    problems += _one_of(body, "accessScope", CASE_ACCESS_SCOPES)
    for name in ("workspaceId", "workflowId"):
        problems += _strings(body, name)
    if _absent(body, "workspaceId") and _absent(body, "workflowId"):
        problems.append(WORKFLOW_MESSAGE)
    return problems


def check_execute(body: Mapping[str, Any], *, callback_required: bool) -> list[str]:
    """Return what is wrong with the body of POST /job/execute, apart from the values of its payload."""
    problems = _strings(body, "jobExecutionId", required=True)
    if body.get("jobExecutionId") == "":
        problems.append("jobExecutionId should not be empty")
    if not isinstance(body.get("jobPayloadSchemaInstance"), dict):
        problems.append("jobPayloadSchemaInstance must be an object")
    if _absent(body, "callbackUrl"):
        if callback_required:
            problems.append(CALLBACK_MESSAGE)
    elif not is_callback_url(body["callbackUrl"]):
        problems.append(CALLBACK_MESSAGE)
    return problems + _strings(body, "workspaces")


def check_download(body: Mapping[str, Any], *, workspace_required: bool) -> list[str]:
    """Return what is wrong with the body of POST /job/file/download."""
    problems = _strings(body, "fileUrl", required=True)
    problems += _strings(body, "workspaceId", required=workspace_required)
    expiry = body.get("customExpiry")
    if expiry is None:
        return problems
    if isinstance(expiry, bool) or not isinstance(expiry, int):
        return [*problems, "customExpiry must be an integer number"]
    if expiry < 1:
        problems.append("customExpiry must not be less than 1")
    if expiry > LONGEST_EXPIRY:
        problems.append(f"customExpiry must not be greater than {LONGEST_EXPIRY}")
    return problems


def check_case_execute(body: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the body of POST /api/v1/case/{id}/execute, apart from its values."""
    problems = [] if isinstance(body.get("payload"), dict) else ["payload must be an object"]
    if not _absent(body, "callbackUrl") and not is_callback_url(body["callbackUrl"]):
        problems.append(CALLBACK_MESSAGE)
    return problems


def unknown_fields(body: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    """Return the fields of `body` that the documentation does not name, sorted."""
    return sorted(set(body) - known)


def is_callback_url(value: object) -> bool:
    """Whether `value` is an HTTPS URL with a proper host, or an HTTP URL on a loopback host."""
    if not isinstance(value, str) or not value.isascii() or value.split() != [value]:
        return False
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "http":
        return _is_loopback(host)
    return parts.scheme == "https" and (_is_host_name(host) or _is_address(host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_host_name(host: str) -> bool:
    if host == "localhost":
        return True
    labels = host.rstrip(".").split(".")
    return len(labels) > 1 and all(_HOST_LABEL.fullmatch(label) for label in labels)


def _absent(body: Mapping[str, Any], name: str) -> bool:
    return body.get(name) is None


def _strings(body: Mapping[str, Any], name: str, *, required: bool = False) -> list[str]:
    if _absent(body, name) and not required:
        return []
    return [] if isinstance(body.get(name), str) else [f"{name} must be a string"]


def _filled(body: Mapping[str, Any], name: str) -> list[str]:
    empty = [f"{name} should not be empty"] if body.get(name) in (None, "") else []
    return empty + _strings(body, name, required=True)


def _one_of(body: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> list[str]:
    if _absent(body, name) or body[name] in choices:
        return []
    return [f"{name} must be one of the following values: {', '.join(choices)}"]


def _extension(body: Mapping[str, Any]) -> list[str]:
    problems = _strings(body, "fileExtension", required=True)
    # Several clients send the extension without a dot, and that works.
    if not problems and "." + body["fileExtension"].removeprefix(".") not in EXTENSIONS:
        problems.append(f"fileExtension must be one of the following values: {', '.join(EXTENSIONS)}")
    return problems


def _version(body: Mapping[str, Any]) -> list[str]:
    problems = [] if _absent(body, "workflowVersionId") else _uuid(body, "workflowVersionId")
    number = body.get("workflowVersionNumber")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
        problems.append("workflowVersionNumber must be a number conforming to the specified constraints")
    return problems


def _uuid(body: Mapping[str, Any], name: str) -> list[str]:
    return [] if is_uuid(body.get(name)) else [f"{name} must be a UUID"]
