"""What the platform tells of a job's way through its workflow. Every shape of an audit -> ``AuditLog``.

Three are documented: the old textual ``auditTrail``, and node by node in snake_case (v0) or camelCase (v1).
An audit explains a failure that is known already, so that nothing in it may raise: what cannot be read is
left out and stays in ``raw``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from opus_async.models import AuditEntry, AuditLog, AuditNode
from opus_async.opus.protocol.answers import accepted, identifier, pick, text
from opus_async.opus.protocol.dialect import Answer
from opus_async.opus.protocol.excerpts import excerpt

_MILLISECONDS_FROM = 1e11
"""A start beyond this is in milliseconds: as seconds it would be the year 5138."""

_NAMES = ("name", "node_name", "nodeName", "label", "display_name", "displayName", "id", "node_id", "nodeId")
_ERRORS = ("error", "error_message", "errorMessage", "execution_error", "executionError", "failure_reason")
_ERRORS_OF_FAILED = (*_ERRORS, "message", "reason")
_BROKEN = frozenset(("FAILED", "ERROR"))
_OVER = _BROKEN | {"COMPLETED", "CANCELLED", "CANCELED", "TIMED_OUT"}


def read_audit(answer: Answer) -> AuditLog:
    """Read an audit, in any shape seen.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON.
    """
    body = accepted(answer)
    audit = pick(body, "audit", "data") if isinstance(body, dict) else body
    places = [place for place in (body, audit) if isinstance(place, dict)]
    listed = audit if isinstance(audit, list) else _first(places, "auditTrail", "audit_trail")
    told = _first(places, "nodes_execution_data", "nodesExecutionData")
    nodes = tuple(sorted(_nodes(listed if told is None else told), key=_by_start))
    failed = _named(places, "failed_nodes", "failedNodes")
    failed += (node.name for node in nodes if node.status in _BROKEN)
    executed = _named(places, "executed_nodes", "executedNodes")
    executed = executed or [node.name for node in nodes if node.status in _OVER]
    return AuditLog(
        nodes=nodes,
        failed_nodes=tuple(dict.fromkeys(failed)),
        executed_nodes=tuple(dict.fromkeys(executed)),
        remaining_nodes=tuple(_named(places, "remaining_nodes_to_execute", "remainingNodesToExecute")),
        running_node=next(iter(_named(places, "running_node", "runningNode")), None),
        trail=tuple(_trail(listed)),
        raw=body,
    )


def progress(audit: AuditLog) -> float | None:
    """How much of the workflow has run, 0 to 1, by the nodes executed; None where the audit does not tell.

    The nodes that remain decide nothing: a finished run can still list all of them. Of a workflow with
    branches a finished run executes only those it reached, so that 1 is never promised.
    """
    raw = audit.raw if isinstance(audit.raw, dict) else {}
    count = _number(pick(raw, "nb_nodes", "nbNodes"))
    known = {*audit.executed_nodes, *audit.failed_nodes, *audit.remaining_nodes}
    if audit.running_node:
        known.add(audit.running_node)
    total = max(count or 0, len(known))
    return min(len(audit.executed_nodes) / total, 1.0) if total else None


def _nodes(data: Any) -> Iterator[AuditNode]:
    """The nodes, which are a mapping by name or a list of objects that hold theirs."""
    if isinstance(data, dict):
        for name, entry in data.items():
            yield _node(name, entry if isinstance(entry, dict) else {})
    elif isinstance(data, list):
        for entry in data:
            name = _name(entry) if isinstance(entry, dict) and "action" not in entry else None
            if name is not None:
                yield _node(name, entry)


def _node(name: str, entry: Mapping[str, Any]) -> AuditNode:
    status = (text(pick(entry, "execution_status", "executionStatus", "status", "state")) or "").upper()
    start = pick(entry, "execution_start_time", "executionStartTime", "started_at", "startedAt")
    started = _number(start)
    in_seconds = started is not None and started < _MILLISECONDS_FROM
    took = _number(pick(entry, "execution_time", "executionTime"))
    return AuditNode(
        name=name,
        status=status or None,
        started_at=_epoch(start) if started is None else started if in_seconds else started / 1000,
        seconds=took if took is None or in_seconds else took / 1000,
        error=_error(pick(entry, *(_ERRORS_OF_FAILED if status in _BROKEN else _ERRORS))),
        raw=entry,
    )


def _by_start(node: AuditNode) -> tuple[float, float]:
    """Nodes by their start; those without one last, by the index that the platform gives them."""
    index = _number(pick(node.raw, "execution_index", "executionIndex"))
    start = node.started_at
    return (math.inf if start is None else start, math.inf if index is None else index)


def _error(value: Any) -> str | None:
    """The platform's words on a failure, fit for a message."""
    if isinstance(value, dict):
        value = pick(value, "message", "error", "reason", "detail") or value
    if not value or isinstance(value, bool):
        return None
    return excerpt(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) or None


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


def _first(places: Iterable[Mapping[str, Any]], *names: str) -> Any:
    return next((found for place in places if (found := pick(place, *names)) is not None), None)


def _named(places: Iterable[Mapping[str, Any]], *names: str) -> list[str]:
    """The node names under one of these keys: one or a list, texts or objects."""
    found = _first(places, *names)
    entries = found if isinstance(found, list) else [found]
    return [name for entry in entries if (name := _name(entry)) is not None]


def _name(entry: Any) -> str | None:
    if isinstance(entry, dict):
        return next((name for key in _NAMES if (name := identifier(entry.get(key))) is not None), None)
    return identifier(entry)


def _number(value: Any) -> float | None:
    """A finite number that is not negative, also as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _epoch(value: Any) -> float | None:
    """Seconds since the epoch of a time in ISO 8601; without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return _number((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
