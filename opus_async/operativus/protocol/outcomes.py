"""What a run gave, and what it did: the texts of its steps, and an audit in the shape of Opus's.

A run itself tells its status and nothing else. Texts and errors are in the calls of agents of its session,
which a server shows to administrators, or in the runs of its nodes, which only a workflow with edges has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from opus_async.models import NODE_FAILED, AuditEntry, AuditLog, AuditNode, JobStatus, OutputValue
from opus_async.operativus.models import Run, Step
from opus_async.operativus.protocol.api_messages import NodeRun, SessionRun
from opus_async.operativus.protocol.statuses import is_open, status_of
from opus_async.redaction import mask_values

_PAUSED = "PAUSED"
_COMPLETED = "COMPLETED"
_FAILED = "FAILED"
_RUNNING = "RUNNING"


def outputs_of(
    run: Run, *, session_runs: Sequence[SessionRun] = (), node_runs: Sequence[NodeRun] = ()
) -> dict[str, Any]:
    """The texts that the steps of a run gave.

    Args:
        run: The run. What its session did before it belongs to an earlier one.
        session_runs: The calls of agents in its session; they win.
        node_runs: The runs of its nodes.

    Returns:
        ``output``, the text of the last step, and ``steps``, the texts of all in the order of their start;
        empty where the server told none. Of a last step that a person answered no text is told: then there is
        no ``output``, since the text of the step before it is another one.
    """
    calls = _steps_in(run, session_runs)
    given = [call.output if _good(call) else None for call in calls]
    if given.count(None) == len(given):
        nodes = _last_attempts(node_runs)
        given = [node.content for node in nodes]
        last = max(reversed(nodes), key=_ended).content if nodes else None
    else:
        last = given[-1]
    outputs: dict[str, Any] = {} if last is None else {"output": last}
    texts = [text for text in given if text is not None]
    return {**outputs, "steps": texts} if texts else {}


def audit_of(
    runs: Sequence[Run],
    *,
    session_runs: Sequence[SessionRun] = (),
    node_runs: Sequence[NodeRun] = (),
    steps: Sequence[Step] = (),
) -> AuditLog:
    """The audit of a session: its steps with their states, times and errors, as far as they are told.

    Args:
        runs: All runs of the session, newest first. Of several, which a server makes of one that takes too
            long, the steps of the newest are told, and each is a line of the trail.
        session_runs: The calls of agents in it; where there are none, the runs of nodes tell.
        node_runs: The runs of the nodes of the newest run.
        steps: The workflow's steps, by which calls are named; without them by their agents.

    Returns:
        It names the step of a failed run, also where nothing but the run tells: servers keep the place of the
        step that ran last.
    """
    run = runs[0] if runs else None
    calls = [] if run is None else _steps_in(run, session_runs)
    nodes = tuple(_call_nodes(calls, steps)) or tuple(map(_node, sorted(node_runs, key=_started)))
    states = {node.name: node.status or "" for node in nodes}  # of several attempts the last
    failed = [name for name, state in states.items() if state in NODE_FAILED]
    if run is not None and run.status == JobStatus.FAILED and not failed and run.step_order is not None:
        failed = [_name_of_step(run.step_order, steps)]
    executed = [name for name, state in states.items() if status_of(state).is_terminal]
    running = [name for name, state in states.items() if status_of(state) == JobStatus.IN_PROGRESS]
    return AuditLog(
        nodes=nodes,
        failed_nodes=tuple(failed),
        executed_nodes=tuple(executed),
        executed_count=len(executed) if nodes else None,
        running_node=running[-1] if running else None,
        total_nodes=len(steps) or None,
        trail=tuple(map(_entry, reversed(runs))),
        raw={
            "runs": [each.raw for each in runs],
            "sessionRuns": [mask_values(each.raw, each.mask) for each in session_runs],
            "nodeRuns": [mask_values(each.raw, each.mask) for each in node_runs],
        },
    )


# Calls of agents in a session


def _steps_in(run: Run, session_runs: Sequence[SessionRun]) -> list[SessionRun]:
    """The calls that are steps of a run, in the order of their start: not those that agents made."""
    ids = {call.id for call in session_runs if call.id is not None}
    begun = _moment(run.created_at, -math.inf)
    own = [
        call
        for call in session_runs
        if call.parent_id not in ids and _moment(call.created_at, math.inf) >= begun
    ]
    return sorted(own, key=lambda call: _moment(call.created_at, math.inf))


def _good(call: SessionRun) -> bool:
    return call.status == JobStatus.COMPLETED or not call.status.is_terminal


def _call_nodes(calls: Iterable[SessionRun], steps: Sequence[Step]) -> Iterator[AuditNode]:
    left, times = list(enumerate(steps, 1)), Counter[str]()
    for call in calls:
        name = call.agent_id or "an agent"
        at = next((at for at, (_, step) in enumerate(left) if step.agent_id == call.agent_id), None)
        if at is not None:
            place, step = left[at]
            name = _named(step, place)
            del left[: at + 1]
        times[name] += 1
        yield AuditNode(
            name=name if times[name] == 1 else f"{name} ({times[name]})",
            status=call.mask(call.status.raw).strip().upper() or None,
            started_at=_epoch(call.created_at),
            seconds=_seconds(call),
            error=call.error,
            inputs=_values("input", call.input, call),
            outputs=_values("output", call.output, call),
            raw=mask_values(call.raw, call.mask),
        )


def _seconds(call: SessionRun) -> float | None:
    if call.duration_ms is not None:
        return call.duration_ms / 1000
    return None if is_open(call.status) else _between(call.created_at, call.updated_at)


def _named(step: Step, place: int) -> str:
    return f"step {place if step.order is None else step.order} ({step.agent_id})"


def _name_of_step(order: int, steps: Iterable[Step]) -> str:
    found = next((step for step in steps if step.order == order and step.agent_id), None)
    return f"step {order}" if found is None else _named(found, order)


# Runs of nodes


def _last_attempts(node_runs: Sequence[NodeRun]) -> list[NodeRun]:
    """Of each node of the run itself the last run that did not fail, in the order of their start."""
    last: dict[object, NodeRun] = {}
    for node in sorted(node_runs, key=_started):
        if node.parent_node_id is None and node.success is not False:
            key = node.node_id or node
            last.pop(key, None)
            last[key] = node
    return list(last.values())


def _node(node: NodeRun) -> AuditNode:
    return AuditNode(
        name=node.name or node.node_id or node.id or "a node",
        status=_state(node),
        started_at=_epoch(node.started_at),
        seconds=_between(node.started_at, node.ended_at),
        error=node.error,
        outputs=_values("content", node.content, node),
        raw=mask_values(node.raw, node.mask),
    )


def _state(node: NodeRun) -> str | None:
    if node.paused:
        return _PAUSED
    if node.success is False:
        return _FAILED
    if node.ended_at is None and node.started_at is not None:
        return _RUNNING
    return None if node.success is None else _COMPLETED


def _started(node: NodeRun) -> float:
    return _moment(node.started_at, math.inf)


def _ended(node: NodeRun) -> float:
    return _moment(node.ended_at, -math.inf)


# What both have


def _entry(run: Run) -> AuditEntry:
    at = "" if run.created_at is None else run.created_at.isoformat()
    step = "" if run.step_order is None else f", step {run.step_order}"
    return AuditEntry(timestamp=at, actor=f"run {run.id}", action=f"{run.status.raw or run.status}{step}")


def _values(name: str, value: str | None, row: SessionRun | NodeRun) -> tuple[OutputValue, ...]:
    return () if value is None else (OutputValue(name, name, mask_values(value, row.mask)),)


def _between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return max((end - start).total_seconds(), 0.0)


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None or moment.timestamp() < 0 else moment.timestamp()


def _moment(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()
