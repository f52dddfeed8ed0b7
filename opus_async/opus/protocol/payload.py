"""Binds a caller's values to inputs: which files must be uploaded, and the payload once they have URLs.

Everything that can be wrong with inputs is found here, all of it at once, before a request is sent or a byte
is read. Pure: the disk is looked at by the injected inspector alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.errors import InvalidInputs
from opus_async.input_names import InputNames
from opus_async.input_problems import InputProblem, ProblemCode, Unfit
from opus_async.models import InputField, Workflow
from opus_async.opus.protocol.files import FileFacts, FileInspector, FileToSend, file_or_url, is_named_file
from opus_async.opus.protocol.input_labels import input_problem, name_problem, quoted
from opus_async.opus.protocol.values import coerce

__all__ = ["BoundInputs", "FileFacts", "FileInspector", "FileToSend", "bind"]

FILE_DEFINITION: Mapping[str, Any] = {
    "id": "file",
    "variable_name": "file",
    "allowed_types": [{"type": "file"}],
}
"""What a list of files is a list of. Without it such an input can fail within 150 ms, or the agents get plain
URLs; sent where the schema has no definition of its own."""

_DEFINED = frozenset(("array", "object"))
"""Types that send a definition of their items; ``array_files`` and ``json_string`` send none."""


@cheap_dataclass()
class _Pending:
    """A URL that is not known yet: the position of its file in ``BoundInputs.files``."""

    position: int


@cheap_dataclass()
class BoundInputs:
    """Inputs that were checked against their workflow.

    Attributes:
        workflow: What they were bound to.
        files: What must be uploaded, in the order of the payload, lists flattened.
        values: Input and value, with the place of each file's URL still open.
    """

    workflow: Workflow
    files: tuple[FileToSend, ...] = ()
    values: tuple[tuple[InputField, Any], ...] = field(default=(), repr=False)

    def payload(self, urls: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Make the payload: variable name -> variable object; ``urls[i]`` is the fileUrl of ``files[i]``.

        Raises:
            ValueError: There are not as many URLs as files.
        """
        if len(urls) != len(self.files):
            raise ValueError(f"{len(self.files)} files need as many URLs, got {len(urls)}")
        return {
            bound.variable_name: _variable(bound, _filled(value, urls) if self.files else value)
            for bound, value in self.values
        }


def bind(
    workflow: Workflow, inputs: Mapping[str, Any], *, inspect: FileInspector, max_file_bytes: int
) -> BoundInputs:
    """Check and convert a caller's values.

    A value of None means that the input is not given. A nullable input that is not given is left out: the
    wire form of null is not documented, and one run failed on it. The payload has the schema's order.

    Args:
        workflow: Its schema, read just before.
        inputs: Variable name or display name -> value; what a value may be is told in ``values`` and
            ``files``.
        inspect: Tells name and size of a file.
        max_file_bytes: The largest file that is sent.

    Raises:
        InvalidInputs: With every problem there is, each naming its input.
    """
    if not isinstance(inputs, Mapping):
        raise InvalidInputs(
            [
                InputProblem(
                    f"inputs are a mapping of name to value, not a value of type {type(inputs).__name__}",
                    code=ProblemCode.BAD_ARGUMENT,
                )
            ]
        )
    problems: list[InputProblem] = []
    given, unclear = _assigned(workflow, inputs, problems)
    files = _Files(inspect, max_file_bytes)
    values: list[tuple[InputField, Any]] = []
    for target in workflow.inputs.values():
        name = target.variable_name
        if name not in given:
            if not target.nullable and name not in unclear:
                problems.append(input_problem(target, Unfit("is missing", code=ProblemCode.MISSING)))
            continue
        try:
            value = _bound(target, given[name], files)
        except ValueError as error:
            problems.append(input_problem(target, Unfit.of(error)))
        else:
            if value is not None:
                values.append((target, value))
    if problems:
        raise InvalidInputs(problems)
    return BoundInputs(workflow, tuple(files.found), tuple(values))


