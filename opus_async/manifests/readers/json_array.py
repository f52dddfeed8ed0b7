"""Splits the text of one JSON array into its elements, one after the other, without decoding them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from opus_async.errors import ManifestError
from opus_async.manifests.advised import Advised
from opus_async.manifests.readers.text_lines import FARTHEST

_CHUNK = 1 << 16
_OUTSIDE = re.compile(r'["\[\]{},]')
_IN_TEXT = re.compile(r'["\\]')
_SPACE = " \t\r\n\ufeff"


def elements(text: io.TextIOWrapper, name: str, most: int) -> Iterator[tuple[int, str | None]]:
    """The elements of the array in a file, whatever they hold; blank ones are left out.

    Only quotes, brackets and commas are looked at: so an element that is no JSON is one element, and the next
    one is found all the same.

    Args:
        text: The file, at its beginning.
        name: Its name, for messages.
        most: Characters of an element at most: what is in memory at once.

    Returns:
        The number of the line at which each begins, from 1, and its text; None for one that is too long.

    Raises:
        ManifestError: The end of an element or of the array is not found, or something stands behind it.
    """
    depth, opened, in_text, skipped = 0, False, False, 0
    element = _Element(name, most)
    while chunk := text.read(_CHUNK):
        begin, place, skipped = 0, skipped, 0
        while found := (_IN_TEXT if in_text else _OUTSIDE).search(chunk, place):
            mark, place = found[0], found.end()
            if mark == "\\":  # what stands behind it is part of the text, in the next chunk it may be
                skipped = int(place == len(chunk))
                place += 1
                continue
            if mark == '"':
                in_text = not in_text
                continue
            depth += (mark in "[{") - (mark in "]}")
            if opened and (depth > 1 or (depth == 1 and mark != ",")):
                continue
            element.add(chunk[begin : place - 1])
            begin = place
            if opened and not element.is_blank:
                yield element.line, element.text
            element = _Element(name, most, element.ends)
            opened = True
            if depth == 0:
                _refuse_more(chunk[place:], text, name, element.ends)
                return
        element.add(chunk[begin:])
    raise ManifestError(
        f"{name}: the array does not end, or the object that begins at line {element.line} does not: the "
        "file is cut off, or a closing bracket or a quote is missing"
    )


class _Element:
    """The text between two commas of the array, with the space around it.

    Args:
        name: The name of the file, for messages.
        most: Characters at most that are kept.
        line: The number of the line at which it begins.

    Attributes:
        line: The number of the line at which its text begins.
        ends: The number of the line that it reaches to so far.
        is_blank: Whether there is nothing but space.
    """

    def __init__(self, name: str, most: int, line: int = 1) -> None:
        self.line = self.ends = line
        self.is_blank = True
        self._name = name
        self._most = most
        self._pieces: list[str] = []
        self._length = 0

    @property
    def text(self) -> str | None:
        """Its text without space around it; None where it is too long."""
        return None if self._length > self._most else "".join(self._pieces).rstrip(_SPACE)

    def add(self, piece: str) -> None:
        """Add the next piece.

        Raises:
            ManifestError: Its end is too far to be searched.
        """
        if self.is_blank:
            whole, piece = piece, piece.lstrip(_SPACE)
            self.ends += whole.count("\n", 0, len(whole) - len(piece))
            self.line, self.is_blank = self.ends, not piece
        self.ends += piece.count("\n")
        self._length += len(piece)
        if self._length <= self._most:
            self._pieces.append(piece)
            return
        self._pieces.clear()
        if self._length > FARTHEST:
            raise ManifestError(f"{self._name}, line {self.line}: {object_too_long(self._most)}")


def object_too_long(most: int) -> str:
    """What is wrong with an object that is too long, and the fix."""
    return Advised(
        f"an object of more than {most:,} characters",
        "is a bracket or a quote missing? Longer texts belong into files",
        "; ",
    )


def _refuse_more(rest: str, text: io.TextIOWrapper, name: str, line: int) -> None:
    """Refuse anything but space behind the array."""
    while not rest.strip(_SPACE):
        rest = text.read(_CHUNK)
        if not rest:
            return
    raise ManifestError(
        f"{name}, line {line}: {rest.strip(_SPACE)[:40]!r} stands behind the end of the array: put all "
        "objects into one array, or one object on each line without any array"
    )
