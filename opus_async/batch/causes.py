"""Failures that are the same but for what names the row: what reports group by."""

from __future__ import annotations

import re

from opus_async.errors import APIError, InvalidInputs, JobFailed, OpusError, UploadError

_MOST = 160
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PATHS = re.compile(r"(?<![\w.])(?:[\w.~-]*/)+[\w.~-]*")
_IDS = re.compile(r"\b(?=[\w-]*\d)[\w-]{8,}\b")
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")


def cause_of(error: OpusError) -> str:
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


def _plain(text: str) -> str:
    for pattern, word in ((_QUOTED, "…"), (_PATHS, "…"), (_IDS, "…"), (_NUMBERS, "#")):
        text = pattern.sub(word, text)
    return text


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
