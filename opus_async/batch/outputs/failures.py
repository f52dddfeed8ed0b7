"""``failures.jsonl``: the rows that ended without completing, as a manifest for a new batch.

``batch run failures.jsonl --workflow ID`` runs them again, without the ``--map``, ``--set``, ``--title`` and
``--key`` of the batch they come from, because a line has all of these in it:

- a column that ``--map`` bound, or a folder's only column, has the display name of its input; where that
  could mean several inputs, its variable name. Columns that ``--map`` left out are left out;
- ``--set`` is a column like any other, in the rows that have no value of their own;
- ``key``, ``title`` and ``description`` are what they were in the old batch, templates filled in;
- file paths start at the batch directory, in which the file lies. Absolute ones and URLs are what they were.

Everything else is under ``_opus``: ``index, job_id, status, error, stage``, and of a job that was ordered
``ordered, digest, world``: the new batch asks it first (:mod:`opus_async.batch.outputs.earlier_job`), and
takes its results where the digest, which is made of inputs and constants, is that of the row now. A
workflow with an input called ``key`` keeps that for its input; the row's key is then under ``_opus``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.ledger.stored import NOT_COMPLETED, StoredRow
from opus_async.batch.meta import BatchMeta, ColumnMeta
from opus_async.batch.outputs.constants import Constant, constants
from opus_async.batch.outputs.earlier_job import job_fields
from opus_async.batch.outputs.table_writers import write_jsonl
from opus_async.batch.rows import EarlierJob
from opus_async.disk import atomic_write
from opus_async.input_names import folded
from opus_async.layout import FAILURES
from opus_async.manifests import FOLDERS
from opus_async.manifests.binding.bound_column import BY_NAME
from opus_async.manifests.binding.cells import split_list
from opus_async.manifests.binding.templates import Template, to_text
from opus_async.remote_urls import RemoteFolder, place_of, scheme_of

OURS = "_opus"
"""The field of a line that holds all that is no input."""
_TEXTS = ("title", "description")


def write(directory: Path) -> None:
    """Write ``failures.jsonl`` into a batch directory from its ledger, whole or not at all; it can be empty.

    Raises:
        LedgerError: There is no ledger, or it cannot be read.
        OSError: The file cannot be written.
    """
    with LedgerReader(directory) as ledger:
        write_from(ledger)


def write_from(ledger: LedgerReader) -> None:
    """The same as :func:`write`, from a ledger that is open."""
    with atomic_write(ledger.directory / FAILURES) as file:
        write_jsonl(file, lines(ledger))


def lines(ledger: LedgerReader) -> Iterator[dict[str, Any]]:
    """The lines of the file, in manifest order."""
    given = _Given(ledger.meta, ledger.directory)
    for row in ledger.rows(NOT_COMPLETED):
        yield given.line(row, ledger.ordered_job(row))


class _Given:
    """Writes lines that hold all a row was given, so that a new batch need name nothing but the workflow.

    Args:
        meta: Of the ledger.
        directory: The batch directory.
    """

    def __init__(self, meta: BatchMeta, directory: Path) -> None:
        self._base = place_of(meta.manifest.base)
        self._literal = meta.manifest.kind in FOLDERS
        self._way = (
            os.path.relpath(os.path.realpath(self._base), os.path.realpath(directory))
            if isinstance(self._base, Path)
            else None
        )
        names = zip(meta.binding, _names(meta.binding), strict=True)
        self._names = {column.column: name for column, name in names}
        self._files = {column.column for column in meta.binding if column.file}
        self._texts = {column.reserved: column.column for column in meta.binding if column.reserved in _TEXTS}
        templates = {word: getattr(meta.order, word, None) for word in _TEXTS}
        self._templates = {word: Template(text) for word, text in templates.items() if text}
        self._constants = constants(meta)
        self._taken = set(map(self._name, self._constants))
        for column in meta.binding:
            self._taken |= {name for name in (column.input, column.display_name) if name}

    def line(self, row: StoredRow, job: EarlierJob | None) -> dict[str, Any]:
        """The line of a row, and of the job that was ordered for it."""
        given = {
            name: self._moved(value) if column in self._files else value
            for column, value in row.cells.items()
            if (name := self._names.get(column, column)) is not None
        }
        ours = {
            "index": row.index,
            "job_id": row.remote_id,
            "status": row.state.value.upper(),
            "error": row.reason,
            "stage": row.stage,
        }
        if job is not None:
            ours |= job_fields(job)
        for constant in self._constants:
            if constant.fills(row.cells):
                given.setdefault(self._name(constant), constant.value)
        texts = {"key": row.key, **{word: text for word in _TEXTS if (text := self._text(word, row))}}
        for word, text in texts.items():
            if word in self._taken:
                ours[word] = text
            else:
                given[word] = text
        return {**given, OURS: ours}

    def _name(self, constant: Constant) -> str:
        """What its column is called in the new manifest."""
        name = self._names[constant.columns[-1]] if constant.columns else None
        return constant.name if name is None else name

    def _text(self, word: str, row: StoredRow) -> str | None:
        """The title, say, that the job of a row had."""
        own = row.cells.get(self._texts.get(word, ""))
        if own is not None and to_text(own).strip():
            return to_text(own)
        template = self._templates.get(word)
        return template.render(row.cells, key=row.key, index=row.index) if template else None

    def _moved(self, value: Any) -> Any:
        """A cell of files, so that relative paths start at the batch directory."""
        if isinstance(value, list):
            return [self._from_here(item) for item in value]
        if not isinstance(value, str):
            return value
        if self._literal:
            return self._from_here(value)
        path = value.strip()
        items = split_list(path)
        one_url = scheme_of(path) is not None and not any(letter.isspace() for letter in path)
        if items == [path] or one_url or self._exists(path):
            return self._from_here(path)
        return [self._from_here(item) for item in items]  # of a row whose cells could not be planned

    def _exists(self, path: str) -> bool:
        return isinstance(self._base, Path) and os.path.lexists(self._base / path)

    def _from_here(self, item: Any) -> Any:
        if not isinstance(item, str) or not item.strip() or scheme_of(item) is not None:
            return item
        if isinstance(self._base, RemoteFolder):
            return item if item.startswith("/") else (self._base / item).url
        if self._way is None or self._way == os.curdir:
            return item
        return os.path.join(self._way, item)  # noqa: PTH118 - a Path would drop the dots of a link's parent


def _names(columns: Sequence[ColumnMeta]) -> Iterator[str | None]:
    """What each column is called in the new manifest; None to leave it out."""
    shown = Counter(folded(column.display_name or "") for column in columns if column.input)
    for column in columns:
        if column.ignored or column.reserved:  # reserved ones are written apart
            yield None
        elif column.input is None or column.how in BY_NAME:
            yield column.column
        elif shown[folded(column.display_name or "")] == 1:
            yield column.display_name
        else:
            yield column.input
