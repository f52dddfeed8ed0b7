"""Checks the header: the row that names the columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.manifests.blanks import looks_blank

_DATUM = re.compile(r"[-+]?[\d.,:/ -]*\d[\d.,:/ %-]*")
"""A number, a date or a time, which is hardly ever the name of a column."""
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_SHOWN = 5


def column_names(path: Path, where: str, cells: Sequence[str]) -> tuple[str, ...]:
    """Check the row that should name the columns.

    Args:
        path: The manifest. A cell that names a file beside it shows that the row is one of data.
        where: The row in words: ``line 1``.
        cells: The cells of the row.

    Returns:
        A name for each cell, see :func:`header_name`; empty for a column without a name, which is an error
        only when a row has a value there.

    Raises:
        ManifestError: Two columns have the same name, none has a name, or the row is one of data.
    """
    names = tuple(map(header_name, cells))
    named = [name for name in names if name]
    if not named:
        raise ManifestError(
            f"{path.name}, {where}: no column has a name; name them after the workflow's inputs"
        )
    twice = [name for name, count in Counter(named).items() if count > 1]
    if twice:
        raise ManifestError(
            f"{path.name}, {where}: {_listed(twice)} stands there more than once; every column needs a name "
            "of its own"
        )
    data = named if all(map(_DATUM.fullmatch, named)) else _files(path.parent, named)
    if data:
        raise ManifestError(
            f"{path.name}, {where}: {_listed(data)} looks like data, not like the name of a column; put a "
            "line above it that names the columns (the inputs of the workflow)"
        )
    return names


def header_name(cell: str) -> str:
    """The name that a cell of the header gives: on one line, with single spaces, no invisible ends.

    A line break (Alt+Enter in Excel), a tab or a doubled space cannot be seen in a message, nor typed again
    behind ``--map``.
    """
    return "" if looks_blank(cell) else _SPACES.sub(" ", cell).strip(" \ufeff\u200b\u2060").strip()


def _files(base: Path, names: Sequence[str]) -> list[str]:
    """The names that are paths of existing files."""
    found = []
    for name in names:
        if Path(name).suffix:
            try:
                is_file = (base / name).is_file()
            except (OSError, ValueError):  # too long for a name, or a zero byte
                continue
            found += [name] if is_file else []
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
