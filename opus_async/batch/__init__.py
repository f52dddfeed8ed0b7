"""Many jobs, durable: no row lost, no row billed twice. Knows ``platform.py``, and no platform.

    batches     run, resume, retry, resolve: where to begin reading
    layout      what lies in a batch directory, by name
    options     what is asked for; fingerprint: whether it is still the same; world: where jobs are made
    opening     from what is asked for to a session at work
    intake      from a manifest to rows in the ledger, and what a person is told of it
    manifest/   files and folders, streamed as records
    columns, binding, titles, cells, file_cells, globs, constants   which cell fills which input
    keys, digests, freshness   what names a row, and whether its files are still what they were
    validate, row_check, seen, estimate, file_hints, problems   every row checked before anything is sent
    plan        from records to rows in the ledger
    rows, ports   values, and what a batch needs of others
    ledger/     the only memory: SQLite, and results.jsonl
    watching    who is told what meanwhile
    session     one process at work, from an open ledger to its reports
    runner, local   shards of rows, and the rows of one machine
    halt, rate, control, endings, causes   when to stop, how it ended, and why
    outside     files that a manifest may not name by itself
    resolving   what the platform shows of rows that a person decides about
    outputs     result files
    destinations   where nothing is written that a person names
    reading, summary, failures, export, formats, status, report/, result   what is made of the ledger
    progress, bottleneck   what runs now, for eyes

The names below are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opus_async._lazy import lazy_names

if TYPE_CHECKING:
    from opus_async.batch.api import resolve_batch, resume_batch, retry_batch, run_batch
    from opus_async.batch.observer import BatchObserver
    from opus_async.batch.planning.manifest_source import RowsRefused
    from opus_async.batch.ports import BatchStore, Client, RateLimiter, RowJournal, RowQueue, ShardRunner
    from opus_async.batch.result import BatchResult
    from opus_async.batch.rows import RowState
    from opus_async.jobs.halt import Halt
    from opus_async.jobs.shutdown import ShutdownControl
    from opus_async.metrics.counts import Counts

_HOMES = {
    "opus_async.batch.api": ("resolve_batch", "resume_batch", "retry_batch", "run_batch"),
    "opus_async.jobs.shutdown": ("ShutdownControl",),
    "opus_async.jobs.halt": ("Halt",),
    "opus_async.batch.planning.manifest_source": ("RowsRefused",),
    "opus_async.batch.ports": (
        "BatchStore",
        "Client",
        "RateLimiter",
        "RowJournal",
        "RowQueue",
        "ShardRunner",
    ),
    "opus_async.batch.result": ("BatchResult",),
    "opus_async.batch.rows": ("RowState",),
    "opus_async.metrics.counts": ("Counts",),
    "opus_async.batch.observer": ("BatchObserver",),
}
_FORMER_NAMES = {"Watching": "BatchObserver", "Control": "ShutdownControl"}
"""Names that programs may still import."""

__all__ = [
    "BatchObserver",
    "BatchResult",
    "BatchStore",
    "Client",
    "Counts",
    "Halt",
    "RateLimiter",
    "RowJournal",
    "RowQueue",
    "RowState",
    "RowsRefused",
    "ShardRunner",
    "ShutdownControl",
    "resolve_batch",
    "resume_batch",
    "retry_batch",
    "run_batch",
]


if not TYPE_CHECKING:  # a type checker must see that a misspelt name is none
    __getattr__ = lazy_names(__name__, _HOMES, _FORMER_NAMES)


def __dir__() -> list[str]:
    return sorted(__all__)
