"""Reads lines of a text with a bound on the length of a row: a file without line ends fills no memory."""

from __future__ import annotations

import io
from array import array
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Self

from opus_async.errors import ManifestError
from opus_async.manifests.advised import Advised

FARTHEST = 256 << 20
"""Characters in which the end of a row that is too long is searched."""

ZERO = "\0"
DAMAGED = Advised(
    "a zero byte; the file is damaged there (a crash or a full disk leaves such files)", "write the row anew"
)
_PIECE = 1 << 20


class RowTooLongError(Exception):
    """A row has more characters than are kept of one."""


class RowLines(Iterator[str]):
    """Iterates over lines; those of one row together may have a bounded number of characters.

    A character takes 1, 2 or 4 bytes of memory.

    Args:
        text: The file, which is read on from where it is.
        name: The name of the file, for messages.
        most: Characters of a row at most.
        newline: As the file was opened: with the empty text a CR alone ends a line too, else it does not.

    Attributes:
        number: The number of the line that was read last, from 1.
    """

    def __init__(self, text: io.TextIOWrapper, name: str, most: int, newline: str) -> None:
        self.number = 0
        self._text = text
        self._name = name
        self._most = most
        self._ends = newline or "\r\n"
        self._begins = 1
        self._taken = 0
        self._first = ""
        self._rest = _Lines()
        """The lines of this row but for its first."""
        self._again: Iterator[str] | None = None
        """Lines that are given once more before the next of the file."""
        self._in_line = False
        """Whether a line was begun, and not read to its end."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next line, with its end.

        Raises:
            RowTooLongError: The row is too long; the line that was read last may be cut off.
        """
        line = self._next_again() or self._text.readline(self._most - self._taken + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._taken += len(line)
        if self.number == self._begins:
            self._first = line
        else:
            self._rest.add(line)
        if self._taken > self._most:
            self._in_line = line[-1] not in self._ends
            raise RowTooLongError
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

    @property
    def in_line(self) -> bool:
        """Whether the line that was read last is cut off, since the row is too long."""
        return self._in_line

    def first_of_row(self) -> str:
        """The first line of this row."""
        return self._first

    def rest_of_row(self) -> str:
        """The lines of this row so far, but for its first."""
        return self._rest.text()

    def end_row_at_first_line(self) -> None:
        """Give the lines of this row but its first again, as those of rows to come."""
        self.number -= len(self._rest.lengths)
        self._again = chain(self._rest.each(), self._again or ())
        self._rest = _Lines()
        self._in_line = False

    def read_on(self, add: Callable[[str], object], ends: Callable[[], bool | None], *, to_end: bool) -> bool:
        """Read to the end of a row that is too long, in pieces that are not kept.

        Args:
            add: Told of each piece.
            ends: Asked at the end of each line whether the row ends there; None where no end that can be
                trusted will come.
            to_end: Whether the row ends at the end of the file, if not before.

        Returns:
            Whether the end was found; else the next line is the one that it was before.

        Raises:
            ManifestError: There is no end in :data:`FARTHEST` characters.
        """
        number, in_line = self.number, self._in_line
        kept = _Lines()
        place: int | None = None
        read = 0
        found: bool | None = False
        while found is not None:
            piece = self._next_again(_PIECE)
            if piece:
                kept.add(piece)
            else:
                place = self._text.tell() if place is None else place
                piece = self._text.readline(_PIECE)
            if not piece and to_end:
                self._in_line = False
                return True
            if not piece:
                break
            self.number += not self._in_line
            self._in_line = piece[-1] not in self._ends
            add(piece)
            found = False if self._in_line else ends()
            if found:
                return True
            read += len(piece)
            if read > FARTHEST:
                raise too_long(self._name, self._begins, self._most)
        self.number, self._in_line = number, in_line
        self._again = chain(kept.each(), self._again or ())
        if place is not None:
            self._text.seek(place)
        return False

    def _next_again(self, most: int | None = None) -> str:
        """The next line that is given once more; empty where there is none."""
        if self._again is None:
            return ""
        line = next(self._again, "")
        if not line:
            self._again = None
        elif line[-1] not in self._ends:  # it was cut off here, or is the last of the file
            line += self._text.readline((most or self._most) + 1)
        return line


def too_long(name: str, line: int, most: int) -> ManifestError:
    """The error for a row whose end is not found."""
    return ManifestError(f"{name}, line {line}: {row_too_long(most)}")


def row_too_long(most: int) -> str:
    """What is wrong with a row that is too long, and the fix."""
    return Advised(
        f"a row of more than {most:,} characters",
        "is a line end or a closing quote missing? Longer texts belong into files",
        "; ",
    )


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
        text, begins = self.text(), 0
        for length in self.lengths:
            yield text[begins : begins + length]
            begins += length
