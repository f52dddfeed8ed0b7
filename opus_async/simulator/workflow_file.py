"""Workflow definitions from a JSON file.

Either what `opus-async workflow show ID --json` prints, or the vendor's own answer of GET /workflow/{id} (the
flat shape with `jobPayloadSchema`), or a simpler form:

    {
      "id": "My0wnWorkflow001",
      "name": "Contract check",
      "inputs": [
        {"name": "Contract", "type": "file", "file_types": ["PDF"]},
        {"name": "Limit", "type": "float", "nullable": true, "variable": "workflow_input_limit0001"}
      ],
      "outputs": [
        {"name": "Digest", "fact": "sha256", "input": "Contract"},
        {"name": "Verdict", "fact": "verdict", "input": "Contract"}
      ],
      "nodes": ["Input", "OCR", "Human review", "Output"]
    }

or a list of such objects, or an object whose `workflows` is that list. Only `id` and `inputs` are required.
`name` is the display name; `variable` is made from it when absent. A fact is one of `results.FACTS`. A
workflow without outputs gives an echo of each input and the facts of each file; outputs of the two other
forms, which say nothing about how they are computed, each give the digest of all inputs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opus_async.simulator.builtin import default_outputs
from opus_async.simulator.results import Fact
from opus_async.simulator.seeded_random import hexadecimal
from opus_async.simulator.workflows import DEFAULT_NODES, InputVariable, OutputVariable, Workflow

if TYPE_CHECKING:
    from os import PathLike

ValueType = Literal[
    "str",
    "float",
    "int",
    "bool",
    "date",
    "file",
    "array",
    "array_files",
    "object",
    "json_string",
    "string",
    "text",
    "integer",
    "number",
    "boolean",
    "binary",
    "node",
]
_NAME_DIGITS = 9
# Facts of all inputs together: they need not name one.
_FACTS_OF_ALL = ("digest", "report_file", "report_files")
_TYPES = {
    "size": "int",
    "lines": "int",
    "pages": "int",
    "characters": "int",
    "report_file": "file",
    "report_files": "array",
}


class WorkflowFileError(ValueError):
    """A workflow definition that cannot be used; the message names its file, if any, and the reason."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Input(_Strict):
    name: str = Field(min_length=1)
    type: ValueType
    variable: str = ""
    nullable: bool = False
    file_types: tuple[str, ...] = ()
    of_files: bool = False

    def to_variable(self, workflow_id: str) -> InputVariable:
        return InputVariable(
            variable_name=self.variable or "workflow_input_" + _short_id(workflow_id, "input", self.name),
            display_name=self.name,
            type=self.type,
            nullable=self.nullable,
            file_types=tuple(name.lstrip(".").upper() for name in self.file_types),
            of_files=self.of_files,
        )


class _Output(_Strict):
    name: str = Field(min_length=1)
    fact: Fact = "echo"
    input: str = ""
    type: str = ""
    variable: str = ""

    def to_variable(self, workflow_id: str, by_display: dict[str, InputVariable]) -> OutputVariable:
        source = by_display.get(self.input)
        echoed = source.type if source and self.fact == "echo" else "str"
        return OutputVariable(
            variable_name=self.variable or "workflow_output_" + _short_id(workflow_id, "output", self.name),
            display_name=self.name,
            type=self.type or _TYPES.get(self.fact, echoed),
            fact=self.fact,
            source=source.variable_name if source else "",
        )


class _Simple(_Strict):
    id: str = Field(min_length=1)
    name: str = ""
    description: str = ""
    inputs: tuple[_Input, ...]
    outputs: tuple[_Output, ...] = ()
    nodes: tuple[str, ...] = Field(DEFAULT_NODES, min_length=2)
    version: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _outputs_name_inputs(self) -> _Simple:
        known = {variable.name for variable in self.inputs}
        for output in self.outputs:
            if output.fact not in _FACTS_OF_ALL and output.input not in known:
                raise ValueError(f"output {output.name!r} names no input: {output.input!r}")
        return self

    def to_workflow(self) -> Workflow:
        inputs = tuple(variable.to_variable(self.id) for variable in self.inputs)
        by_display = {variable.display_name: variable for variable in inputs}
        outputs = tuple(variable.to_variable(self.id, by_display) for variable in self.outputs)
        return Workflow(
            self.id,
            self.name or self.id,
            self.description,
            inputs,
            outputs or default_outputs(inputs),
            self.nodes,
            self.version,
            outputs_invented=not outputs,
        )


