"""Ids as people paste them: by themselves, with spaces around, or as the link of a page of Opus.

Pages look like ``https://app.opus.com/app/workflow/ID``, ``.../app/workflow/share/UUID`` and
``.../app/job/ID``. A link is read wherever it leads: what is sent is the id alone, and to our own base URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TypeVar, cast
from urllib.parse import unquote, urlsplit

from opus_async.errors import InvalidInputs
from opus_async.input_problems import bad_argument
from opus_async.wire.excerpts import excerpt

GivenT = TypeVar("GivenT")


class IdKind(StrEnum):
    """What an id is of."""

    WORKFLOW = "workflow"
    JOB = "job"


_FOLDERS: Mapping[IdKind, frozenset[str]] = {
    IdKind.WORKFLOW: frozenset({"workflow", "workflows", "workflow-object"}),
    IdKind.JOB: frozenset({"job", "jobs", "case", "cases"}),
}
"""Parts of a link's path that an id of this kind stands behind."""
_BETWEEN = frozenset({"share", "shared"})
"""Parts that may stand between."""
_PAGES: Mapping[IdKind, str] = {
    IdKind.WORKFLOW: "https://app.opus.com/app/workflow/ID",
    IdKind.JOB: "https://app.opus.com/app/job/ID",
}
_UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Characters that nobody sees and that come along when a page is copied."""
# Texts, since few ids are links: re compiles each when it is first looked for, and keeps it.
_LINK = r"(?i)https?://[^\s<>\"'()\[\]]*|^(?:[\w-]+\.)*opus\.com(?:[/?#]\S*)?$"
"""A link wherever it stands, or one of Opus without ``https://`` by itself."""
_READABLE = (
    r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|[A-Za-z0-9]{16}"
    r"|(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{1,64}"
)
"""In a link: a UUID, 16 letters and digits, or what is short and has a digit; ``new`` is a page."""


def id_in(pasted: GivenT, kind: IdKind) -> GivenT:
    """The id in what was pasted: that text without the spaces around it, or what a link names.

    Args:
        pasted: The text. One that is no link is not judged: the service decides what is an id. What is no
            text comes back as it is.
        kind: What the id is to be of.

    Raises:
        InvalidInputs: It is a link, and no id of this kind can be read in it.
    """
    if not isinstance(pasted, str) or pasted.isalnum():  # most ids are, and each poll asks
        return pasted
    text = _trimmed(pasted)
    link = re.search(_LINK, text)
    if link is None:
        return cast("GivenT", text)
    parts = list(_parts(link[0]))
    found = _behind(parts, kind)
    if found is None:
        raise InvalidInputs([bad_argument(_unreadable(parts, kind))])
    return cast("GivenT", found)


def _trimmed(text: str) -> str:
    while (trimmed := text.strip().strip(_UNSEEN)) != text:
        text = trimmed
    return text


def _parts(link: str) -> Iterator[str]:
    """The parts of a link's path, and of the path behind a ``#``; none where it cannot be read."""
    try:
        split = urlsplit(link if "://" in link else f"//{link}")
    except ValueError:
        return
    for path in (split.path, split.fragment):
        yield from (unquote(part) for part in path.split("/") if part)


def _behind(parts: list[str], kind: IdKind) -> str | None:
    """The last id of this kind: a page inside another one is what the link leads to."""
    found = None
    for place, part in enumerate(parts):
        if part.lower() in _FOLDERS[kind]:
            behind = next((each for each in parts[place + 1 :] if each.lower() not in _BETWEEN), "")
            if re.fullmatch(_READABLE, behind):
                found = behind
    return found


def _unreadable(parts: list[str], kind: IdKind) -> str:
    other = next((each for each in IdKind if each is not kind and _behind(parts, each)), None)
    path = excerpt(
        "/" + "/".join(parts), 80
    )  # without host and query, which can hold what is nobody's business
    what = f"is the link of a {other}" if other else f"is a link that names no {kind}"
    return f"the {kind} id {what} ({path}): give the {kind}'s own page, like {_PAGES[kind]}, or the id alone"
