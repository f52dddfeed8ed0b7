"""Writes the Python module of a workflow.

The same workflow gives the same text, so that a module in version control changes only where the workflow
did. It is formatted as ruff and black do it, unless a name is too long for a line.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence

from opus_async.models import Workflow
from opus_async.typed.fields import TypedField, inputs_of, outputs_of
from opus_async.typed.identifiers import class_name, constant_name, field_name
from opus_async.typed.models import InputsModel, OutputsModel

_LINE = 79
_NAME = 40
"""Letters of a workflow's name that its module's docstring has."""

_INPUTS: Mapping[str, str] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "date": "dt.date",
    "file": "InputFile",
    "array": "Sequence[Any]",
    "array_files": "Sequence[InputFile]",
    "object": "Mapping[str, Any]",
}
_OUTPUTS: Mapping[str, str] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "date": "dt.date",
    "file": "str",
    "array": "list[Any]",
    "array_files": "list[str]",
    "object": "dict[str, Any]",
}
"""Type -> Python's; of files the URL. What holds any JSON, and what is not known, is ``Any``."""
_USED = ("dt", "Annotated", "Any", "Field", "Mapping", "Sequence", "InputFile")
"""Names in the annotations of a model: a field of that name would hide one."""


def python_module(workflow: Workflow) -> str:
    """Write the module: its inputs and outputs as ``TypedDict`` and as pydantic models, and the workflow.

    Args:
        workflow: As it is now.

    Returns:
        The text of the module, to be kept in a file.
    """
    inputs, outputs = inputs_of(workflow), outputs_of(workflow)
    name, constant = class_name(workflow.name), constant_name(workflow.name)
    input_fields = _model_fields(inputs, _INPUTS, dir(InputsModel))
    output_fields = _model_fields(outputs, _OUTPUTS, dir(OutputsModel))
    kinds = [*(_type(field, _INPUTS) for field in inputs), *(_type(field, _OUTPUTS) for field in outputs)]
    optional = any(field.optional for field in (*inputs, *outputs))
    lines = [
        *_docstring(workflow),
        "",
        *_imports(kinds, [*input_fields, *output_fields], optional=optional),
        "",
        *_typed_dict(f"{name}Inputs", inputs, _INPUTS),
        *_typed_dict(f"{name}Outputs", outputs, _OUTPUTS),
        "",
        "",
        f"class {name}InputsModel(InputsModel[{name}Inputs]):",
        '    """The inputs, checked and converted when it is made."""',
        *input_fields,
        "",
        "",
        f"class {name}OutputsModel(OutputsModel):",
        '    """The outputs of a job, checked and converted."""',
        *output_fields,
        "",
        "",
        f"{constant} = TypedWorkflow[{name}Inputs, {name}Outputs](",
        f"    {_literal(workflow.workflow_id)},",
        *_described("inputs", inputs),
        *_described("outputs", outputs),
        f"    outputs_model={name}OutputsModel,",
        ")",
    ]
    return "\n".join([*_exceptions(lines, [inputs, outputs]), *lines, ""])


def _typed_dict(name: str, fields: Iterable[TypedField], types: Mapping[str, str]) -> list[str]:
    lines = []
    for field in fields:
        kind = _type(field, types)
        if field.optional:
            kind = f"NotRequired[{_or_none(kind)}]"
        lines.append(f"        {_literal(field.name)}: {kind},")
    if not lines:
        return [f'{name} = TypedDict("{name}", {{}})']
    return [f"{name} = TypedDict(", f'    "{name}",', "    {", *lines, "    },", ")"]


def _model_fields(fields: Iterable[TypedField], types: Mapping[str, str], hidden: Iterable[str]) -> list[str]:
    taken = {*_USED, *hidden}
    lines = []
    for field in sorted(fields, key=lambda each: each.optional):  # those with a default come last
        own = field_name(field.name, taken)
        taken.add(own)
        kind = _type(field, types)
        if field.optional:
            kind = _or_none(kind)
        lines += _attribute(own, kind, field)
    return ["", *lines] if lines else []


