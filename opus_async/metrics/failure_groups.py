"""Failures that are the same but for what differs from row to row: what reports group by.

An error says itself what all of its kind have in common: see :mod:`opus_async.gaps`. Only in the words of a
platform, and in those of errors that do not say it, is what looks like an id, a path or a number left out.
"""

from __future__ import annotations

import re

from opus_async.errors import APIError, DownloadError, InvalidInputs, JobFailed, OpusError, UploadError
from opus_async.gaps import GAP

_MOST = 160
_VARIABLE = re.compile(
    r"""
      '[^']*' | "[^"]*"                          # a quoted name
    | (?<![\w.])(?:[\w.~-]*/)+[\w.~-]*           # a path
    | \b(?=[\w-]*\d)[\w-]{8,}\b                  # an id: long, with a digit
    | \d+(?:[.,]\d+)*                            # a number
    """,
    re.VERBOSE,
)


def group_key(error: OpusError) -> str:
    """What an error has in common with all that happened for the same reason."""
    match error:
        case JobFailed() if error.failed_nodes:
            return _cut(f"failed in {', '.join(error.failed_nodes)}")
        case InvalidInputs() if error.problems:
            first = error.problems[0]
            return _cut(f"{first.subject} {first.group}" if first.subject else first.group)
        case APIError():
            words = f": {_without_variables(error.detail)}" if error.detail else ""
            return _cut(f"HTTP {error.status}{f' {error.code}' if error.code else ''}{words}")
        case UploadError(status=int(status)) | DownloadError(status=int(status)):
            return _cut(f"storage refused a file: HTTP {status}{f' {error.code}' if error.code else ''}")
    return _cut(error.group if error.group != error.message else _without_variables(error.group))


def group_label(cause: str, error: str | None) -> str:
    """A cause as people read it: what was left out of it is told where it is the same in all rows.

    Args:
        cause: Of a group of rows.
        error: What went wrong with each of them; None when it is not the same in all.
    """
    if error is None or GAP not in cause or "\n" in error or len(error) > _MOST:
        return cause
    return error


def _without_variables(text: str) -> str:
    return _VARIABLE.sub(GAP, text)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST else text[: _MOST - 1] + GAP
