"""Reads lines of a text with a bound on the length of a row: a file without line ends fills no memory."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator
from itertools import chain
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
        self._rest = _Lines()
        """The lines of this row but for its first."""
        self._again: Iterator[str] | None = None
        """Lines that are given once more before the next of the file."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next line, with its end.

        Raises:
            ManifestError: The row is too long.
        """
        line = self._next_again() or self._text.readline(self._most - self._taken + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._taken += len(line)
        if self._taken > self._most:
            raise ManifestError(
                f"{self.name}, line {self._begins}: a row of more than {self._most:,} characters; is a line "
                "end or a closing quote missing? Longer texts belong into files"
            )
        if self.number != self._begins:
            self._rest.add(line)
        return line

    def _next_again(self) -> str:
        """The next line that is given once more; empty where there is none."""
        if self._again is None:
            return ""
        line = next(self._again, "")
        if not line:
            self._again = None
        return line

    def next_row(self) -> None:
        """Begin a new row: the characters of the last do not count any more."""
        self._begins = self.number + 1
        self._taken = 0
        if self._rest.lengths:
            self._rest = _Lines()

    @property
    def begins_row(self) -> bool:
        """Whether the line that was read last is the first of its row."""
        return self.number == self._begins

    def rest_of_row(self) -> str:
        """The lines of this row so far, but for its first."""
        return self._rest.text()

    def end_row_at_first_line(self) -> None:
        """Give the lines of this row but its first again, as those of rows to come."""
        self.number -= len(self._rest.lengths)
        self._again = chain(self._rest.each(), self._again or ())
        self._rest = _Lines()


class _Lines:
    """Lines in a few bytes more than their characters take: millions of short ones come in a row at worst."""

    def __init__(self) -> None:
        self.lengths = array("L")
        self._text = io.StringIO(newline="")

    def add(self, line: str) -> None:
        """Add a line."""
        self._text.write(line)
        self.lengths.append(len(line))

    def text(self) -> str:
        """All of them."""
        return self._text.getvalue()

    def each(self) -> Iterator[str]:
        """One after the other."""
        self._text.seek(0)
        return (self._text.read(length) for length in self.lengths)
