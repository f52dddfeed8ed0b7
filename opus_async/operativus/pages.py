"""The rows of a paged list, as an async iterator over its pages."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from opus_async.operativus.protocol.pages import REPEATS_BELIEVED, Page

ItemT = TypeVar("ItemT")

REMEMBERED = 100_000
"""Ids of rows given out that are kept, about 100 bytes each: a row that appears while pages are read moves
the others on, and one that was given already can come again."""


class Pages(AsyncIterator[ItemT]):
    """The rows of a list, read page by page as they are asked for; none is given twice.

    Args:
        read_page: Fetches the page with this number, from 0.
        id_of: The id of a row.

    Attributes:
        total: How many rows there are, as the server counts them; None before the first was asked for, and
            where it does not tell.
    """

    def __init__(
        self, read_page: Callable[[int], Awaitable[Page[ItemT]]], id_of: Callable[[ItemT], str]
    ) -> None:
        self.total: int | None = None
        self._read_page = read_page
        self._id_of = id_of
        self._rows: deque[ItemT] = deque()
        self._given: OrderedDict[str, None] = OrderedDict()
        self._next = 0
        self._repeats = 0
        self._ended = False

    async def __anext__(self) -> ItemT:
        while not self._rows:
            if self._ended:
                raise StopAsyncIteration
            await self._turn_page()
        return self._rows.popleft()

    async def _turn_page(self) -> None:
        page = await self._read_page(self._next)
        self.total = page.total if page.total is not None else self.total
        turned = (
            page.number is None or page.number >= self._next
        )  # a server that turns no pages gives the first
        self._ended = page.is_last(self._next) or not turned
        self._next += 1
        for row in page.items:
            key = self._id_of(row)
            if key not in self._given:
                self._given[key] = None
                self._rows.append(row)
        self._repeats = 0 if self._rows or page.number is not None else self._repeats + 1
        self._ended = self._ended or self._repeats == REPEATS_BELIEVED
        while len(self._given) > REMEMBERED:
            self._given.popitem(last=False)
