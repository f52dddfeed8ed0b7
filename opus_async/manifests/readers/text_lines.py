"""Reads lines of a text with a bound on the length of a row: a file without line ends fills no memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Self

from opus_async.errors import ManifestError


class RowLines(Iterator[str]):
    """Iterates over lines; those of one row together may have a bounded number of characters.

    A character takes 1, 2 or 4 bytes of memory.

    Args:
        text: The file, which is read on from where it is.
        name: The name of the file, for messages.
        most: Characters of a row at most.

    Attributes:
        number: The number of the line that was read last, from 1.
    """

    def __init__(self, text: io.TextIOWrapper, name: str, most: int) -> None:
        self.number = 0
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
        """Begin a new row: the characters of the last do not count any more."""
        self._begins = self.number + 1
        self._taken = 0
