"""Groups failures that happened for the same reason, whatever ids, paths and numbers their messages name.

Errors of ours carry the text that all of their kind have in common: see :mod:`opus_async.gaps`. In the words
of a platform, and in errors without such a text, what looks like an id, a path or a number is replaced.
"""

from __future__ import annotations

import re

from opus_async.errors import APIError, DownloadError, InvalidInputs, JobFailed, OpusError, UploadError
from opus_async.gaps import GAP
from opus_async.input_problems import about

_MOST = 160
_FAILED_IN = "failed in "
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
    """The text that is the same for all errors that happened for the same reason."""
    match error:
        case JobFailed() if error.failed_nodes:
            return _cut(f"{_FAILED_IN}{', '.join(error.failed_nodes)}")
        case InvalidInputs() if error.problems:
            first = error.problems[0]
            return _cut(about(first.subject, first.group))
        case APIError():
            words = f": {_without_variables(error.detail)}" if error.detail else ""
            return _cut(f"HTTP {error.status}{f' {error.code}' if error.code else ''}{words}")
        case UploadError(status=int(status)) | DownloadError(status=int(status)):
            return _cut(f"storage refused a file: HTTP {status}{f' {error.code}' if error.code else ''}")
    return _cut(error.group if error.group != error.message else _without_variables(error.group))


def group_label(cause: str, error: str | None) -> str:
    """The title of a group: the error itself where it is the same in all rows, else the text of the group.

    Args:
        cause: The text of the group, as :func:`group_key` gives it.
        error: The error of each row of the group; None when rows have different ones.
    """
    if error is None or GAP not in cause or "\n" in error or len(error) > _MOST:
        return cause
    return error


def says_more(error: str | None, label: str) -> bool:
    """Whether an error says more than the title of its group, which names the same nodes that failed, say."""
    if error is None or error == label:
        return False
    return not (label.startswith(_FAILED_IN) and error.endswith(f": {label.removeprefix(_FAILED_IN)}"))


def _without_variables(text: str) -> str:
    return _VARIABLE.sub(GAP, text)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST else text[: _MOST - 1] + GAP
