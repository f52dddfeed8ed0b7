"""``--set``: values that fill an input in every row that has no value of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opus_async.errors import ManifestError
from opus_async.input_names import InputNames
from opus_async.manifests.binding.cells import parse_array, to_json_value
from opus_async.manifests.binding.file_cells import FileCells, takes_files
from opus_async.manifests.binding.habits import Habits
from opus_async.models import InputField, Workflow
from opus_async.remote_urls import RemoteFile
from opus_async.text import quoted


class Constants:
    """The constants of a binding, checked against the workflow, with patterns of files expanded.

    Args:
        workflow: The workflow.
        given: The name of an input -> its value.
        habits: How numbers, dates and truth values are written in text.
        reader: Reads values of files, as a cell's are read.

    Attributes:
        values: Variable name -> what the input is given.
        files: Variable name -> the files in its value.
        stored: Name as given -> value as JSON can hold it, files with their full paths.
        cells: Variable name -> the same value: what a cell would hold that fills the input alike.

    Raises:
        ManifestError: A name means no input or several, or a value cannot be used.
    """

    def __init__(
        self,
        workflow: Workflow,
        given: Mapping[str, Any],
        habits: Habits,
        reader: FileCells,
    ) -> None:
        self._habits = habits
        self.values: dict[str, Any] = {}
        self.files: dict[str, list[Path | RemoteFile]] = {}
        self.stored: dict[str, Any] = {}
        self.cells: dict[str, Any] = {}
        self._reader = reader
        names = InputNames(workflow.inputs)
        problems: list[str] = []
        for name, value in given.items():
            fields = names.matches(name)
            if len(fields) != 1:
                problems.append(_unclear(names, name, fields))
            elif fields[0].variable_name in self.values:
                problems.append(f"--set fills {quoted(fields[0].display_name)} twice")
            else:
                try:
                    self._take(name, fields[0], value)
                    self.cells[fields[0].variable_name] = self.stored[name]
                except ValueError as error:
                    problems.append(f"--set {quoted(name)} {error}")
        if problems:
            raise ManifestError("The constants do not fit the workflow; nothing was sent:", problems)

    def _take(self, name: str, field: InputField, value: Any) -> None:
        if not takes_files(field):
            self.stored[name] = to_json_value(self._habits.read(value, field), field)
            self.values[field.variable_name] = (
                parse_array(self.stored[name], field) if field.type == "array" else self.stored[name]
            )
            return
        here = Path.cwd()
        expanded = self._reader.expand(field, value, here)
        given = self._reader.given(field, expanded, here)
        parts = given if isinstance(given, list) else [given]
        self.stored[name] = list(map(str, parts)) if given is parts else str(given)
        self.values[field.variable_name] = given
        self.files[field.variable_name] = [part for part in parts if isinstance(part, Path | RemoteFile)]


def _unclear(names: InputNames, name: str, fields: Sequence[InputField]) -> str:
    if fields:
        variables = " or ".join(quoted(field.variable_name) for field in fields)
        return f"--set: {quoted(name)} is the display name of {len(fields)} inputs: name {variables}"
    close = names.closest(name)
    listed = ", ".join(map(quoted, names.display_names)) or "none"
    hint = f"did you mean {quoted(close)}?" if close else f"the workflow has {listed}"
    return f"--set: there is no input {quoted(name)}; {hint}"
