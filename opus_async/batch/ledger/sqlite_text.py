"""Makes any text, from the wire or of a file name, fit for a database; and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, overload

_TEXTS = {str}


@overload
def encode(text: str) -> str: ...
@overload
def encode(text: None) -> None: ...
def encode(text: str | None) -> str | None:
    r"""The text itself; with halves of surrogate pairs as ``\udcff``, and the character zero as ``\x00``.

    The first have no bytes, and after the second SQLite reads no further.
    """
    if text is None:
        return None
    if "\0" in text:
        text = text.replace("\0", r"\x00")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def dumps(values: Mapping[str, Any]) -> str:
    """JSON in ASCII: there is no text that it cannot hold."""
    if {*map(type, values.values())} == _TEXTS:  # most rows: to set up an encoder costs more than to encode
        return f"{{{', '.join([f'{_quoted(name)}: {_quoted(text)}' for name, text in values.items()])}}}"
    return json.dumps(dict(values))
