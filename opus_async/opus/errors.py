"""Errors that only Opus has."""

from __future__ import annotations

from opus_async.errors import NotFound


class RetiredPath(NotFound):
    """The platform no longer gives the details of this workflow, at this path at least."""
