"""Looks up the documents of several rows at once, before the rows are checked one after another.

A store answers in some 20 ms: one document after another, a manifest of 10,000 rows would take minutes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from opus_async.errors import InvalidInputs, StoreUnavailable
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.model import Record
from opus_async.remote.found import look_up
from opus_async.remote_urls import Place, RemoteFile
from opus_async.tasks import in_order

_AHEAD = 64
"""Rows whose documents are looked up together."""


async def looked_up(records: Iterator[Record], binding: Binding, base: Place) -> AsyncIterator[Record]:
    """The rows in their order; what is found of documents is remembered by whoever asks for that.

    Rows without documents elsewhere are handed on at once.
    """
    waiting: list[Record] = []
    documents: list[RemoteFile] = []
    for record in records:
        found = _documents(record, binding, base) if binding.files.any_remote(record.cells, base) else ()
        if found:
            waiting.append(record)
            documents += found
            if len(waiting) < _AHEAD:
                continue
        if waiting:
            await _look_up(documents)
            documents.clear()
            for each in waiting:
                yield each
            waiting.clear()
        if not found:
            yield record
    await _look_up(documents)
    for each in waiting:
        yield each


async def _look_up(documents: Sequence[RemoteFile]) -> None:
    """Look documents up; what is wrong with one alone is told when its row is checked."""
    await in_order(_look_up_one, documents, at_once=_AHEAD)


async def _look_up_one(document: RemoteFile) -> None:
    try:
        await look_up(document)
    except StoreUnavailable as error:
        if not error.may_be_of_document:
            raise


def _documents(record: Record, binding: Binding, base: Place) -> list[RemoteFile]:
    """The documents that a row names by themselves; patterns are looked up when the row is checked."""
    try:
        if binding.files.outside(record.cells, base) or binding.files.remote_patterns(record.cells, base):
            return []
        files = binding.files.of_row(binding.expand_globs(record.cells, base), base)
    except (InvalidInputs, ValueError):
        return []
    return [file for file in files if isinstance(file, RemoteFile)]
