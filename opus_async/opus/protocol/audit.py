"""Audits: what each node of a job did. Reads every shape seen -> ``AuditLog``.

Three are documented: the old textual ``auditTrail``, and node by node in snake_case (v0) or camelCase (v1).
An audit explains a failure that is known already, so that nothing in it may raise: what cannot be read is
left out and stays in ``raw``. It goes into errors, logs and reports, so the secrets of whoever asked are
masked in all of it; the results of a job, which are the user's own data, are handed on as they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opus_async.models import NODE_FAILED, AuditEntry, AuditLog, AuditNode, OutputValue
from opus_async.opus.protocol.outcomes import variables
from opus_async.opus.protocol.responses import body_of_accepted
from opus_async.redaction import Mask, mask_values
from opus_async.wire.excerpts import as_it_is, excerpt
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import first_of, identifier, text
from opus_async.wire.timestamps import MILLISECONDS_FROM, number, to_epoch

_NAMES = ("name", "node_name", "nodeName", "label", "display_name", "displayName", "id", "node_id", "nodeId")
_ERRORS = ("error", "error_message", "errorMessage", "execution_error", "executionError", "failure_reason")
_ERRORS_OF_FAILED = (*_ERRORS, "message", "reason")
_OVER = NODE_FAILED | {"COMPLETED", "CANCELLED", "CANCELED", "TIMED_OUT"}


def read_audit(answer: ApiResponse) -> AuditLog:
    """Read an audit, in any shape seen.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON.
    """
    return audit_of(body_of_accepted(answer), answer.mask)


def audit_of(body: Any, mask: Mask = as_it_is) -> AuditLog:
    """Make an audit of JSON; what makes no sense gives an empty audit that keeps it in ``raw``."""
    body = mask_values(body, mask)
    audit = first_of(body, "audit", "data") if isinstance(body, dict) else body
    places = [place for place in (body, audit) if isinstance(place, dict)]
    listed = audit if isinstance(audit, list) else _first(places, "auditTrail", "audit_trail")
    told = _first(places, "nodes_execution_data", "nodesExecutionData")
    named = _named(places, "failed_nodes", "failedNodes")
    listing = listed if told is None else told
    nodes = tuple(sorted(_nodes(listing, frozenset(named), mask), key=_by_start))
    failed = [*named, *(node.name for node in nodes if node.status in NODE_FAILED)]
    executed = _named(places, "executed_nodes", "executedNodes")
    executed = executed or [node.name for node in nodes if node.status in _OVER]
    count = _whole(_first(places, "nb_executed_nodes", "nbExecutedNodes"))
    return AuditLog(
        nodes=nodes,
        failed_nodes=tuple(dict.fromkeys(failed)),
        executed_nodes=tuple(dict.fromkeys(executed)),
        executed_count=len(set(executed)) or count,
        remaining_nodes=tuple(_named(places, "remaining_nodes_to_execute", "remainingNodesToExecute")),
        running_node=next(iter(_named(places, "running_node", "runningNode")), None),
        total_nodes=_whole(_first(places, "nb_nodes", "nbNodes")),
        trail=tuple(_trail(listed)),
        raw=body,
    )


def _nodes(data: Any, failed: frozenset[str], mask: Mask) -> Iterator[AuditNode]:
    """The nodes, which are a mapping by name or a list of objects that hold theirs."""
    if isinstance(data, dict):
        for name, entry in data.items():
            yield _node(name, entry if isinstance(entry, dict) else {}, failed, mask)
    elif isinstance(data, list):
        for entry in data:
            name = _name(entry) if isinstance(entry, dict) and "action" not in entry else None
            if name is not None:
                yield _node(name, entry, failed, mask)


def _node(name: str, entry: Mapping[str, Any], failed: frozenset[str], mask: Mask) -> AuditNode:
    status = (text(first_of(entry, "execution_status", "executionStatus", "status", "state")) or "").upper()
    if not status and name in failed:  # v1 tells of a node's end in the list of failed ones alone
        status = "FAILED"
    start = first_of(entry, "execution_start_time", "executionStartTime", "started_at", "startedAt")
    started = number(start)
    in_seconds = started is not None and started < MILLISECONDS_FROM
    took = number(first_of(entry, "execution_time", "executionTime"))
    return AuditNode(
        name=name,
        status=status or None,
        started_at=to_epoch(start),
        seconds=took if took is None or in_seconds else took / 1000,
        error=_error(first_of(entry, *(_ERRORS_OF_FAILED if status in NODE_FAILED else _ERRORS)), mask),
        inputs=tuple(_values(entry, "execution_input", "executionInput")),
        outputs=tuple(_values(entry, "execution_output", "executionOutput")),
        raw=entry,
    )


def _values(entry: Mapping[str, Any], *names: str) -> Iterator[OutputValue]:
    """The inputs or outputs of a node: variables as in results; a bare value is named by its key."""
    name = next((name for name in names if entry.get(name) is not None), names[0])
    held = entry.get(name)
    for part in held if isinstance(held, list) else (held,):
        if isinstance(part, dict):
            yield from variables(part)
        elif part is not None and part != "":
            yield OutputValue(name, name, part)


def _by_start(node: AuditNode) -> tuple[float, float]:
    """Sort key: by start; nodes without one last, by the index that the platform gives them."""
    index = number(first_of(node.raw, "execution_index", "executionIndex"))
    start = node.started_at
    return (math.inf if start is None else start, math.inf if index is None else index)


def _error(value: Any, mask: Mask) -> str | None:
    """The platform's words on a failure, fit for a message."""
    if isinstance(value, dict):
        value = first_of(value, "message", "error", "reason", "detail") or value
    if not value or isinstance(value, bool):
        return None
    words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return excerpt(words, mask=mask) or None


def _trail(entries: Any) -> Iterator[AuditEntry]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and "action" in entry:
            yield AuditEntry(
                timestamp=text(entry.get("timestamp")) or "",
                actor=text(entry.get("actor")) or "",
                action=text(entry.get("action")) or "",
            )
        elif isinstance(entry, str):
            yield AuditEntry(timestamp="", actor="", action=entry)


def _whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _first(places: Iterable[Mapping[str, Any]], *names: str) -> Any:
    return next((found for place in places if (found := first_of(place, *names)) is not None), None)


def _named(places: Iterable[Mapping[str, Any]], *names: str) -> list[str]:
    """The node names under one of these keys: one or a list, texts or objects."""
    found = _first(places, *names)
    entries = found if isinstance(found, list) else [found]
    return [name for entry in entries if (name := _name(entry)) is not None]


def _name(entry: Any) -> str | None:
    if isinstance(entry, dict):
        return next((name for key in _NAMES if (name := identifier(entry.get(key))) is not None), None)
    return identifier(entry)
