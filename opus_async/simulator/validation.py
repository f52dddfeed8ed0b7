"""What the vendor refuses in the body of a request, as the list of messages of a 400.

One function per operation, from the decoded body to messages; an empty list is a good body. The values
inside an execute payload are judged in `payload`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opus_async.simulator.workflows import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES = ("email-agent", "chat-agent", "scheduled", "api", "manual", "agent", "opus-ai", "web-app")
ACCESS_SCOPES = ("all", "user", "workspace", "organization")
CALLBACK_MESSAGE = "callbackUrl must be a URL address"

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

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
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
    if not _absent(body, "workflowVersionId"):
        problems += _uuid(body, "workflowVersionId")
    number = body.get("workflowVersionNumber")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
        problems.append("workflowVersionNumber must be a number conforming to the specified constraints")
    for name in ("title", "description", "refUserId", "workspaces", "webAppId"):
        problems += _strings(body, name)
    if not _absent(body, "source") and body["source"] not in SOURCES:
        problems.append(f"source must be one of the following values: {', '.join(SOURCES)}")
    if not _absent(body, "initialInput") and not isinstance(body["initialInput"], dict):
        problems.append("initialInput must be an object")
    return problems


def check_presign(body: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the body of POST /job/file/upload."""
    problems = _strings(body, "fileExtension", required=True)
    # Several clients send the extension without a dot, and that works.
    if not problems and "." + body["fileExtension"].removeprefix(".") not in EXTENSIONS:
        problems.append(f"fileExtension must be one of the following values: {', '.join(EXTENSIONS)}")
    scope = body.get("accessScope")
    if scope is not None and scope not in ACCESS_SCOPES:
        problems.append(f"accessScope must be one of the following values: {', '.join(ACCESS_SCOPES)}")
    for name in ("originalName", "workspaceId", "workflowId"):
        problems += _strings(body, name)
    if scope == "workspace" and _absent(body, "workspaceId") and _absent(body, "workflowId"):
        problems.append("workspaceId or workflowId is required when accessScope is workspace")
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


def unknown_fields(body: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    """Return the fields of `body` that the documentation does not name, sorted."""
    return sorted(set(body) - known)


def is_uuid(value: object) -> bool:
    """Whether `value` is the text of a UUID."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


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


def _uuid(body: Mapping[str, Any], name: str) -> list[str]:
    return [] if is_uuid(body.get(name)) else [f"{name} must be a UUID"]
