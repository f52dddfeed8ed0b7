"""Names rows: by a key from the manifest or by their content, never by their place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.errors import InvalidInputs
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.bound_column import BoundColumn
from opus_async.manifests.binding.row_files import NamedFile
from opus_async.manifests.displayed import Displayed
from opus_async.remote_urls import Place, kept_name
from opus_async.text import quoted

LONGEST = 200
"""Characters of a key."""
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str)
_SHORT = 20
"""Characters of a digest that make a key: a billion rows do not meet by chance."""


@cheap_dataclass()
class RowKey:
    """The key of a row, and the digest of its content.

    Attributes:
        key: The key that the manifest gives, or the beginning of the digest of its cells alone.
        digest: SHA-256 in hex of what the row asks for: its cells, its constants, the content of files.
        given: Whether the manifest gives the key.
    """

    key: str
    digest: str
    given: bool


def row_key(
    binding: Binding, cells: Mapping[str, Any], base: Place, files: Mapping[NamedFile, str]
) -> RowKey:
    """Name an expanded row. A row whose given key cannot be used is named by its content.

    The digest covers the values that fill inputs, by the names of the inputs: a constant counts as a cell of
    the same value would. The order of columns does not count, nor whether a number was stored as text; of a
    file its extension and content count alone. A key that is made from content leaves constants out: another
    constant makes no new rows.

    Args:
        binding: Tells what a column is for.
        cells: Column -> value, expanded where that can be done.
        base: The folder that relative files start at.
        files: The SHA-256 of each file of the row, or what identifies the version of a document elsewhere;
            one that is missing here counts by its path.
    """
    content = {
        name: _written(value)
        if column.file_input is None
        else _identity(value, binding.files.of_input(column.file_input, value, base), files)
        for column, value, name in _input_cells(binding, cells)
    }
    own_digest = digest = hashlib.sha256(_text(content)).hexdigest()
    if binding.constants and binding.constants_in_digest:
        constants = {
            binding.content_name(field): _identity(value, binding.files.of_input(field, value, base), files)
            for field, value in binding.constant_cells(cells)
        }
        if constants:
            digest = hashlib.sha256(_text({**content, **constants})).hexdigest()
    try:
        given = given_key(binding, cells)
    except InvalidInputs:
        given = None
    return RowKey(own_digest[:_SHORT] if given is None else given, digest, given is not None)


def cells_digest(binding: Binding, cells: Mapping[str, Any]) -> bytes:
    """The SHA-256 of the content of a row, in which files count by their paths; reads no file."""
    content = {name: _written(value) for _, value, name in _input_cells(binding, cells)}
    return hashlib.sha256(_text(content)).digest()


def row_key_without_files(
    binding: Binding, cells: Mapping[str, Any], base: Place, *, given: str | None, content: bytes
) -> RowKey:
    """As :func:`row_key`, of a row that names no files and is known already.

    Args:
        binding: As for :func:`row_key`.
        cells: As for :func:`row_key`.
        base: As for :func:`row_key`.
        given: What :func:`given_key` said of it.
        content: What :func:`cells_digest` said of it.
    """
    if binding.constants and binding.constants_in_digest:
        return row_key(binding, cells, base, {})
    digest = content.hex()
    return RowKey(digest[:_SHORT] if given is None else given, digest, given is not None)


def given_key(binding: Binding, cells: Mapping[str, Any]) -> str | None:
    """The key that a row gives; None when its content is to name it.

    Raises:
        InvalidInputs: It cannot be a key, or there is none where ``--key`` says that there is.
    """
    cell = _key_cell(binding, cells)
    if cell is None:
        if binding.key_column is not None:
            empty = Unfit("is empty, and --key takes the key from it", code=ProblemCode.BAD_KEY)
            column = binding.key_column
            raise InvalidInputs([empty.problem(subject=f"column {quoted(column)}", column=column)])
        return None
    key = _key_text(cell)
    if key is None:
        raise _no_key("a key is text or a number, not a value of type {}", type(cell).__name__)
    if not 1 <= len(key) <= LONGEST:
        raise _no_key(f"a key has 1 to {LONGEST} characters, not {{}}", f"{len(key):,}")
    if not key.isprintable():
        raise _no_key("the key {} holds characters that cannot be printed, like a line end", quoted(key))
    return key


def _key_cell(binding: Binding, cells: Mapping[str, Any]) -> Any:
    """The cell that gives the key; None for none."""
    for name, value in cells.items():
        if binding.column(name).is_key:
            return value
    return None


def key_of_cell(cell: Any) -> str | None:
    """The key that a cell would give; None where it can give none."""
    key = _key_text(cell)
    return key if key is not None and 1 <= len(key) <= LONGEST and key.isprintable() else None


def _no_key(template: str, *parts: object) -> InvalidInputs:
    return InvalidInputs([Unfit(template, *parts, code=ProblemCode.BAD_KEY).problem()])


def _input_cells(binding: Binding, cells: Mapping[str, Any]) -> list[tuple[BoundColumn, Any, str]]:
    """The cells that say what the job is to do: column, value, and the name of the input that they fill.

    What no input takes, titles and remarks, does not count: to add a column of remarks makes no new rows. Nor
    does the name of the column.
    """
    return [
        (column, value, binding.content_name(target))
        for name, value in cells.items()
        if (target := (column := binding.column(name)).input) is not None
    ]


def _key_text(cell: Any) -> str | None:
    """A cell as a key; None for a value that can be none."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, Displayed):
        return cell.text
    return str(_canonical(cell)) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def _identity(value: Any, parts: Sequence[Any] | None, files: Mapping[NamedFile, str]) -> Any:
    """What counts of a value; ``parts`` are the files that it names, None where it names none."""
    return _written(value) if parts is None else {"files": [_file_identity(part, files) for part in parts]}


def _file_identity(part: Any, files: Mapping[NamedFile, str]) -> Any:
    """What counts of a file: its extension, and its digest or else its path."""
    if not isinstance(part, NamedFile):
        return _canonical(part)
    return [part.suffix.lower(), files.get(part) or kept_name(part)]


def _written(value: Any) -> Any:
    """A cell as a CSV would hold it, so that a workbook, which stores numbers, gives the same digest."""
    if isinstance(value, str):
        return value
    value = _canonical(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _canonical(value: Any) -> Any:
    """The value with whole floats as integers, at any depth: formats differ in how they store them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    return value


def _text(content: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode(content).encode()
