"""Makes the request of a job from a row. Plain values, which can be pickled and sent to a worker anywhere.

Files are named by their paths: a worker on another machine reads them from a folder that both have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from opus_async.batch.rows import Row, RowState
from opus_async.errors import InvalidInputs
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.row_files import NamedFile
from opus_async.models import JobRequest
from opus_async.remote_urls import Place

_ORDERED = frozenset({RowState.RUNNING, RowState.WAITING})


class RequestFactory(Protocol):
    """Makes requests of rows. Can be pickled; reads no file."""

    def request(self, row: Row) -> JobRequest:
        """The request of a row; raises InvalidInputs where it cannot be made."""

    def files(self, row: Row) -> Sequence[NamedFile]:
        """The files of a row, and its documents elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRequests:
    """Makes requests as a manifest is bound to its workflow; see :class:`RequestFactory`.

    Attributes:
        binding: From cells to inputs.
        base: The folder that relative file cells start at.
        timeout: Seconds for each job; None for what the request itself says.
    """

    binding: Binding
    base: Place
    timeout: float | None

    def request(self, row: Row) -> JobRequest:
        """The request of a row."""
        if row.state in _ORDERED:  # its inputs are with the platform, or gone
            return JobRequest({}, key=row.key, timeout=self.timeout)
        try:
            request = self.binding.request(
                row.cells, index=row.index, key=row.key, base=self.base, to_send=True
            )
        except InvalidInputs:
            if not row.asks_first:
                raise
            request = JobRequest({}, key=row.key)  # its job is asked, whatever the row says now
        if row.is_new:
            self.binding.files.refuse_outside(row.cells, self.base)
        return request if self.timeout is None else replace(request, timeout=self.timeout)

    def files(self, row: Row) -> Sequence[NamedFile]:
        """The files of a row, and its documents elsewhere."""
        return self.binding.files.of_row(row.cells, self.base)
