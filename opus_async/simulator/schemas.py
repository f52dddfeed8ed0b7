"""Workflow details on the wire: one workflow in every shape in which the vendor was seen to describe it.

Two forms, and departures from them. The flat form has `jobPayloadSchema`. The graph has nodes; the inputs
are variables of its input node. Its words are written in snake_case, in camelCase, or in a mixture. Then its
inputs can stand at the other side of the input node, its nodes can be a list, and whatever it is can be
wrapped. What no source tells (what stands in the other nodes) is made up here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from opus_async.simulator import traits
from opus_async.simulator.seeded_random import identifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from opus_async.simulator.workflows import InputVariable, OutputVariable, Workflow

Form = Literal["flat", "snake", "camel", "mixed"]
_CREATED_AT = "2026-01-01T00:00:00.000Z"
# Words of the mixed form that stay in snake_case; all others are camelCase.
_LEFT_IN_SNAKE = frozenset(
    {"workflow_output_node_id", "input_schema", "display_name", "is_nullable", "type_definition"}
)
# Two words of the graph are other words, not only other letters, where it is written in camelCase.
_OTHER_WORDS = {"workflow_id": "id", "active_status": "status"}


@dataclass(frozen=True, slots=True)
class Shape:
    """How workflow details are written.

    Attributes:
        form: The flat form, or the spelling of the graph.
        output_side: Whether the inputs stand in the output schema of the input node.
        nodes_list: Whether the nodes are a list of objects with `id` instead of an object.
        wrappers: The members that everything stands inside of, from the innermost.
    """

    form: Form
    output_side: bool = False
    nodes_list: bool = False
    wrappers: tuple[str, ...] = ()

    @classmethod
    def of(cls, active: frozenset[str], default: Form) -> Shape:
        """Return the shape that the active traits ask for.

        Args:
            active: The traits of the simulator.
            default: The form when no trait names one. A trait that only a graph can have makes a graph
                of the flat form.
        """
        output_side, nodes_list = (
            trait in active for trait in (traits.SCHEMA_OUTPUT_SIDE, traits.SCHEMA_NODES_LIST)
        )
        form = default
        if traits.SCHEMA_CAMEL in active:
            form = "mixed"
        elif traits.SCHEMA_GRAPH in active or (default == "flat" and (output_side or nodes_list)):
            form = "snake"
        wrappers = {traits.SCHEMA_WRAPPED_WORKFLOW: "workflow", traits.SCHEMA_WRAPPED_DATA: "data"}
        return cls(
            form,
            output_side,
            nodes_list,
            tuple(name for trait, name in wrappers.items() if trait in active),
        )


def describe(workflow: Workflow, version: int, shape: Shape) -> dict[str, Any]:
    """Return the details of one version of a workflow in a shape."""
    details = _flat(workflow, version) if shape.form == "flat" else _Graph(shape).whole(workflow, version)
    for wrapper in shape.wrappers:
        details = {wrapper: details}
    return details


def describe_variables(workflow: Workflow, version: int) -> dict[str, Any]:
    """Return the inputs and outputs of a workflow alone, written as the graph writes them.

    The documentation says what the answer holds, not its form: that of a node is taken, which has its inputs
    in one schema and its outputs in another.
    """
    graph = _Graph(Shape("snake"))
    return {
        "workflow_id": workflow.reference_entity_id,
        "version": version,
        "input_schema": graph.inputs(workflow),
        "output_schema": graph.outputs(workflow),
    }


def _flat(workflow: Workflow, version: int) -> dict[str, Any]:
    return {
        "workflowId": workflow.workflow_id,
        "referenceEntityId": workflow.reference_entity_id,
        "name": workflow.name,
        "description": workflow.description,
        "industry": "Simulation",
        "active": True,
        "createdAt": _CREATED_AT,
        "version": version,
        "workflowVersionId": workflow.version_id(version),
        "workspaceId": identifier("workspace"),
        "workflowImage": None,
        "executionEstimation": None,
        "workflowBlueprint": {"nodes": list(workflow.nodes)},
        "jobPayloadSchema": {variable.variable_name: _flat_input(variable) for variable in workflow.inputs},
        "jobResultsPayloadSchema": {
            variable.variable_name: _flat_output(variable) for variable in workflow.outputs
        },
    }


def _flat_input(variable: InputVariable) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "id": variable.variable_name.removeprefix("workflow_input_"),
        "variable_name": variable.variable_name,
        "display_name": variable.display_name,
        "type": variable.type,
        "is_nullable": variable.nullable,
        "tags": _tags(variable, _snake),
    }
    if variable.type_definition:
        wire["type_definition"] = variable.type_definition
    return wire


def _flat_output(variable: OutputVariable) -> dict[str, Any]:
    return {
        "id": variable.variable_name.removeprefix("workflow_output_"),
        "variable_name": variable.variable_name,
        "display_name": variable.display_name,
        "type": variable.type,
        "is_nullable": True,
    }


class _Graph:
    """Writes the graph.

    Args:
        shape: How.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._spell = _SPELLINGS[shape.form]

    def whole(self, workflow: Workflow, version: int) -> dict[str, Any]:
        """Return a workflow as a graph."""
        spell = self._spell
        ids = [f"n{number}" for number in range(1, len(workflow.nodes) + 1)]
        pairs = list(pairwise(ids))
        nodes = self._nodes(workflow, ids)
        return {
            spell("workflow_id"): workflow.reference_entity_id,
            "name": workflow.name,
            "description": workflow.description,
            "version": version,
            spell("workflow_version_id"): workflow.version_id(version),
            spell("active_status"): "active",
            spell("workspace_id"): identifier("workspace"),
            spell("workflow_input_node_id"): ids[0],
            spell("workflow_output_node_id"): ids[-1],
            spell("starting_nodes_ids"): [ids[0]],
            spell("ending_nodes_ids"): [ids[-1]],
            "nodes": list(nodes.values()) if self._shape.nodes_list else nodes,
            "edges": {
                f"e{number}": {
                    "id": f"e{number}",
                    spell("from_node_id"): source,
                    spell("to_node_id"): target,
                }
                for number, (source, target) in enumerate(pairs, 1)
            },
            spell("parent_adjacency"): {target: [source] for source, target in pairs},
            spell("child_adjacency"): {source: [target] for source, target in pairs},
        }

    def _nodes(self, workflow: Workflow, ids: list[str]) -> dict[str, dict[str, Any]]:
        spell = self._spell
        nodes: dict[str, dict[str, Any]] = {
            node_id: {"id": node_id, "name": name, spell("input_schema"): {"schema": {}}}
            for node_id, name in zip(ids, workflow.nodes, strict=True)
        }
        # What the inputs are not in is there and empty.
        side = "output_schema" if self._shape.output_side else "input_schema"
        nodes[ids[0]][spell(side)] = self.inputs(workflow)
        nodes[ids[-1]][spell("input_schema")] = self.outputs(workflow)
        return nodes

    def inputs(self, workflow: Workflow) -> dict[str, Any]:
        """Return the schema that holds the inputs of a workflow."""
        return {"schema": {variable.variable_name: self._input(variable) for variable in workflow.inputs}}

    def outputs(self, workflow: Workflow) -> dict[str, Any]:
        """Return the schema that holds the outputs of a workflow."""
        return {"schema": {variable.variable_name: self._output(variable) for variable in workflow.outputs}}

    def _input(self, variable: InputVariable) -> dict[str, Any]:
        allowed: dict[str, Any] = {"type": variable.type}
        if variable.type_definition:
            # Its inside is snake_case wherever a type definition was seen, in payloads too.
            allowed[self._spell("type_definition")] = variable.type_definition
        return self._variable(variable, allowed, nullable=variable.nullable) | {
            "tags": _tags(variable, self._spell)
        }

    def _output(self, variable: OutputVariable) -> dict[str, Any]:
        return self._variable(variable, {"type": variable.type}, nullable=True) | {"tags": []}

    def _variable(
        self, variable: InputVariable | OutputVariable, allowed: dict[str, Any], *, nullable: bool
    ) -> dict[str, Any]:
        spell = self._spell
        return {
            spell("variable_name"): variable.variable_name,
            spell("display_name"): variable.display_name,
            spell("allowed_types"): [allowed],
            spell("is_nullable"): nullable,
        }


def _tags(variable: InputVariable, spell: Callable[[str], str]) -> list[dict[str, Any]]:
    if not variable.file_types:
        return []
    return [{spell("variable_name"): "allowed_file_types", "value": list(variable.file_types)}]


def _snake(word: str) -> str:
    return word


def _camel(word: str) -> str:
    first, *rest = _OTHER_WORDS.get(word, word).split("_")
    return first + "".join(part.capitalize() for part in rest)


def _mixed(word: str) -> str:
    return word if word in _LEFT_IN_SNAKE else _camel(word)


_SPELLINGS: dict[Form, Callable[[str], str]] = {"snake": _snake, "camel": _camel, "mixed": _mixed}
