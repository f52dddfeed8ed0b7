"""Whether the store of documents that are not given out gives out others of the batch.

Rows that run at the same time tell that mostly. Where the last rows of a batch, or its first ones, are those
of which no document can be read, nobody else does: the session would end for them each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from opus_async.batch.ports import RowJournal
from opus_async.remote.witness import Given, given_out
from opus_async.remote_urls import RemoteFile
from opus_async.tasks import in_order

_ASKED = 8
"""Documents that are asked for, taken at random: in the end a good one is found among many bad ones."""


class StoreCheck:
    """Asks stores for other documents of the batch.

    Args:
        journal: Knows the documents of the batch.
    """

    def __init__(self, journal: RowJournal) -> None:
        self._journal = journal
        self._asking = asyncio.Lock()
        self._documents: dict[str, Sequence[str]] = {}

    async def gives_others(self, store: str, *, but_for: Collection[str]) -> bool | None:
        """Whether a store gives out one of some documents, or could tell of all of them that they are gone.

        Args:
            store: As :func:`opus_async.remote_urls.store_of` names it.
            but_for: Documents that it gives not out.

        Returns:
            None where the batch has no others there.

        Raises:
            LedgerError: The documents of the batch cannot be looked up.
        """
        async with self._asking:
            if store not in self._documents:
                some = await self._journal.some_files(f"{store}/", _ASKED + len(but_for))
                self._documents[store] = [url for url in some if url not in but_for][:_ASKED]
            found = set(await in_order(given_out, list(map(RemoteFile, self._documents[store]))))
        return Given.YES in found or found == {Given.GONE} if found else None

    async def others_lie_elsewhere(self, store: str) -> bool:
        """Whether the batch has files that do not lie in a store.

        Raises:
            LedgerError: As :meth:`gives_others`.
        """
        return bool(await self._journal.some_files(f"{store}/", 1, inside=False))
