"""Workflow definitions: what a workflow asks for, what it gives, and how the vendor describes it on the wire.

Values only. Which workflows exist is in `builtin` and `workflow_file`; what an output's fact computes is in
`results`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opus_async.simulator.draws import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXTENSIONS = (
    ".jpeg",
    ".png",
    ".jpg",
    ".pdf",
    ".docx",
    ".csv",
    ".xls",
    ".xlsx",
    ".txt",
    ".json",
    ".html",
    ".xml",
)
"""The file extensions that the vendor documents."""
FILE_TYPES = tuple(extension[1:].upper() for extension in EXTENSIONS)
VALUE_TYPES = ("str", "float", "int", "bool", "date", "file", "array", "array_files", "object", "json_string")
"""The input types, documented and seen."""
DEFAULT_NODES = ("Input", "Extract", "Review", "Output")
# The vendor's type definition of an element of a list of files.
FILE_DEFINITION: dict[str, Any] = {"id": "file", "variable_name": "file", "allowed_types": [{"type": "file"}]}
_PREFIX = "workflow_input_"


@dataclass(frozen=True, slots=True)
class InputVariable:
    """One input of a workflow.

    Attributes:
        variable_name: The key in the payload.
        display_name: The name people see.
        type: One of `VALUE_TYPES`.
        nullable: Whether the payload may leave it out.
        file_types: Upper-case type names without dot that a file input takes; empty for any.
        of_files: Whether an `array` holds files; it then needs a typeDefinition in the payload.
    """

    variable_name: str
    display_name: str
    type: str
    nullable: bool = False
    file_types: tuple[str, ...] = ()
    of_files: bool = False

    @property
    def holds_files(self) -> bool:
        """Whether its value is a file URL or a list of them."""
        return self.of_files or self.type in ("file", "array_files")

    def to_wire(self) -> dict[str, Any]:
        """Return the entry of jobPayloadSchema."""
        wire: dict[str, Any] = {
            "id": self.variable_name.removeprefix(_PREFIX),
            "variable_name": self.variable_name,
            "display_name": self.display_name,
            "type": self.type,
            "is_nullable": self.nullable,
            "tags": [],
        }
        if self.of_files:
            wire["type_definition"] = FILE_DEFINITION
        if self.file_types:
            wire["tags"] = [{"variable_name": "allowed_file_types", "value": list(self.file_types)}]
        return wire


@dataclass(frozen=True, slots=True)
class OutputVariable:
    """One output of a workflow: a fact about one of its inputs.

    Attributes:
        variable_name: The key in the results.
        display_name: The name people see.
        type: The type the results state.
        fact: What is computed, a name of `results.FACTS`.
        source: The variable name of the input it is computed from; empty for all of them.
    """

    variable_name: str
    display_name: str
    type: str
    fact: str
    source: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Return the entry of jobResultsPayloadSchema in the workflow details."""
        return {
            "id": self.variable_name.removeprefix("workflow_output_"),
            "variable_name": self.variable_name,
            "display_name": self.display_name,
            "type": self.type,
            "is_nullable": True,
        }


@dataclass(frozen=True)
class Workflow:
    """A workflow that the simulator serves.

    Attributes:
        workflow_id: Its id, 16 characters or a UUID.
        name: Its name.
        description: One sentence.
        inputs: Its inputs in the order of the schema.
        outputs: Its outputs in the order of the results.
        nodes: Names of its nodes in the order they run; the last but one is where a run parks.
        version: The newest version number; older ones have the same schema.
        reference_entity_id: UUID of the workflow, an alternative to its id.
    """

    workflow_id: str
    name: str
    description: str
    inputs: tuple[InputVariable, ...]
    outputs: tuple[OutputVariable, ...]
    nodes: tuple[str, ...] = DEFAULT_NODES
    version: int = 3
    reference_entity_id: str = ""

    def __post_init__(self) -> None:
        """Give the workflow a UUID if its definition has none."""
        if not self.reference_entity_id:
            object.__setattr__(self, "reference_entity_id", identifier("workflow", self.workflow_id))

    @cached_property
    def by_name(self) -> dict[str, InputVariable]:
        """The inputs by variable name."""
        return {variable.variable_name: variable for variable in self.inputs}

    @cached_property
    def version_ids(self) -> dict[str, int]:
        """UUID of each version to its number."""
        return {
            identifier("version", self.workflow_id, number): number for number in range(1, self.version + 1)
        }

    def version_id(self, number: int) -> str:
        """Return the UUID of a version."""
        return identifier("version", self.workflow_id, number)

    def details(self, version: int) -> dict[str, Any]:
        """Return the answer of GET /workflow/{id}, in the flat shape."""
        return {
            "workflowId": self.workflow_id,
            "referenceEntityId": self.reference_entity_id,
            "name": self.name,
            "description": self.description,
            "industry": "Simulation",
            "active": True,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "version": version,
            "workflowVersionId": self.version_id(version),
            "workspaceId": identifier("workspace"),
            "workflowImage": None,
            "executionEstimation": None,
            "workflowBlueprint": {"nodes": list(self.nodes)},
            "jobPayloadSchema": {variable.variable_name: variable.to_wire() for variable in self.inputs},
            "jobResultsPayloadSchema": {
                variable.variable_name: variable.to_wire() for variable in self.outputs
            },
        }


class Catalogue:
    """The workflows that one simulator serves, found by id or UUID.

    Args:
        workflows: The definitions; a later one replaces an earlier one with the same id.
    """

    def __init__(self, workflows: Iterable[Workflow]) -> None:
        self._by_id = {workflow.workflow_id: workflow for workflow in workflows}
        self._by_reference = {workflow.reference_entity_id: workflow for workflow in self._by_id.values()}
        self._details: dict[tuple[str, int], bytes] = {}

    def __iter__(self) -> Iterator[Workflow]:
        return iter(self._by_id.values())

    def find(self, workflow_id: str) -> Workflow | None:
        """Return the workflow with this id or UUID, or None."""
        return self._by_id.get(workflow_id) or self._by_reference.get(workflow_id)

    def find_reference(self, reference_entity_id: str) -> Workflow | None:
        """Return the workflow with this UUID, or None."""
        return self._by_reference.get(reference_entity_id)

    def details(self, workflow: Workflow, version: int) -> bytes:
        """Return the JSON of the workflow details; serialised once."""
        key = (workflow.workflow_id, version)
        if key not in self._details:
            self._details[key] = json.dumps(workflow.details(version)).encode()
        return self._details[key]
