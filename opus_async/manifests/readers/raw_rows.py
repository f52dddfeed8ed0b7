"""From what a reader finds to rows: what carries nothing is none, a header that comes again is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opus_async.manifests.advised import Advised, placed
from opus_async.manifests.blanks import carries_nothing, each_visible, looks_blank
from opus_async.manifests.model import Record, Unreadable
from opus_async.manifests.readers.header import header_name
from opus_async.manifests.readers.text_lines import DAMAGED, ZERO

HEADER_AGAIN = Unreadable(
    problem=Advised(
        "the names of the columns stand here again, as where files with a header each were joined",
        "take the line out",
    )
)


class RawRow(NamedTuple):  # made for every row, and quicker to make than a frozen dataclass
    """A row before it is known whether it is one; attributes as in :class:`Record`."""

    where: str
    cells: Mapping[str, Any]
    unreadable: tuple[Unreadable, ...] = ()
    past: Mapping[str, Any] | None = None


def numbered(rows: Iterable[RawRow], columns: Sequence[str]) -> Iterator[Record]:
    """The rows of a manifest, counted from 0; every reader gives what it finds through here.

    Args:
        rows: In the order of the manifest, blank ones as well.
        columns: The names of the columns, as the header gave them; empty where each row has its own.
    """
    index = 0
    for row in rows:
        cells, unreadable = row.cells, row.unreadable
        texts = [value for value in cells.values() if isinstance(value, str)]
        if not texts or not each_visible(texts) or ZERO in "".join(texts):  # of most rows none is true
            if not unreadable and row.past is None and carries_nothing(cells):
                continue
            if all(found.column is not None for found in unreadable):
                unreadable += tuple(_damaged(cells))
            cells = {name: value for name, value in cells.items() if not _is_odd(value)}
        if columns and _repeats(columns, cells):
            unreadable = (HEADER_AGAIN,)
        yield Record(index=index, where=row.where, cells=cells, past=row.past, unreadable=unreadable)
        index += 1


def _is_odd(value: Any) -> bool:
    """Whether a cell looks empty, and is so, whatever blanks it holds; or has a zero byte."""
    return isinstance(value, str) and (looks_blank(value) or ZERO in value)


def _damaged(cells: Mapping[str, Any]) -> Iterator[Unreadable]:
    """The cells with a zero byte: no text has one, unless something went wrong."""
    for name, value in cells.items():
        if isinstance(value, str) and ZERO in value:
            yield Unreadable(problem=placed(f"column {name!r}", DAMAGED), column=name, group=DAMAGED)


def _repeats(columns: Sequence[str], cells: Mapping[str, Any]) -> bool:
    """Whether every cell holds the name of its column."""
    name = columns[0]
    first = cells.get(name)
    if not isinstance(first, str):
        return False
    if name[0] not in first or name[-1] not in first:  # quick, and true of most rows
        return False
    if header_name(first) != name or len(cells) != len(columns):
        return False
    return all(isinstance(cell := cells[name], str) and header_name(cell) == name for name in columns)
