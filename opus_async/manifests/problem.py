"""A problem with a manifest or a row of it, as a value for tables and JSON."""

from __future__ import annotations

import enum
import shlex
from dataclasses import dataclass, fields
from typing import Any

from opus_async.input_names import on_one_line
from opus_async.text import utf8


class Severity(enum.StrEnum):
    """Whether a problem keeps a row from being run."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a row, with a column, or with the manifest as a whole.

    Attributes:
        message: What is wrong, in a sentence.
        cause: A text that is the same for all rows that have the same problem: they are counted by it.
        severity: Whether it keeps the row, or without a row all of them, from being run.
        fix: What to do about it, with options of the command line as they are typed; None where the message
            says it all.
        index: The row's place in the manifest, from 0; None when it is about no single row.
        where: The row in words, like ``line 18``; None when it is about no single row.
        key: The row's key; None where the row gives none.
        column: The column it is about; None when it is about none.
        input: The display name of the input it is about; None when it is about none.
        file: The file it is about, as the row names it; None when it is about none.
        parts: What of the message differs from row to row, in order: values, files, keys.
    """

    message: str
    cause: str
    severity: Severity = Severity.ERROR
    fix: str | None = None
    index: int | None = None
    where: str | None = None
    key: str | None = None
    column: str | None = None
    input: str | None = None
    file: str | None = None
    parts: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether it keeps something from being run."""
        return self.severity is Severity.ERROR

    @property
    def sentence(self) -> str:
        """The message and the fix."""
        return f"{self.message}: {self.fix}" if self.fix else self.message

    def as_json(self) -> dict[str, Any]:
        """The problem as JSON, without ``parts``, which are in the message."""
        names = (field.name for field in fields(self) if field.name != "parts")
        return {name: _as_utf8(getattr(self, name)) for name in names}


def _as_utf8(value: Any) -> Any:
    """The value; a text without half characters, which names of files can have and UTF-8 cannot."""
    return utf8(value) if isinstance(value, str) else value


def option(flag: str, name: str, value: str) -> str:
    """An option with NAME=VALUE, quoted for a shell: it can be pasted behind the command."""
    word = shlex.quote(f"{on_one_line(name)}={on_one_line(value)}")
    return f"{flag}={word}" if name.startswith("-") else f"{flag} {word}"
