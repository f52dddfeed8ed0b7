"""From a manifest to planned rows: checked, keyed, in the ledger. Nothing is sent here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from opus_async.batch.outputs.earlier_job import earlier_job, possible_second_bill
from opus_async.batch.ports import BatchStore, Planned
from opus_async.batch.rows import NewRow, RowState
from opus_async.batch.world import is_same, place_of
from opus_async.errors import InvalidInputs, LedgerError, ManifestError, OpusError
from opus_async.manifests import Manifest, Record
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.row_files import NamedFile
from opus_async.manifests.binding.row_keys import given_key, row_key, row_key_without_files
from opus_async.manifests.binding.unreadable import NO_INPUT, cells_to_store, refused_cells
from opus_async.manifests.file_digests import FileDigests
from opus_async.manifests.model import Unreadable
from opus_async.manifests.validation.row_check import Checked
from opus_async.remote_urls import Place, kept_name
from opus_async.text import counted

ItemT = TypeVar("ItemT")

CHUNK = 256
"""Rows whose files are read side by side, and that go into the ledger together."""

_TOLD = 50
"""Rows that an error names."""

OnProgress = Callable[[int], None]


async def plan(
    manifest: Manifest,
    binding: Binding,
    store: BatchStore,
    *,
    digests: FileDigests,
    problems: Mapping[int, str],
    world: Mapping[str, Any],
    accept_second_bill: bool,
    skip_invalid: bool,
    retry: Sequence[RowState] = (),
    on_progress: OnProgress,
) -> tuple[Planned, Sequence[str]]:
    """Plan every row of a manifest. Nothing of it counts until the ledger is told to confirm the plan.

    Args:
        manifest: Streamed once.
        binding: From cells to inputs, files and keys.
        store: Where they go.
        digests: Reads files, for keys that are made of content.
        problems: Index of a row -> why it cannot be run: planned as failed.
        world: Where jobs are made; see :mod:`opus_async.batch.world`.
        accept_second_bill: Whether rows of an earlier batch may run that may have been billed; else they are
            unknown, for a person to decide.
        skip_invalid: Whether rows that cannot be read are planned as failed; else none is planned.
        retry: States whose rows are to be tried again.
        on_progress: Told how many rows are planned so far.

    Returns:
        What became of the rows, and the columns that any of them has, in the order of their appearance.

    Raises:
        ManifestError: The manifest or rows of it cannot be read, or it changed while it was.
    """
    stamp = manifest.stamp()
    await store.begin_plan()
    if retry:
        await store.retry(retry)
    planned = 0
    unread = _Unread(manifest.path.name)
    columns: dict[str, None] = dict.fromkeys(manifest.columns or ())
    for chunk in _chunks(manifest.records(), CHUNK):
        planning = [
            _row(
                record,
                binding,
                manifest.base,
                digests,
                store,
                columns=manifest.columns or (),
                problem=problems.get(record.index),
            )
            for record in chunk
        ]
        if binding.files.any_named:
            rows = await asyncio.gather(*planning)
        else:  # then nothing is waited for, and a task for each row costs more than the row
            rows = [await row for row in planning]
        pairs = zip(rows, chunk, strict=True)
        rows = [_with_past(row, record, world, accepted=accept_second_bill) for row, record in pairs]
        await store.plan(rows)
        for record in chunk:
            if record.unreadable and not skip_invalid:
                unread.add(record, refused_cells(record, binding))
            if manifest.columns is None:
                columns.update(dict.fromkeys(record.columns))
        planned += len(rows)
        on_progress(planned)
    unread.raise_if_any()
    if manifest.stamp() != stamp:
        raise ManifestError(f"{manifest.path} changed while it was read: run the same command again")
    return await store.end_plan(), list(columns)


class PlanAhead:
    """Plans the rows of a manifest while they are checked, so that it is not read a second time.

    It gives up, and leaves nothing, at the first row that cannot be run or that an earlier batch had, where
    the manifest changes, and where the ledger refuses a row or fails: :func:`plan` reads the manifest then,
    and tells what is wrong.

    Args:
        manifest: Not read yet; its rows name no files.
        binding: Makes keys.
        store: Where the rows go.

    Attributes:
        rows: How many there are so far.
        columns: The columns that any of them has, in the order of their appearance.
    """

    def __init__(self, manifest: Manifest, binding: Binding, store: BatchStore) -> None:
        self.rows = 0
        self.columns: dict[str, None] = dict.fromkeys(manifest.columns or ())
        self._manifest = manifest
        self._stamp = manifest.stamp()
        self._binding = binding
        self._store = store
        self._chunk: list[NewRow] = []
        self._begun = self._given_up = False

    async def add(self, record: Record, checked: Checked | None, content: bytes) -> None:
        """Plan a row; see :data:`opus_async.manifests.validation.validate.OnRow`."""
        if self._given_up:
            return
        if checked is None or checked.cells is None or record.past is not None:
            await self._give_up()
            return
        key = row_key_without_files(
            self._binding, checked.cells, self._manifest.base, given=checked.key, content=content
        )
        self._chunk.append(
            NewRow(
                index=record.index,
                location=record.where,
                key=key.key,
                digest=key.digest,
                cells=checked.cells,
                key_given=key.given,
            )
        )
        if self._manifest.columns is None:
            self.columns.update(dict.fromkeys(record.columns))
        self.rows += 1
        if len(self._chunk) >= CHUNK:
            await self._plan_chunk()

    async def end(self) -> bool:
        """Plan what is left; False where it gave up, now or before."""
        if not self._given_up:
            await self._plan_chunk()
        if not self._given_up and self._manifest.stamp() != self._stamp:
            await self._give_up()
        return not self._given_up

    async def _plan_chunk(self) -> None:
        try:
            if not self._begun:
                await self._store.begin_plan()
                self._begun = True
            await self._store.plan(self._chunk)
            self._chunk = []
        except OpusError:
            await self._give_up()

    async def _give_up(self) -> None:
        self._given_up = True
        self._chunk = []
        with suppress(LedgerError):  # the check goes on, and whoever asks the ledger after it is told
            await self._store.abandon_plan()


class _Unread:
    """Rows that cannot be read, where that is not tolerated: a batch that goes on has not checked them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sentences: list[str] = []
        self._count = 0

    def add(self, record: Record, refused: Sequence[Unreadable]) -> None:
        self._count += bool(refused)
        if self._count <= _TOLD:
            self._sentences += [f"{record.where}: {found.problem}" for found in refused]

    def raise_if_any(self) -> None:
        if self._count:
            rows = counted(self._count, "row cannot be read", "rows cannot be read")
            raise ManifestError(f"{self._name}: {rows}; nothing was sent. Mend them:", self._sentences)


