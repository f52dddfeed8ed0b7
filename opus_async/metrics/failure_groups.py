"""Failures that are the same but for what names the row: what reports group by."""

from __future__ import annotations

import re

from opus_async.errors import APIError, InvalidInputs, JobFailed, OpusError, UploadError

_MOST = 160
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PATHS = re.compile(r"(?<![\w.])(?:[\w.~-]*/)+[\w.~-]*")
_IDS = re.compile(r"\b(?=[\w-]*\d)[\w-]{8,}\b")
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
_GAP = re.compile(r"…|\bN\b")
"""What stands in a cause for what is different from row to row."""


def group_key(error: OpusError) -> str:
    """The error without what is different from row to row: ids, paths, numbers, quoted names."""
    match error:
        case JobFailed() if error.failed_nodes:
            return _cut(f"failed in {', '.join(error.failed_nodes)}")
        case InvalidInputs():
            return _cut(_plain(error.problems[0]) if error.problems else "the inputs do not fit")
        case APIError():
            words = f": {_plain(error.detail)}" if error.detail else ""
            return _cut(f"HTTP {error.status}{f' {error.code}' if error.code else ''}{words}")
        case UploadError(status=int(status)):
            return _cut(f"storage refused a file: HTTP {status}{f' {error.code}' if error.code else ''}")
    return _cut(_plain(error.message.partition("\n")[0]))


def group_label(cause: str, error: str | None) -> str:
    """A cause as people read it: what was left out of it is told where it is the same in all rows.

    Args:
        cause: Of a group of rows.
        error: What went wrong with each of them; None when it is not the same in all.
    """
    if error is None or not _GAP.search(cause) or "\n" in error or len(error) > _MOST:
        return cause
    return error


def _plain(text: str) -> str:
    for pattern, word in ((_QUOTED, "…"), (_PATHS, "…"), (_IDS, "…"), (_NUMBERS, "N")):
        text = pattern.sub(word, text)
    return text


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
