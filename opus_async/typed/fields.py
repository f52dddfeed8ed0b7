"""The inputs and outputs of a workflow by the names and types that its Python module gives them."""

from __future__ import annotations

from typing import NamedTuple

from opus_async.input_names import InputNames
from opus_async.models import InputField, OutputField, Workflow
from opus_async.models.results import free_name

OPTIONAL, REQUIRED = "optional", "required"


class TypedField(NamedTuple):
    """One input or output.

    Attributes:
        name: The key in the mapping of inputs or outputs.
        type: ``str``, ``file``, ``array``, ... as in :class:`~opus_async.InputField`.
        item_type: Of an array, where it is known.
        optional: Whether it may be left out.
    """

    name: str
    type: str
    item_type: str | None
    optional: bool

    @property
    def description(self) -> str:
        """Type and whether it may be left out, in words: ``array of file, optional``."""
        of = f" of {self.item_type}" if self.item_type else ""
        return f"{self.type}{of}, {OPTIONAL if self.optional else REQUIRED}"


def inputs_of(workflow: Workflow) -> list[TypedField]:
    """The inputs, by display name; one whose display name means another input too, by its variable name."""
    names = InputNames(workflow.inputs)
    return [
        _field(field, field.display_name if _is_unique(names, field) else field.variable_name)
        for field in workflow.inputs.values()
    ]


def outputs_of(workflow: Workflow) -> list[TypedField]:
    """The outputs, by the names that :attr:`~opus_async.JobOutcome.outputs` gives them."""
    found: dict[str, TypedField] = {}
    for field in workflow.output_fields.values():
        name = free_name(field.display_name, field.variable_name, found)
        found[name] = _field(field, name)
    return list(found.values())


def _is_unique(names: InputNames, field: InputField) -> bool:
    return [match.variable_name for match in names.exactly(field.display_name)] == [field.variable_name]


def _field(field: InputField | OutputField, name: str) -> TypedField:
    item_type = field.item_type if field.type == "array" else None
    return TypedField(name, field.type, item_type, field.nullable)