def _attribute(name: str, kind: str, field: TypedField) -> list[str]:
    """One field of a model; on several lines where it is long, which a formatter leaves as they are."""
    default = " = None" if field.optional else ""
    if name == field.name:
        return [f"    {name}: {kind}{default}"]
    alias = f"Field(alias={_literal(field.name)})"
    line = f"    {name}: Annotated[{kind}, {alias}]{default}"
    if len(line) <= _LINE:
        return [line]
    return [f"    {name}: Annotated[", f"        {kind},", f"        {alias},", f"    ]{default}"]


def _described(what: str, fields: Sequence[TypedField]) -> list[str]:
    if not fields:
        return [f"    {what}={{}},"]
    lines = [f"        {_literal(field.name)}: {_literal(field.description)}," for field in fields]
    return [f"    {what}={{", *lines, "    },"]


def _type(field: TypedField, types: Mapping[str, str]) -> str:
    kind = types.get(field.type, "Any")
    return kind.replace("Any", types.get(field.item_type, "Any")) if field.item_type else kind


def _or_none(kind: str) -> str:
    return kind if kind == "Any" else f"{kind} | None"


def _docstring(workflow: Workflow) -> list[str]:
    kept = "".join(c if c.isprintable() and c != "\\" else " " for c in workflow.name).replace('"', "'")
    name = " ".join(kept.split())[:_NAME].strip() or workflow.workflow_id
    version = f" from version {workflow.version}" if workflow.version is not None else ""
    return [
        f'"""Inputs and outputs of the workflow {name}.',
        "",
        f"Written{version} by",
        f"opus-async workflow show {workflow.workflow_id} --python",
        "which writes it anew when the workflow has changed.",
        '"""',
    ]


def _imports(kinds: Sequence[str], model_fields: Sequence[str], *, optional: bool) -> list[str]:
    """The imports of what the module uses: of the types in it, ``NotRequired``, ``Annotated``."""

    def used(*names: str) -> list[str]:
        return [name for name in names if any(re.search(rf"\b{name}\b", kind) for kind in kinds)]

    has_alias = any(line.partition(": ")[2].startswith("Annotated[") for line in model_fields)
    typing = [
        *(["Annotated"] if has_alias else []),
        *used("Any"),
        *(["NotRequired"] if optional else []),
        "TypedDict",
    ]
    collections = used("Mapping", "Sequence")
    return [
        *(["import datetime as dt"] if used("dt") else []),
        *([f"from collections.abc import {', '.join(collections)}"] if collections else []),
        f"from typing import {', '.join(typing)}",
        "",
        "from opus_async.typed import (",
        *(f"    {name}," for name in (*used("InputFile"), "InputsModel", "OutputsModel", "TypedWorkflow")),
        ")",
        *(["from pydantic import Field"] if has_alias else []),
    ]


def _exceptions(lines: Iterable[str], mappings: Iterable[Sequence[TypedField]]) -> list[str]:
    """What a formatter and a linter must be told of names that people gave."""
    too_long = any(len(line) > _LINE for line in lines)
    rules = ["E501"] if too_long else []
    if not all(line.isascii() for line in lines):
        rules += ["PLC2401", "RUF001", "RUF002"]
    if any(all(_is_attribute(field.name) for field in fields) for fields in mappings):
        rules.append("UP013")
    if rules:
        rules.append("RUF100")  # which of them apply is up to the linter's settings
    off = ["# fmt: off"] if too_long else []
    return [*off, f"# ruff: noqa: {', '.join(rules)}"] if rules else off


def _is_attribute(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _literal(text: str) -> str:
    """A text as a formatter writes it: in double quotes, unless it has more of them than of single ones."""
    written = "".join(
        letter if letter.isprintable() and letter != "\\" else repr(letter)[1:-1] for letter in text
    )
    if text.count('"') > text.count("'"):
        return "'" + written.replace("'", "\\'") + "'"
    return '"' + written.replace('"', '\\"') + '"'
