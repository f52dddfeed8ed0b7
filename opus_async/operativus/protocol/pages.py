"""Pages of a list, in both forms: with the counts beside the rows (documented), or in an object of their own.

Rows are listed newest first, so that a row that appears moves all others towards the end, also between one
page and the next. Whoever reads several pages removes duplicates by id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opus_async.operativus.protocol.responses import body_of
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import protocol_error, whole

ItemT = TypeVar("ItemT")

REPEATS_BELIEVED = 10
"""Pages in a row with nothing new on them after which a server that tells no number of a page turns none.
Fewer can be rows that moved on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[ItemT]):
    """One page. What a server leaves out, or what cannot be true, is None.

    Attributes:
        items: Its rows, without those that could not be read.
        entries: How many rows it has, those included.
        number: Which page it is, from 0.
        size: How many rows a full page has, as the server cuts it, whatever was asked for.
        total: Rows on all pages.
        total_pages: How many pages there are; None too where the page itself proves the figure wrong.
        ends: Whether the server says that it is the last one.
    """

    items: tuple[ItemT, ...]
    entries: int
    number: int | None = None
    size: int | None = None
    total: int | None = None
    total_pages: int | None = None
    ends: bool = False

    def is_last(self, asked: int) -> bool:
        """Whether there is no other page behind it.

        Args:
            asked: The number that was asked for. The page's own counts where it is told; it can be one less,
                on servers that count from 1.
        """
        number = asked if self.number is None else self.number
        if self.ends or not self.entries or number < asked - 1:  # or the same page whatever is asked for
            return True
        return self.total_pages is not None and max(number + 1, asked) >= self.total_pages


def read_page(answer: ApiResponse, read_item: Callable[[Any], ItemT | None]) -> Page[ItemT]:
    """Read a page.

    Args:
        answer: The response.
        read_item: Makes a value of a row; None for a row that is none, which is left out.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON, or holds no list of rows.
    """
    body = body_of(answer)
    if isinstance(body, list):  # a list that is not paged is one page
        return Page(items=_items(body, read_item), entries=len(body), number=0, ends=True)
    if not isinstance(body, dict):
        raise protocol_error(answer, "that is no page of a list")
    nested = body.get("page")
    counts = nested if isinstance(nested, dict) else body
    rows, total = body.get("content"), whole(counts.get("totalElements"))
    if rows is None and total == 0:
        rows = []
    if not isinstance(rows, list):
        raise protocol_error(answer, "without the content of a page")
    number, pages = whole(counts.get("number")), whole(counts.get("totalPages"))
    if pages is not None and rows and pages <= (number or 0):
        pages = None  # there are rows on a page that there should not be
    return Page(
        items=_items(rows, read_item),
        entries=len(rows),
        number=number,
        size=whole(counts.get("size")) or None,
        total=total,
        total_pages=pages,
        ends=counts.get("last") is True,
    )


def _items(rows: list[Any], read_item: Callable[[Any], ItemT | None]) -> tuple[ItemT, ...]:
    return tuple(item for item in map(read_item, rows) if item is not None)
