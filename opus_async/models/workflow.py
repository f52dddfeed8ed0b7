"""A workflow and its inputs, as the schema describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opus_async.html_card import card
from opus_async.input_problems import InputProblem
from opus_async.models.mappings import EMPTY
from opus_async.value import Value


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class InputField(Value):
    """One input of a workflow, as its schema describes it.

    Attributes:
        variable_name: The key on the wire, e.g. ``workflow_input_we4tej0ly``. It changes when the workflow
            is edited: never write it into code.
        display_name: What a person sees in the Opus builder. Not promised to be unique.
        type: ``str``, ``int``, ``float``, ``bool``, ``date``, ``file``, ``array``, ``array_files``,
            ``object``, ``json_string``, or a word we do not know yet.
        schema_type: The schema's own word for the type where it is another one, e.g. ``integer`` for ``int``;
            values are sent with it.
        nullable: Whether the input may be left out.
        allowed_file_types: Upper-case names without dot, e.g. ``("PDF", "JPEG")``; empty means any
            supported type.
        item_type: For ``array``: the type of its items where the schema tells, e.g. ``file``.
        type_definition: The schema's own description of the items, sent back beside the value.
        raw: The field as the platform sent it.
    """

    variable_name: str
    display_name: str
    type: str
    schema_type: str | None = None
    nullable: bool = False
    allowed_file_types: tuple[str, ...] = ()
    item_type: str | None = None
    type_definition: Mapping[str, Any] | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)

    @property
    def takes_file(self) -> bool:
        """Whether the input is exactly one file."""
        return self.type == "file"

    @property
    def takes_files(self) -> bool:
        """Whether the input is a list of files."""
        return self.type == "array_files" or (self.type == "array" and self.item_type == "file")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class OutputField(Value):
    """One output of a workflow, as its schema describes it. What a job gives can be of another type.

    Attributes:
        variable_name: The key on the wire; it changes when the workflow is edited.
        display_name: What a person sees in the Opus builder. Not promised to be unique.
        type: As in :class:`InputField`.
        nullable: Whether a job may leave it out.
        item_type: For ``array``: the type of its items where the schema tells.
        raw: The field as the platform sent it.
    """

    variable_name: str
    display_name: str
    type: str
    nullable: bool = False
    item_type: str | None = None
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Workflow(Value):
    """A workflow and the inputs it expects now.

    Attributes:
        workflow_id: As asked for.
        name: As people see it; empty where not told.
        description: As people see it; empty where not told.
        inputs: Variable name -> field, in the schema's order.
        outputs: Variable name -> display name, where the schema tells; empty otherwise.
        output_fields: Variable name -> field, of the same outputs in the schema's order.
        version: The version that answered, where told.
        version_id: Its UUID, where told.
        workspace_id: Where it lives, where told; files must be uploaded to the same workspace.
        warnings: What a person should know about its inputs before a job runs: types that are not known.
        raw: The whole answer.
    """

    workflow_id: str
    name: str = ""
    description: str = ""
    inputs: Mapping[str, InputField] = field(default_factory=lambda: EMPTY)
    outputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    output_fields: Mapping[str, OutputField] = field(default_factory=lambda: EMPTY, repr=False)
    version: int | None = None
    version_id: str | None = None
    workspace_id: str | None = None
    warnings: tuple[InputProblem, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)

    def _repr_html_(self) -> str:
        """The inputs as a table, for notebooks."""
        version = "" if self.version is None else f", version {self.version}"
        return card(
            f"{self.name or 'Workflow'} ({self.workflow_id}{version})",
            (
                (
                    each.display_name,
                    each.type,
                    "optional" if each.nullable else "required",
                    ", ".join(each.allowed_file_types),
                )
                for each in self.inputs.values()
            ),
            header=("input", "type", "", "files"),
        )
