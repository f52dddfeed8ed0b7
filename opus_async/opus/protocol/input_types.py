"""The types that inputs and outputs can have, and every word that a schema was seen to write for them.

The documented words are what the rest of the client knows. Where a schema says ``integer`` the input is an
``int`` to us, and its values are sent with the schema's own word.
"""

from __future__ import annotations

from collections.abc import Mapping

_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "str": ("string", "text"),
    "int": ("integer",),
    "float": ("number", "double", "decimal"),
    "bool": ("boolean",),
    "date": (),
    "file": ("binary",),
    "array": ("list",),
    "array_files": (),
    "object": ("dict", "node"),
    "json_string": (),
}
"""Type -> its other spellings. ``string``, ``text``, ``integer``, ``boolean``, ``binary`` and ``node`` were
seen in ``allowed_types``; one client of Opus treats ``binary`` as a file and ``node`` as an object."""

_TYPES: Mapping[str, str] = {word: kind for kind, words in _SPELLINGS.items() for word in (kind, *words)}


def known_type(word: str) -> str | None:
    """The type that a schema's word means, in any case and with spaces around; None for a word not known."""
    return _TYPES.get(word.strip().lower())