def _assigned(
    workflow: Workflow, inputs: Mapping[str, Any], problems: list[InputProblem]
) -> tuple[dict[str, Any], set[str]]:
    """Map variable names to what was given for them; and the variables that an ambiguous name may mean."""
    known = InputNames(workflow.inputs)
    given: dict[str, Any] = {}
    named_as: dict[str, str] = {}
    unclear: set[str] = set()
    for name, value in inputs.items():
        matches = known.matches(name)
        if len(matches) != 1:
            problems.append(name_problem(known, name, matches))
            unclear.update(match.variable_name for match in matches)
            continue
        if value is None:
            continue
        variable = matches[0].variable_name
        if variable in given:
            twice = Unfit(
                "is given twice, as {} and as {}",
                quoted(named_as[variable]),
                quoted(name),
                code=ProblemCode.GIVEN_TWICE,
            )
            problems.append(input_problem(matches[0], twice))
            continue
        given[variable] = value
        named_as[variable] = name
    return given, unclear


def _bound(target: InputField, value: Any, files: _Files) -> Any:
    """The value to send, with places for URLs that are not known yet; None to leave the input out."""
    if target.takes_files:
        return files.many(target, value)
    if target.takes_file:
        return files.one(target, value)
    return coerce(target.type, value)


class _Files:
    """Finds the files among the inputs of one job, and gives each its place."""

    def __init__(self, inspect: FileInspector, max_bytes: int) -> None:
        self.found: list[FileToSend] = []
        self._inspect = inspect
        self._max_bytes = max_bytes

    def one(self, target: InputField, value: Any) -> _Pending | str:
        """Take one file: the URL of an earlier upload, or a place for that of a new one.

        Raises:
            Unfit: It is no file that the input takes.
        """
        part = file_or_url(target, value, self._inspect, self._max_bytes)
        if isinstance(part, str):
            return part
        self.found.append(part)
        return _Pending(len(self.found) - 1)

    def many(self, target: InputField, value: Any) -> list[_Pending | str] | None:
        """Take the files of an input that holds a list, which a single file is too; None for no files.

        Raises:
            Unfit: With every file that is not taken.
        """
        items = value if isinstance(value, list | tuple) and not is_named_file(value) else (value,)
        if not items:
            if target.nullable:
                return None
            raise Unfit("wants at least one file, got an empty list")
        placed: list[_Pending | str] = []
        unfit: list[tuple[int, Unfit]] = []
        for position, item in enumerate(items):
            try:
                placed.append(self.one(target, item))
            except ValueError as error:
                unfit.append((position, Unfit.of(error)))
        if unfit:
            raise _of_a_list(unfit, alone=len(items) == 1)
        return placed


def _of_a_list(unfit: Sequence[tuple[int, Unfit]], *, alone: bool) -> Unfit:
    """Join the problems of items of a list: the code and file of the first, the fix of the last."""
    *others, (place, last) = unfit
    texts = [f"[{position}] {error}" for position, error in others]
    texts.append(last.message if alone else f"[{place}] {last.message}")
    first_place, first = unfit[0]
    whole = Unfit("{}", "; ".join(texts), code=first.code, fix=last.fix, file=first.file)
    whole.group = "; ".join(dict.fromkeys(error.group for _, error in unfit))
    whole.position = first_place
    return whole


def _filled(value: Any, urls: Sequence[str]) -> Any:
    """Fill the URLs into a value; no list but one of files has places for them."""
    if isinstance(value, _Pending):
        return urls[value.position]
    if isinstance(value, list) and any(isinstance(item, _Pending) for item in value):
        return [urls[item.position] if isinstance(item, _Pending) else item for item in value]
    return value


def _variable(target: InputField, value: Any) -> dict[str, Any]:
    """Make the variable object of one input.

    ``type`` is bare text, the schema's own word: its rich object gives 500. ``displayName`` keeps the Opus UI
    right. The definition of the items is camelCase: ``type_definition`` is ignored without a message.
    """
    variable: dict[str, Any] = {
        "value": value,
        "type": target.schema_type or target.type,
        "displayName": target.display_name,
    }
    if target.type in _DEFINED:
        definition = target.type_definition or (FILE_DEFINITION if target.takes_files else None)
        if definition:
            variable["typeDefinition"] = dict(definition)
    return variable
