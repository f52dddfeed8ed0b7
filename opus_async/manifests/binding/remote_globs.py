"""Expands patterns of documents elsewhere, such as ``s3://bucket/invoices/7-*.pdf``."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from opus_async.errors import ManifestError, OpusError
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.manifests.readers.natural_order import in_order
from opus_async.remote.listing import is_document, matching
from opus_async.transport.open_source import to_thread

_KEPT = 1024
"""Patterns whose documents are kept until a row is planned: those of some rows."""


class RemoteGlobs:
    """Expands patterns, and remembers the last ones: a row asks for its documents several times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[str, tuple[str, ...] | Unfit] = OrderedDict()

    def __reduce__(self) -> tuple[type[RemoteGlobs], tuple[()]]:
        """A copy in another process begins anew: its rows are expanded."""
        return RemoteGlobs, ()

    async def look_up(self, patterns: Sequence[str]) -> None:
        """Expand patterns that are not known yet, without blocking the event loop.

        Raises:
            OpusError: A library or credentials are missing, or the store cannot be reached.
        """
        for pattern in patterns:
            with self._lock:
                known = pattern in self._found
            if not known:
                await to_thread(lambda pattern=pattern: self._look(pattern))  # type: ignore[misc]  # mypy infers no type for a lambda with a default

    def expand(self, pattern: str) -> Sequence[str]:
        """The URLs that match, ``page 2`` before ``page 10``.

        Raises:
            Unfit: They cannot be listed.
            OpusError: As in :meth:`look_up`.
        """
        with self._lock:
            found = self._found.get(pattern)
        if found is None:
            found = self._look(pattern)
        if isinstance(found, Unfit):
            raise found
        return found

    def _look(self, pattern: str) -> tuple[str, ...] | Unfit:
        found: tuple[str, ...] | Unfit
        try:
            if is_document(pattern):
                found = (pattern,)
            else:
                listing = matching(pattern)
                found = tuple(f"{listing.folder.url}/{name}" for name in in_order(set(listing.names)))
        except ManifestError as error:
            if isinstance(error.__cause__, OpusError):  # it says nothing of this row, and may pass
                raise error.__cause__ from None
            found = Unfit("has a pattern: {}", error.message, code=ProblemCode.NO_MATCH)
        with self._lock:
            self._found[pattern] = found
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return found
