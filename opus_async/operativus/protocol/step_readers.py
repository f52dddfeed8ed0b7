"""What the steps of a run left behind: the runs of its nodes, and the calls of agents in its session.

Known from the source of the server only. They explain a run that is known already, so that nothing in a row
may raise: what cannot be read is None and stays in ``raw``. Texts are handed on as they are; names and errors
are made fit for a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opus_async.operativus.protocol.api_messages import NodeRun, SessionRun
from opus_async.operativus.protocol.responses import body_of, check_session, check_subject, status_in
from opus_async.redaction import Mask
from opus_async.wire.api_errors import detail_of
from opus_async.wire.excerpts import excerpt
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import identifier, protocol_error, text
from opus_async.wire.timestamps import number, to_datetime

_NAME_CHARS = 100


def read_node_runs(answer: ApiResponse) -> tuple[NodeRun, ...]:
    """Read what the nodes of a run did, or those of its nested workflows, in the order sent.

    A workflow without edges has none.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON, or no list.
    """
    return tuple(_nodes(_listed(answer), answer, None))


def read_session_runs(answer: ApiResponse) -> tuple[SessionRun, ...]:
    """Read which agents were called in a session, in the order sent.

    There are none also for a user who may not see them; other servers answer 403 to that.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON, or no list.
    """
    rows = [row for row in _listed(answer) if isinstance(row, dict)]
    for row in rows:
        check_session(answer, row.get("sessionId"))
    return tuple(_session_run(row, answer) for row in rows)


def _listed(answer: ApiResponse) -> list[Any]:
    """The rows of a list, also of one that is paged by now."""
    body = body_of(answer)
    rows = body.get("content") if isinstance(body, dict) else body
    if not isinstance(rows, list):
        raise protocol_error(answer, "that is no list")
    return rows


def _nodes(rows: list[Any], answer: ApiResponse, parent: str | None) -> Iterator[NodeRun]:
    for row in rows:
        if not isinstance(row, dict):
            continue
        inner = row.get("nodeRuns")
        if parent is None and isinstance(inner, list):  # all that one nested workflow did
            yield from _nodes(inner, answer, identifier(row.get("parentNodeId")) or "")
            continue
        if parent is None:
            check_subject(answer, row.get("runId"))
        yield _node(row, answer.mask, parent or None)


def _node(row: Mapping[str, Any], mask: Mask, parent: str | None) -> NodeRun:
    success = row.get("success")
    return NodeRun(
        id=identifier(row.get("id")),
        node_id=identifier(row.get("nodeId")),
        name=_words(row.get("nodeName"), mask),
        kind=_words(row.get("kind"), mask),
        success=success if isinstance(success, bool) else None,
        error=detail_of(row.get("error"), mask) or None,
        paused=row.get("paused") is True,
        content=_content(row.get("content")),
        started_at=to_datetime(row.get("startedAt")),
        ended_at=to_datetime(row.get("endedAt")),
        parent_node_id=parent,
        raw=row,
        mask=mask,
    )


def _session_run(row: Mapping[str, Any], answer: ApiResponse) -> SessionRun:
    mask = answer.mask
    return SessionRun(
        id=identifier(row.get("id")),
        agent_id=_words(row.get("agentId"), mask),
        parent_id=identifier(row.get("parentRunId")),
        status=status_in(row, answer),
        input=_content(row.get("input")),
        output=_content(row.get("output")),
        error=detail_of(row.get("errorMessage"), mask) or detail_of(row.get("errorType"), mask) or None,
        duration_ms=number(row.get("durationMs")),
        created_at=to_datetime(row.get("createdAt")),
        updated_at=to_datetime(row.get("updatedAt")),
        raw=row,
        mask=mask,
    )


def _words(value: Any, mask: Mask) -> str | None:
    found = identifier(value) or text(value)
    return None if found is None else excerpt(found, _NAME_CHARS, mask) or None


def _content(value: Any) -> str | None:
    """A text as it was sent, also an empty one."""
    return value if isinstance(value, str) else None
