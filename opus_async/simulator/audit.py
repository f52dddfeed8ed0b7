"""The audit of a job at a moment: which nodes ran, which one runs, which one failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opus_async.simulator import traits
from opus_async.simulator.answers import timestamp
from opus_async.simulator.audit_variants import in_camel_case, write_body, write_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opus_async.simulator.runs import Job, Run

_EMPTY: dict[str, Any] = {"nodes_execution_data": {}}
_ABOUT_STATUS = frozenset({traits.AUDIT_LOWERCASE, traits.PARKED_LOOKS_RUNNING})
_ABOUT_VALUES = frozenset({traits.AUDIT_V2_VALUES, traits.AUDIT_BASE64})


def audit_at(
    job: Job, now: float, active: frozenset[str], outputs: Callable[[], Mapping[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    """Return the body of an audit answer.

    Args:
        job: The job.
        now: Epoch seconds.
        active: The traits of the simulator.
        outputs: Computes the outputs; called only when the output node has run.
    """
    if traits.AUDIT_TRAIL in active:
        return _trail(job, now)
    body = _newest(job, now, active, outputs)
    if traits.AUDIT_NULL in active:
        body |= {"audit": None, "executed_nodes": None, "failed_nodes": None, "running_node": None}
    body = write_body(body, active)
    return in_camel_case(body) if traits.AUDIT_CAMEL in active else body


def case_audit_at(
    job: Job, now: float, active: frozenset[str], outputs: Callable[[], Mapping[str, Mapping[str, Any]]]
) -> dict[str, Any] | None:
    """Return the body of an audit answer as the cases API writes it, or None while there is no audit yet.

    It has the fields that were seen, and no others: neither counts nor lists of executed nodes, and a status
    or an output of a node only where a trait is about it.

    Args:
        job: The case.
        now: Epoch seconds.
        active: The traits of the simulator.
        outputs: Computes the outputs; called only when the output node has run.
    """
    run = job.run
    if run is None or (traits.QUEUED_LOOKS_UNSTARTED in active and run.worked(now)[0] < 0):
        return None
    body = _newest(job, now, active, outputs)
    more = {"executionStatus": "execution_status"} if active & _ABOUT_STATUS else {}
    if active & _ABOUT_VALUES:
        more["executionOutput"] = "execution_output"
    nodes = {
        name: {
            "executionStartTime": node["execution_start_time"],
            "executionTime": node["execution_time"],
            "executionInput": [],
            **{shown: node[key] for shown, key in more.items()},
            **({"error": node["error"]} if "error" in node else {}),
        }
        for name, node in body["audit"]["nodes_execution_data"].items()
    }
    if (first := job.workflow.nodes[0]) in nodes:
        nodes[first]["executionInput"] = [
            {"variableName": name, "value": value} for name, value in job.inputs.items()
        ]
    case = {
        "runningNode": body["running_node"],
        "nextNode": body.get("next_node_to_execute", ""),
        "failedNodes": body["failed_nodes"],
        "audit": {"nodesExecutionData": nodes},
    }
    return case | dict.fromkeys(case) if traits.AUDIT_NULL in active else write_body(case, active)


def _newest(
    job: Job, now: float, active: frozenset[str], outputs: Callable[[], Mapping[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    nodes = job.workflow.nodes
    run = job.run
    worked, parked = run.worked(now) if run else (-1.0, False)
    hidden = worked < 0 and traits.QUEUED_LOOKS_UNSTARTED in active
    if run is None or hidden:
        return _body(nodes, executed=[], failed=[], running="", data={})
    if worked < 0:
        return _body(nodes, executed=[], failed=[], running="", data={}) | {"next_node_to_execute": nodes[0]}
    executed, failed, current = _split(run, nodes, worked)
    data = {
        name: _node(run, index, now, "FAILED" if name in failed else "COMPLETED")
        for index, name in enumerate(nodes)
        if name in executed or name in failed
    }
    if current is not None:
        data[nodes[current]] = _node(run, current, now, "SLEEPING" if parked else "IN_PROGRESS")
    for name in failed:
        if run.error:
            data[name]["error"] = run.error
    _attach_values(job, data, outputs)
    write_nodes(data, job.workflow, active)
    body = _body(
        nodes, executed=executed, failed=failed, running="" if current is None else nodes[current], data=data
    )
    if current is not None and current + 1 < len(nodes):
        body["next_node_to_execute"] = nodes[current + 1]
    if traits.AUDIT_ALL_REMAINING in active and current is None:
        body["remaining_nodes_to_execute"] = list(nodes)
    return body


def _split(run: Run, nodes: tuple[str, ...], worked: float) -> tuple[list[str], list[str], int | None]:
    """Return the executed nodes, the failed ones, and the index of the running one."""
    finished = worked >= run.end
    if finished and run.failing_node is not None:
        return list(nodes[: run.failing_node]), [nodes[run.failing_node]], None
    if finished:
        return list(nodes), [], None
    current = max(index for index in range(len(nodes)) if run.node_start(index) <= worked)
    return list(nodes[:current]), [], current


def _body(
    nodes: tuple[str, ...], *, executed: list[str], failed: list[str], running: str, data: dict[str, Any]
) -> dict[str, Any]:
    done = {*executed, *failed, running}
    return {
        "nb_nodes": len(nodes),
        "remaining_nodes_to_execute": [] if failed else [name for name in nodes if name not in done],
        "running_node": running,
        "executed_nodes": executed,
        "nb_executed_nodes": len(executed),
        "failed_nodes": failed,
        "nb_failed_nodes": len(failed),
        "audit": {"nodes_execution_data": data} if data else _EMPTY,
    }


def _node(run: Run, index: int, now: float, status: str) -> dict[str, Any]:
    begin = run.wall(run.node_start(index))
    end = min(now, run.wall(run.node_start(index + 1)))
    return {
        "execution_status": status,
        "execution_start_time": int(begin * 1000),
        "execution_time": max(int((end - begin) * 1000), 0),
        "execution_index": index,
        "execution_input": [],
        "execution_output": [],
    }


def _attach_values(
    job: Job, data: dict[str, Any], outputs: Callable[[], Mapping[str, Mapping[str, Any]]]
) -> None:
    first, last = job.workflow.nodes[0], job.workflow.nodes[-1]
    if first in data and data[first]["execution_status"] == "COMPLETED":
        data[first]["execution_output"] = [{name: value} for name, value in job.inputs.items()]
    if last in data and data[last]["execution_status"] == "COMPLETED":
        data[last]["execution_output"] = [{name: output["value"]} for name, output in outputs().items()]


def _trail(job: Job, now: float) -> dict[str, Any]:
    moments = [(job.created_at, "Job initiated")]
    run = job.run
    if run is not None:
        moments.append((run.accepted_at, "Job execution started"))
        status = run.status(now)
        ends = {
            "COMPLETED": "Job completed successfully",
            "FAILED": "Job failed",
            "WAITING": "Waiting for review",
        }
        if status in ends:
            moments.append((min(now, run.wall(run.end)), ends[status]))
    trail = [{"timestamp": timestamp(when), "actor": "SYSTEM", "action": action} for when, action in moments]
    return {"jobExecutionId": job.job_id, "auditTrail": trail}
