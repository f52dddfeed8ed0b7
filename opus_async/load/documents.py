"""Documents that are made for a load test, of given sizes: no two are the same, each seed makes its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from opus_async.errors import LoadRefused
from opus_async.load.sizes import Sizes
from opus_async.models import InputField, Workflow
from opus_async.text import quoted

_POOL = 1 << 20
"""Bytes of chance that documents are cut from: to draw each byte anew would cost more than to send it."""
_LETTERS = b"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz,.\n"


class Documents:
    """Makes the files of a workflow's inputs.

    Args:
        workflow: The workflow; each of its inputs that is a file gets one, a list of files one of one.
        sizes: How large they are.
        seed: Of the sizes and the contents.
        most: Bytes of the largest file that may be sent.

    Raises:
        LoadRefused: It has no such input, or one that takes no type that can be made.
    """

    def __init__(self, workflow: Workflow, sizes: Sizes, *, seed: int, most: int) -> None:
        fields = [field for field in workflow.inputs.values() if field.takes_file or field.takes_files]
        if not fields:
            raise LoadRefused(f"Workflow {workflow.workflow_id} has no input that is a file to be made")
        self._kinds = {field.variable_name: (field, *_kind_of(field)) for field in fields}
        self._sizes = sizes
        self._seed = seed
        self._most = most
        chance = random.Random(f"contents {seed}")  # noqa: S311 - fills documents, guards nothing
        table = bytes(_LETTERS[value % len(_LETTERS)] for value in range(256))
        self._pool = chance.randbytes(_POOL).translate(table)

    @property
    def variables(self) -> frozenset[str]:
        """The inputs that are filled, by variable name."""
        return frozenset(self._kinds)

    def inputs(self, index: int) -> Mapping[str, Any]:
        """The files of one job: variable name -> value."""
        chance = random.Random(f"document {self._seed} {index}")  # noqa: S311 - as above
        filled: dict[str, Any] = {}
        for variable, (field, extension, write) in self._kinds.items():
            size = min(self._sizes.draw(chance), self._most)
            name = f"document-{index}.{extension}"
            file = (name, write(f"{self._seed}-{index}-{variable}", size, self._text))
            filled[variable] = [file] if field.takes_files else file
        return filled

    def _text(self, length: int, salt: str) -> bytes:
        """Letters, as many as were asked for."""
        begin = random.Random(salt).randrange(_POOL)  # noqa: S311 - as above
        text = self._pool[begin : begin + length]
        while len(text) < length:
            text += self._pool[: length - len(text)]
        return text


Text = Callable[[int, str], bytes]


def _framed(before: bytes, after: bytes, size: int, salt: str, text: Text) -> bytes:
    """Letters in a frame: as large as was asked for, or as the frame alone is."""
    return before + text(max(size - len(before) - len(after), 0), salt) + after


def _pdf(salt: str, size: int, text: Text) -> bytes:
    head = (
        b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
        b"2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n"
        b"3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>\nendobj\n"
        b"4 0 obj\n<< /Title (" + salt.encode() + b") >>\nendobj\n5 0 obj\n<< /Length 0000000000 >>\nstream\n"
    )
    places = [head.index(b"%d 0 obj" % number) for number in range(1, 6)]
    tail_size = 400
    body = text(max(size - len(head) - tail_size, 0), salt)
    end = b"\nendstream\nendobj\n"
    start = len(head) + len(body) + len(end)
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<< /Size 6 /Root 1 0 R /Info 4 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start
    padding = size - start - len(table) - len(trailer)
    comment = b"%" + b" " * (padding - 2) + b"\n" if padding > 1 else b""
    trailer = trailer.replace(b"trailer\n", comment + b"trailer\n", 1)
    return head.replace(b"0000000000 >>", b"%010d >>" % len(body)) + body + end + table + trailer


def _plain(salt: str, size: int, text: Text) -> bytes:
    return _framed(salt.encode() + b"\n", b"\n", size, salt, text)


def _csv(salt: str, size: int, text: Text) -> bytes:
    return _framed(b'id,text\n"' + salt.encode() + b'","', b'"\n', size, salt, text)


def _json(salt: str, size: int, text: Text) -> bytes:
    framed = _framed(b'{"id":"' + salt.encode() + b'","text":"', b'"}', size, salt, text)
    return framed.replace(b"\n", b" ")


def _xml(salt: str, size: int, text: Text) -> bytes:
    return _framed(b'<document id="' + salt.encode() + b'">', b"</document>", size, salt, text)


def _html(salt: str, size: int, text: Text) -> bytes:
    before = b"<!doctype html><title>" + salt.encode() + b"</title><p>"
    return _framed(before, b"</p>", size, salt, text)


_WRITERS: Final[Mapping[str, Callable[[str, int, Text], bytes]]] = {
    "pdf": _pdf,
    "txt": _plain,
    "csv": _csv,
    "json": _json,
    "html": _html,
    "xml": _xml,
}
"""Extension -> what writes such a document, the most usual first."""


def _kind_of(field: InputField) -> tuple[str, Callable[[str, int, Text], bytes]]:
    """The extension of the documents for an input, and what writes them."""
    allowed = {name.lower() for name in field.allowed_file_types}
    for extension, write in _WRITERS.items():
        if not allowed or extension in allowed:
            return extension, write
    raise LoadRefused(
        f"{quoted(field.display_name)} takes {', '.join(field.allowed_file_types)}, and only "
        f"{', '.join(_WRITERS)} can be made: give real files by a manifest"
    )
