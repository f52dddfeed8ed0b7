"""Compares a workflow with what its Python module says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opus_async.spelling import closest
from opus_async.text import quoted
from opus_async.typed.fields import REQUIRED, TypedField


def changes(what: str, expected: Mapping[str, str], found: Iterable[TypedField]) -> list[str]:
    """Tell what has changed and makes the module wrong, one sentence each.

    What the module does not know and may be left out changes nothing for it.

    Args:
        what: ``input`` or ``output``.
        expected: Name -> description, as the module says.
        found: What the workflow has now.
    """
    now = {field.name: field for field in found}
    new = [name for name in now if name not in expected]
    told: list[str] = []
    for name, before in expected.items():
        if name not in now:
            renamed = closest(name, new)
            meant = f"; there is a new one, {quoted(renamed)}" if renamed is not None else ""
            told.append(f"{what} {quoted(name)} ({before}) is gone{meant}")
        elif now[name].description != before:
            told.append(f"{what} {quoted(name)} was {before}; it is {now[name].description}")
    if what == "input":
        told += [
            f"{what} {quoted(name)} is new, and {REQUIRED} ({now[name].description})"
            for name in new
            if not now[name].optional
        ]
    return told
