"""Many jobs, durable: no row lost, no row billed twice. Knows ``platform.py``, and no platform.

What each module is for, and where to begin reading, is in ``README.md``. The names below are loaded when
first used.
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
