"""Reads cells that name files: paths, patterns, URLs of earlier uploads; one, or several with semicolons."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from opus_async.input_problems import ProblemCode, Unfit
from opus_async.manifests.binding.cells import split_list, to_json_value
from opus_async.manifests.binding.globs import Globs
from opus_async.manifests.paths import as_written
from opus_async.manifests.readers.listing import has_magic
from opus_async.models import InputField
from opus_async.text import quoted


def takes_files(field: InputField) -> bool:
    """Whether an input is a file or a list of files."""
    return field.takes_file or field.takes_files


class FileCells:
    """Reads the cells of inputs that take a file or a list of files.

    Args:
        literal: Whether a text is exactly one path, as in the listing of a folder: then a semicolon, a star
            or a space around it is part of the name.
    """

    def __init__(self, *, literal: bool = False) -> None:
        self._literal = literal
        self._globs = Globs()

    def expand(self, field: InputField, value: Any, base: Path) -> Any:
        """The cell with patterns replaced by the files that they match now; what is no text stays as it is.

        Paths are those of this system, see :func:`~opus_async.manifests.paths.as_written`.

        Raises:
            Unfit: A pattern matches no file, or more than the one that the input takes; the text
                completes the sentence "column X ...".
        """
        if field.takes_files:
            return [found for item in self._items(value) for found in self._matches(item, base)]
        if not isinstance(value, str):
            return to_json_value(value)
        found = self._matches(self._trimmed(value), base)
        if len(found) > 1:
            raise Unfit(
                "has the pattern {} for one file, and {} files match it",
                quoted(value),
                f"{len(found):,}",
                code=ProblemCode.NO_MATCH,
            )
        return found[0]

    def given(self, field: InputField, value: Any, base: Path) -> Any:
        """What the input is given: a path below ``base``, or a URL as it is; a list of these for a list."""
        if field.takes_files:
            return [_place(item, base) for item in self._items(value)]
        return _place(self._trimmed(value), base)

    def named(self, field: InputField, value: Any) -> list[Any]:
        """The parts of a cell as they are written, in the order of :meth:`given`."""
        return self._items(value) if field.takes_files else [value]

    def _items(self, value: Any) -> list[Any]:
        if isinstance(value, list | tuple):
            return list(value)
        return split_list(value) if isinstance(value, str) and not self._literal else [value]

    def _trimmed(self, value: Any) -> Any:
        return value.strip() if isinstance(value, str) and not self._literal else value

    def _matches(self, item: Any, base: Path) -> list[Any]:
        if not isinstance(item, str):
            return [to_json_value(item)]
        if self._literal or is_url(item):
            return [item]
        item = as_written(item, base)
        if not has_magic(item):
            return [item]
        found = self._globs.expand(item, base)
        if not found:
            raise Unfit(
                "has the pattern {}, which matches no file in {}",
                quoted(item),
                quoted(base),
                code=ProblemCode.NO_MATCH,
            )
        return list(found)


def is_url(value: str) -> bool:
    """Whether a text is an http(s) URL: then it names an earlier upload, not a local file."""
    return value.lstrip()[:8].lower().startswith(("http://", "https://"))


def _place(item: Any, base: Path) -> Any:
    return item if not isinstance(item, str) or not item or is_url(item) else _below(base, item)


@lru_cache(maxsize=1024)  # a row is asked for its files five times over, of a few hundred rows at once
def _below(base: Path, path: str) -> Path:
    return base / path
