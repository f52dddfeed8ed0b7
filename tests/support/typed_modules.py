"""Workflows with awkward names, and the modules that are written for them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any
from zlib import crc32

from opus_async import InputField, OutputField, Workflow
from opus_async.typed import python_module

WORKFLOW_ID = "Typ3dTypedTyped1"

NAMES = (
    "Text",
    "Due date",
    "Due-date",
    "due_date",
    "2nd page",
    "class",
    "List",
    "datetime",
    "Any",
    "Model dump",
    "model_config",
    "to inputs",
    'Say "hello"',
    "it's",
    'it\'s "both"',
    "back\\slash {brace} %s",
    "line\nbreak\tand tab",
    "Fällig am",
    "发票",
    "المستند",
    "…",
    "Annotated[x, y]: Annotated[",
    "# noqa",
    '"""',
    "x" * 90,
    "zero\u200bwidth",
    "🧾",
)


def field(name, kind="str", *, variable=None, nullable=False, item_type=None):
    variable = variable or f"workflow_input_{crc32(name.encode())}"
    return InputField(
        variable_name=variable, display_name=name, type=kind, nullable=nullable, item_type=item_type
    )


def output(name, kind="str", *, variable=None, nullable=False, item_type=None):
    variable = variable or f"workflow_output_{crc32(name.encode())}"
    return OutputField(
        variable_name=variable, display_name=name, type=kind, nullable=nullable, item_type=item_type
    )


def workflow(inputs=(), outputs=(), name="Invoice check", version=3):
    return Workflow(
        workflow_id=WORKFLOW_ID,
        name=name,
        inputs={each.variable_name: each for each in inputs},
        outputs={each.variable_name: each.display_name for each in outputs},
        output_fields={each.variable_name: each for each in outputs},
        version=version,
    )


AWKWARD = workflow(
    [field(name, variable=f"i{n}", nullable=n % 2 == 1) for n, name in enumerate(NAMES)],
    [output(name, variable=f"o{n}", nullable=n % 2 == 0) for n, name in enumerate(NAMES)],
    name='Ünï "check" \\ of\n发票',
)


def executed(text: str) -> ModuleType:
    """A module of this text."""
    module = ModuleType("written")
    sys.modules["written"] = module  # where pydantic looks for it
    try:
        exec(compile(text, "written.py", "exec"), vars(module))
    finally:
        del sys.modules["written"]
    return module


def written(described: Workflow) -> ModuleType:
    return executed(python_module(described))


def named(module: ModuleType, ending: str) -> Any:
    """What has a name with this ending in a module, which is one thing."""
    ours = {name: value for name, value in vars(module).items() if "[" not in name and name != ending}
    [found] = [value for name, value in ours.items() if name.endswith(ending)]
    return found
