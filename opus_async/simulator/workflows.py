"""Workflow definitions: what a workflow asks for and what it gives.

Which workflows exist is in `builtin` and `workflow_file`; how the vendor describes one on the wire is in
`schemas`; what an output's fact computes is in `results`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opus_async.simulator.seeded_random import identifier

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
SPELLINGS = {
    "string": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "binary": "file",
    "node": "object",
}
"""Other names of types to the type: as seen in `allowed_types`, and one that JSON Schema has beside them."""
DEFAULT_NODES = ("Input", "Extract", "Review", "Output")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class InputVariable:
    """One input of a workflow.

    Attributes:
        variable_name: The key in the payload.
        display_name: The name people see.
        type: One of `VALUE_TYPES` or `SPELLINGS`, or a word that nobody knows: such an input takes anything.
        nullable: Whether the payload may leave it out.
        file_types: Upper-case type names without dot that a file input takes; empty for any.
        of_files: Whether an `array` holds files; it then needs a typeDefinition in the payload.
        item_type: The type of the items of an `array` that holds no files, where the schema tells it.
    """

    variable_name: str
    display_name: str
    type: str
    nullable: bool = False
    file_types: tuple[str, ...] = ()
    of_files: bool = False
    item_type: str = ""

    @property
    def kind(self) -> str:
        """Its type by the name in `VALUE_TYPES`; the word itself where that is not known."""
        return SPELLINGS.get(self.type, self.type)

    @property
    def holds_files(self) -> bool:
        """Whether its value is a file URL or a list of them."""
        return self.of_files or self.kind in ("file", "array_files")

    @property
    def type_definition(self) -> dict[str, Any] | None:
        """The schema's definition of the items of an `array`; None where it tells nothing of them."""
        item = "file" if self.of_files else self.item_type
        return {"id": item, "variable_name": item, "allowed_types": [{"type": item}]} if item else None


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
        outputs_invented: Whether its definition tells no outputs, so that it may have any.
    """

    workflow_id: str
    name: str
    description: str
    inputs: tuple[InputVariable, ...]
    outputs: tuple[OutputVariable, ...]
    nodes: tuple[str, ...] = DEFAULT_NODES
    version: int = 3
    reference_entity_id: str = ""
    outputs_invented: bool = False

    def __post_init__(self) -> None:
        """Give the workflow a UUID if its definition has none: its id, where that is one."""
        if not self.reference_entity_id:
            own = is_uuid(self.workflow_id)
            made = self.workflow_id if own else identifier("workflow", self.workflow_id)
            object.__setattr__(self, "reference_entity_id", made)

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


def is_uuid(value: object) -> bool:
    """Whether `value` is the text of a UUID."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None
