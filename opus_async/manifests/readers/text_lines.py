"""The lines of a text, of which no row may be endless: a file without line ends is no longer than memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Self

from opus_async.errors import ManifestError


class RowLines(Iterator[str]):
    """Physical lines; those of one row together have no more than so many characters.

    A character takes 1, 2 or 4 bytes of memory.

    Args:
        text: The file, read on from where it is.
        name: Of the file, for messages.
        most: Characters of one row.
    """

    def __init__(self, text: io.TextIOWrapper, name: str, most: int) -> None:
        self.number = 0
        """Of the line that was given last, from 1."""
        self._text = text
        self._name = name
        self._most = most
        self._begins = 1
        self._taken = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next line, with its end.

        Raises:
            ManifestError: The row is too long.
        """
        line = self._text.readline(self._most - self._taken + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._taken += len(line)
        if self._taken > self._most:
            raise ManifestError(
                f"{self._name}, line {self._begins}: a row of more than {self._most:,} characters; is a line "
                "end or a closing quote missing? Longer texts belong into files"
            )
        return line

    def next_row(self) -> None:
        """What comes now belongs to another row."""
        self._begins = self.number + 1
        self._taken = 0
