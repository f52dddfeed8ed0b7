"""Reads lines of a text with a bound on the length of a row: a file without line ends fills no memory."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
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
        name: The name of the file.
        number: The number of the line that was read last, from 1.
    """

    def __init__(self, text: io.TextIOWrapper, name: str, most: int) -> None:
        self.number = 0
        self._text = text
        self.name = name
        self._most = most
        self._begins = 1
        self._taken = 0
        self._row: list[str] = []
        self._again: list[str] = []
        """Lines that are given once more before the next of the file, the last one first."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next line, with its end.

        Raises:
            ManifestError: The row is too long.
        """
        line = self._again.pop() if self._again else self._text.readline(self._most - self._taken + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._taken += len(line)
        if self._taken > self._most:
            raise ManifestError(
                f"{self.name}, line {self._begins}: a row of more than {self._most:,} characters; is a line "
                "end or a closing quote missing? Longer texts belong into files"
            )
        self._row.append(line)
        return line

    def next_row(self) -> None:
        """Begin a new row: the characters of the last do not count any more."""
        self._begins = self.number + 1
        self._taken = 0
        self._row.clear()

    @property
    def begins_row(self) -> bool:
        """Whether the line that was read last is the first of its row."""
        return self.number == self._begins

    def rest_of_row(self) -> Sequence[str]:
        """The lines of this row so far, but for its first."""
        return self._row[1:]

    def end_row_at_first_line(self) -> None:
        """Give the lines of this row but its first again, as those of rows to come."""
        rest = self.rest_of_row()
        self._again += reversed(rest)
        self.number -= len(rest)
