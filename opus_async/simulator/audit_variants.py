"""The variants of an audit that traits ask for, in both generations of the API."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from opus_async.simulator import traits

if TYPE_CHECKING:
    from opus_async.simulator.workflows import InputVariable, OutputVariable, Workflow

_RUNNING = ("running_node", "runningNode")
_NODE_LISTS = ("executed_nodes", "failed_nodes", "remaining_nodes_to_execute", "failedNodes")
_NODE_NAMES = (*_RUNNING, "next_node_to_execute", "nextNode")
# The keys under which a node was seen to hold its name; the nodes of a list take turns.
_NAME_KEYS = ("name", "node_name", "label", "id")
# A key of the jobs API that is another word in the cases API, not only another spelling.
_OTHER_WORDS = {"next_node_to_execute": "next_node"}


def write_nodes(nodes: dict[str, dict[str, Any]], workflow: Workflow, active: frozenset[str]) -> None:
    """Change the data of nodes, in the words of the jobs API and in place, to what the active traits say.

    Args:
        nodes: Node name to its data.
        workflow: The workflow of the job.
        active: The traits of the simulator.
    """
    for node in nodes.values():
        if traits.AUDIT_SECONDS in active:
            node["execution_start_time"] /= 1000
            node["execution_time"] /= 1000
        if traits.AUDIT_LOWERCASE in active:
            node["execution_status"] = node["execution_status"].lower()
        if traits.AUDIT_V2_VALUES in active:
            node["execution_output"] = _describe(node["execution_output"], workflow)
    if traits.AUDIT_BASE64 in active and (last := workflow.nodes[-1]) in nodes:
        values = json.dumps(nodes[last]["execution_output"])
        nodes[last]["execution_output"] = base64.b64encode(values.encode()).decode()


def write_body(body: dict[str, Any], active: frozenset[str]) -> dict[str, Any]:
    """Return an audit with its nodes named as the active traits say; `body` may be in either spelling."""
    written = dict(body)
    if traits.AUDIT_NODES_LIST in active and body["audit"]:
        written["audit"] = {
            key: [{"name": name, **node} for name, node in nodes.items()]
            for key, nodes in body["audit"].items()
        }
    for key in _RUNNING:
        if traits.AUDIT_RUNNING_NULL in active and body.get(key) == "":
            written[key] = None
    if traits.AUDIT_NODE_OBJECTS in active:
        for key in _NODE_LISTS:
            if body.get(key):
                written[key] = [_node_object(name, nth) for nth, name in enumerate(body[key])]
        for key in _NODE_NAMES:
            if body.get(key):
                written[key] = _node_object(body[key])
    return written


def in_camel_case(body: dict[str, Any]) -> dict[str, Any]:
    """Return an audit of the jobs API with the keys of the cases API; names of nodes and variables stay."""
    spelled = _spell(body)
    if body["audit"]:
        nodes = body["audit"]["nodes_execution_data"]
        as_list = isinstance(nodes, list)
        data = [_spell(node) for node in nodes] if as_list else {n: _spell(node) for n, node in nodes.items()}
        spelled["audit"] = {"nodesExecutionData": data}
    return spelled


def _describe(values: list[dict[str, Any]], workflow: Workflow) -> list[dict[str, Any]]:
    known: tuple[InputVariable | OutputVariable, ...] = (*workflow.inputs, *workflow.outputs)
    variables = {variable.variable_name: variable for variable in known}
    return [
        {
            "variable_name": name,
            "display_name": variables[name].display_name,
            "value": value,
            "type": variables[name].type,
        }
        for entry in values
        for name, value in entry.items()
    ]


def _node_object(name: str, nth: int = 0) -> dict[str, str]:
    return {_NAME_KEYS[nth % len(_NAME_KEYS)]: name}


def _spell(entry: dict[str, Any]) -> dict[str, Any]:
    return {_camel(key): value for key, value in entry.items()}


def _camel(key: str) -> str:
    first, *rest = _OTHER_WORDS.get(key, key).split("_")
    return first + "".join(part.capitalize() for part in rest)
