"""Splits the text of one JSON array into its elements, one after the other, without decoding them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from opus_async.errors import ManifestError

_CHUNK = 1 << 16
_OUTSIDE = re.compile(r'["\[\]{},]')
_IN_TEXT = re.compile(r'["\\]')
_SPACE = " \t\r\n\ufeff"


def elements(text: io.TextIOWrapper, name: str, most: int) -> Iterator[tuple[int, str]]:
    """The elements of the array in a file, whatever they hold; blank ones are left out.

    Only quotes, brackets and commas are looked at: so an element that is no JSON is one element, and the next
    one is found all the same.

    Args:
        text: The file, at its beginning.
        name: Its name, for messages.
        most: Characters of an element at most: what is in memory at once.

    Returns:
        The number of the line at which each begins, from 1, and its text.

    Raises:
        ManifestError: An element is too long, the array does not end, or something stands behind its end.
    """
    depth, line, opened, in_text, skipped = 0, 1, False, False, 0
    pieces: list[str] = []
    held = 0
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
            before = "".join([*pieces, chunk[begin : place - 1]])
            pieces.clear()
            begin, held = place, 0
            element = before.strip(_SPACE)
            if opened and element:
                yield line + before[: before.index(element)].count("\n"), element
            line += before.count("\n")
            opened = True
            if depth == 0:
                _refuse_more(chunk[place:], text, name, line)
                return
        pieces.append(chunk[begin:])
        held += len(pieces[-1])
        if held > most:
            raise ManifestError(
                f"{name}, line {line}: an object of more than {most:,} characters; is a bracket or a quote "
                "missing? Longer texts belong into files"
            )
    raise ManifestError(
        f"{name}: the array does not end, or the object that begins at line {line} does not: the file is cut "
        "off, or a closing bracket or a quote is missing"
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
