"""Parts of requests: path segments, query strings, optional fields, and texts that can be sent at all."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from opus_async.input_problems import Unfit
from opus_async.text import utf8
from opus_async.wire.excerpts import excerpt


def encoded_segment(identifier: str) -> str:
    """Encode an id as one segment of a path: whatever is in it, it cannot lead to another path.

    Two dots are encoded too, though RFC 3986 lets them stand, because they would climb. The client must send
    the path as it is, without decoding and encoding it again.
    """
    if identifier.isalnum() and identifier.isascii():  # most ids are, and each poll asks
        return identifier
    encoded = quote(identifier, safe="")
    climbs = ".." in encoded or encoded == "."
    return encoded.replace(".", "%2E") if climbs else encoded


def query(**values: str | int | None) -> str:
    """Make a query string with its ``?`` of the values that are not None; empty without any."""
    asked = given(**values)
    return f"?{urlencode(asked, quote_via=quote)}" if asked else ""


def given(**values: Any) -> dict[str, Any]:
    """Select the values that are not None, with texts that are valid UTF-8.

    Half a character (a lone surrogate, as in a file name that is no UTF-8) becomes a question mark: it
    names things for people, and must not stop a job.
    """
    return {name: _utf8(value) for name, value in values.items() if value is not None}


def sendable(value: str, path: str = "") -> str:
    """Return the text if it can be written as UTF-8.

    Args:
        value: The text.
        path: Where it stands in a larger value, for the message: ``.client.ids[3]``.

    Raises:
        Unfit: It holds half a character (a lone surrogate), as undecodable file names do.
    """
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("holds text that is not valid Unicode{}", place(path)) from None
    return value if type(value) is str else str.__str__(value)


def place(path: str) -> str:
    """Where something stands in a value, as the end of a sentence; empty for the value itself."""
    return f" at {excerpt(path, 80)}" if path else ""


def _utf8(value: Any) -> Any:
    return utf8(value) if isinstance(value, str) else value
