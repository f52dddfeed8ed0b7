"""JSON Lines: one JSON object on each line; or one JSON array of objects, which is read object by object."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.manifests.blanks import looks_blank
from opus_async.manifests.model import Record, Unreadable
from opus_async.manifests.readers.encoding import (
    decoded_head,
    decoded_rows,
    given_encoding,
    known_encoding,
    mistaken_for,
)
from opus_async.manifests.readers.file_type import refuse_other_content
from opus_async.manifests.readers.json_array import elements, object_too_long
from opus_async.manifests.readers.json_rows import json_row
from opus_async.manifests.readers.raw_rows import RawRow, numbered
from opus_async.manifests.readers.source_file import Source
from opus_async.manifests.readers.text_lines import (
    DAMAGED,
    ZERO,
    RowLines,
    RowTooLongError,
    row_too_long,
)

LONGEST_LINE = 16 << 20
"""Characters of a line at most. Its values take up to 28 times as much memory, when all are empty lists."""
_SPACE = " \t\r\n\ufeff\x1a"
_OBJECTS = re.compile(r"\}\s*,")
_LONE_RETURN = re.compile(r"[^\r\n]*\r(?!\n)")
"""The first line ends in a CR alone, as on old Macs."""


class JsonLinesManifest:
    """A manifest in JSON Lines, or in a JSON array of objects; see :class:`opus_async.manifests.Manifest`.

    Args:
        path: The file, absolute.
        encoding: The encoding; None for that of the byte-order mark, else UTF-8.

    Raises:
        ManifestError: It begins neither with an object nor with an array.
    """

    kind = "jsonl"

    def __init__(self, path: Path, *, encoding: str | None = None) -> None:
        self.path = path
        self.base = path.parent
        self.columns: tuple[str, ...] | None = None
        self.warnings: list[str] = []
        self._source = Source(path)
        head = self._source.head()
        refuse_other_content(path, head, "text")
        self._encoding = given_encoding(encoding, head) if encoding else known_encoding(self._source, head)
        if encoding:
            self.warnings += filter(None, [mistaken_for(self._encoding, head)])
        text = self._begins(head)
        self._is_array = text.lstrip(_SPACE).startswith("[")
        self._newline = "" if not self._is_array and _LONE_RETURN.match(text.lstrip(_SPACE)) else "\n"
        if not self._newline:
            self.warnings.append("its line ends are CR alone, as on old Macs")
        rows = max(1, len(_OBJECTS.findall(text)) if self._is_array else text.count("\n") or text.count("\r"))
        self._rows = round(rows * self._source.size / len(head))

    def records(self) -> Iterator[Record]:
        """Read each object that carries something."""
        rows = self._array if self._is_array else self._lines
        yield from decoded_rows(
            self._source, self._encoding, self._newline, lambda text: numbered(rows(text), ())
        )

    def stamp(self) -> str:
        """The stamp of the file."""
        return self._source.stamp()

    def estimated_rows(self) -> int:
        """Estimate by the lines of the first part."""
        return self._rows

    def _begins(self, head: bytes) -> str:
        """The text of the first part; refuses one that does not begin with an object or an array of them."""
        text = decoded_head(self._source, head, self._encoding)
        begins = text.lstrip(_SPACE)[:1]
        if not begins:
            raise ManifestError(f"{self.path} is empty: it has one JSON object on a line for each job")
        if begins not in "[{":
            raise ManifestError(
                f"{self.path.name} does not begin with a JSON object: each line holds one, such as "
                '{"Input": "value"}; if it is a table name it .csv'
            )
        return text

    def _lines(self, text: io.TextIOWrapper) -> Iterator[RawRow]:
        lines = RowLines(text, self.path.name, LONGEST_LINE, self._newline)
        while True:
            lines.next_row()
            try:
                line = next(lines)
            except StopIteration:
                return
            except RowTooLongError:
                where = f"line {lines.number}"
                lines.read_on(lambda _: None, lambda: True, to_end=True)
                yield RawRow(where, {}, (Unreadable(problem=row_too_long(LONGEST_LINE)),))
                continue
            if ZERO in line:
                yield RawRow(f"line {lines.number}", {}, (Unreadable(problem=DAMAGED),))
            elif not looks_blank(line):
                yield json_row(line.strip(_SPACE), f"line {lines.number}")

    def _array(self, text: io.TextIOWrapper) -> Iterator[RawRow]:
        for number, (line, element) in enumerate(elements(text, self.path.name, LONGEST_LINE), 1):
            where = f"row {number} (line {line})"
            if element is None:
                yield RawRow(where, {}, (Unreadable(problem=object_too_long(LONGEST_LINE)),))
            else:
                yield json_row(element, where)