class _VendorVariable(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    display_name: str = ""
    type: str = Field(min_length=1)
    is_nullable: bool = False
    tags: tuple[dict[str, Any], ...] = ()
    type_definition: dict[str, Any] | None = None

    def to_variable(self, name: str) -> InputVariable:
        allowed = next(
            (tag["value"] for tag in self.tags if tag.get("variable_name") == "allowed_file_types"), ()
        )
        item = self._item_type() if self.type == "array" else ""
        return InputVariable(
            variable_name=name,
            display_name=self.display_name or name,
            type=self.type,
            nullable=self.is_nullable,
            file_types=tuple(allowed),
            of_files=item == "file",
            item_type="" if item == "file" else item,
        )

    def _item_type(self) -> str:
        """Return the type of the items; a definition that does not tell it was seen with files alone."""
        match self.type_definition:
            case None:
                return ""
            case {"allowed_types": [{"type": str(item)}, *_]}:
                return item
        return "file"


class _VendorOutput(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    display_name: str = ""
    type: str = "str"


class _Vendor(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    workflowId: str = Field(min_length=1)  # noqa: N815 - the vendor's name
    name: str = ""
    description: str | None = None
    jobPayloadSchema: dict[str, _VendorVariable]  # noqa: N815 - the vendor's name
    jobResultsPayloadSchema: dict[str, _VendorOutput] = Field(default_factory=dict)  # noqa: N815 - the vendor's name

    def to_workflow(self) -> Workflow:
        inputs = tuple(variable.to_variable(name) for name, variable in self.jobPayloadSchema.items())
        outputs = tuple(
            OutputVariable(name, output.display_name or name, output.type, "digest")
            for name, output in self.jobResultsPayloadSchema.items()
        )
        return Workflow(
            self.workflowId,
            self.name or self.workflowId,
            self.description or "",
            inputs,
            outputs or default_outputs(inputs),
            outputs_invented=not outputs,
        )


class _ShownInput(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    variable_name: str = Field(min_length=1)
    display_name: str = ""
    type: str = Field(min_length=1)
    schema_type: str | None = None
    item_type: str | None = None
    required: bool = True
    allowed_file_types: tuple[str, ...] = ()

    def to_variable(self) -> InputVariable:
        of_files = self.type == "array" and self.item_type == "file"
        return InputVariable(
            variable_name=self.variable_name,
            display_name=self.display_name or self.variable_name,
            type=self.schema_type or self.type,
            nullable=not self.required,
            file_types=self.allowed_file_types,
            of_files=of_files,
            item_type="" if of_files else self.item_type or "",
        )


class _Shown(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    workflow_id: str = Field(min_length=1)
    name: str | None = None
    description: str | None = None
    version: int | None = Field(None, ge=1)
    inputs: tuple[_ShownInput, ...]
    outputs: dict[str, str] = Field(default_factory=dict)

    def to_workflow(self) -> Workflow:
        inputs = tuple(variable.to_variable() for variable in self.inputs)
        outputs = tuple(OutputVariable(name, shown, "str", "digest") for name, shown in self.outputs.items())
        return Workflow(
            self.workflow_id,
            self.name or "",
            self.description or "",
            inputs,
            outputs or default_outputs(inputs),
            version=self.version or 1,
            outputs_invented=not outputs,
        )


def load_workflows(path: str | PathLike[str]) -> list[Workflow]:
    """Read the workflows of a file.

    Raises:
        WorkflowFileError: If the file cannot be read, is not JSON, or does not describe workflows.
    """
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise WorkflowFileError(f"workflow file {path}: {error.strerror}") from error
    except ValueError as error:
        raise WorkflowFileError(f"workflow file {path} is not JSON: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("workflows"), list):
        document = document["workflows"]
    definitions = document if isinstance(document, list) else [document]
    try:
        return [read_workflow(definition) for definition in definitions]
    except WorkflowFileError as error:
        raise WorkflowFileError(f"workflow file {path}: {error}") from error


def read_workflow(definition: object) -> Workflow:
    """Return the workflow that one definition describes, in any of the three forms.

    Raises:
        WorkflowFileError: If it does not describe a workflow.
    """
    try:
        if isinstance(definition, dict) and "jobPayloadSchema" in definition:
            return _Vendor.model_validate(definition).to_workflow()
        if isinstance(definition, dict) and "workflow_id" in definition:
            return _Shown.model_validate(definition).to_workflow()
        return _Simple.model_validate(definition).to_workflow()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the definition"
        raise WorkflowFileError(f"{place}: {first['msg']}") from error


def _short_id(*about: str) -> str:
    return hexadecimal(_NAME_DIGITS, *about)