async def _row(
    record: Record,
    binding: Binding,
    base: Place,
    digests: FileDigests,
    store: BatchStore,
    *,
    columns: Sequence[str],
    problem: str | None,
) -> NewRow:
    files: dict[NamedFile, str] = {}
    cells: Mapping[str, Any] | None = None
    if refused := refused_cells(record, binding):
        problem = problem or "; ".join(found.problem for found in refused)
        cells = cells_to_store(record, refused, binding, columns)
    elif binding.fills_no_input(record.cells):
        problem = problem or NO_INPUT
    try:
        if problem is None:
            binding.files.refuse_outside(record.cells, base)
            if binding.files.any_remote(record.cells, base):
                await binding.look_up_globs(record.cells, base)
            expanded = binding.expand_globs(record.cells, base)
            given_key(binding, expanded)
            cells = expanded
            binding.files.refuse_outside(cells, base)
            if named := binding.files.of_row(cells, base):
                files = {path: await _digest(path, digests, store) for path in named}
    except InvalidInputs as error:
        problem = problem or "; ".join(error.problems)
    if cells is None:
        cells = binding.as_stored(record.cells)
    key = row_key(binding, cells, base, files)
    return NewRow(
        index=record.index,
        location=record.where,
        key=key.key,
        digest=key.digest,
        cells=cells,
        key_given=key.given and problem is None,  # a row that is not run may have another's key
        problem=problem,
    )


def _with_past(row: NewRow, record: Record, world: Mapping[str, Any], *, accepted: bool) -> NewRow:
    if record.past is None:
        return row
    doubt, job = possible_second_bill(record.past, world), earlier_job(record.past)
    if job is not None and place_of(job.world) == place_of(world):
        if not is_same(job.world, world):
            job = replace(job, digest=None)  # whatever it was made for, the row asks for something else now
        row = replace(row, earlier=job)
    if doubt is None:
        return row
    return replace(
        row, possible_second_bill=doubt, accepted=accepted, problem=row.problem if accepted else None
    )


async def _digest(path: NamedFile, digests: FileDigests, store: BatchStore) -> str:
    """What a file holds; of one that is gone, what it held: to tidy up behind a batch makes no new rows."""
    try:
        return await digests.of(path)
    except InvalidInputs:
        name = kept_name(path)
        known = (await store.recall_files([name])).get(name)
        if known is None:
            raise
        return known[3]


def _chunks(items: Iterator[ItemT], size: int) -> Iterator[Sequence[ItemT]]:
    while chunk := list(islice(items, size)):
        yield chunk
