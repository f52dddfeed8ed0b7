"""The rows that failed of late, by reason, for whoever watches a batch while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_KEPT = 50
"""Reasons that are kept, the latest ones: a display shows a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRow:
    """A row that ended otherwise than completed.

    Attributes:
        cause: The same for all rows that failed for the same reason; see :mod:`.failure_groups`.
        error: What went wrong with this one.
        key: What names it.
        location: Where it stands in the manifest, in words (``line 18``); None where that is not known.
    """

    cause: str
    error: str
    key: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class FailedRows:
    """Rows that failed for the same reason in this session.

    Attributes:
        count: How many.
        last: The last of them.
    """

    count: int
    last: FailedRow


class RecentFailures:
    """Keeps the latest failures by reason."""

    def __init__(self) -> None:
        self._groups: dict[str, FailedRows] = {}  # the latest last

    def add(self, row: FailedRow) -> None:
        """Note a row that failed."""
        before = self._groups.pop(row.cause, None)
        self._groups[row.cause] = FailedRows(1 if before is None else before.count + 1, row)
        if len(self._groups) > _KEPT:
            del self._groups[next(iter(self._groups))]

    def __len__(self) -> int:
        """How many reasons are kept."""
        return len(self._groups)

    def latest(self, most: int) -> Sequence[FailedRows]:
        """So many reasons, the latest first."""
        return list(reversed(self._groups.values()))[:most]
