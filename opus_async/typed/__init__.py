"""What the modules are made of that ``opus-async workflow show ID --python`` writes.

Such a module has the inputs and outputs of one workflow as types, and the workflow as a
:class:`TypedWorkflow` that is run with them. :func:`python_module` writes it from a program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opus_async._lazy import lazy_names

if TYPE_CHECKING:
    from opus_async.typed.files import InputFile
    from opus_async.typed.models import InputsModel, OutputsModel
    from opus_async.typed.source import python_module
    from opus_async.typed.workflow import RunOptions, TypedWorkflow

_HOMES = {
    "opus_async.typed.files": ("InputFile",),
    "opus_async.typed.models": ("InputsModel", "OutputsModel"),
    "opus_async.typed.source": ("python_module",),
    "opus_async.typed.workflow": ("RunOptions", "TypedWorkflow"),
}

__all__ = ["InputFile", "InputsModel", "OutputsModel", "RunOptions", "TypedWorkflow", "python_module"]

if not TYPE_CHECKING:  # a type checker must see that a misspelt name is none
    __getattr__ = lazy_names(__name__, _HOMES)
