"""Is a response about what was asked about: compares the ids that it names with the one in the request.

A cache, a proxy or a connection that is out of step gives the response to another request, JSON like any
other. Where a response names what it is about, each platform's readers look, and what they find is compared
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from opus_async.errors import MixedUpAnswer
from opus_async.gaps import gapped, literal
from opus_async.wire.excerpts import excerpt, excerpt_of_bytes
from opus_async.wire.messages import ApiResponse

UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_ADVICE = (
    "A cache or a proxy in between mixes answers up: tell whoever runs it that answers to this API must not "
    "be stored"
)


def is_same(named: str, asked: str) -> bool:
    """Whether two ids are the same, also percent-encoded, and UUIDs in upper or lower case."""
    named, asked = named.strip(), asked.strip()
    if named == asked:
        return True
    if "%" in named or "%" in asked:
        named, asked = unquote(named), unquote(asked)
    return named == asked or (named.lower() == asked.lower() and UUID.fullmatch(asked) is not None)


def compare(answer: ApiResponse, asked: str, named: Iterable[str]) -> None:
    """Check that what was asked about is among the ids that one place of a response names.

    Args:
        answer: The response.
        asked: The id in the request.
        named: The ids of one and the same thing, which can have several; none proves nothing.

    Raises:
        MixedUpAnswer: All of them are other ids.
    """
    ids = list(named)
    if not ids or asked in ids or any(is_same(each, asked) for each in ids):
        return
    shown = excerpt(ids[0], 80, answer.mask)
    raise MixedUpAnswer(
        gapped(
            f"{literal(answer.method)} {{}} was asked about {{}}, and the answer is about {{}}. "
            f"{literal(_ADVICE)}.",
            answer.url.partition("?")[0] or "of the API",
            excerpt(asked, 80),
            shown,
        ),
        asked=asked,
        named=shown,
        body=excerpt_of_bytes(answer.body, mask=answer.mask),
    )


def id_of(value: Any) -> str | None:
    """An id, from a text or a whole number: an object under that name is something else."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
