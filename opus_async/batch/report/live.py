"""The report of a batch as a live page: read from the ledger, whichever process writes that."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path

from opus_async.batch.report.page import page
from opus_async.batch.report.report_data import load
from opus_async.layout import LEDGER, LOCK
from opus_async.reporting.notice_page import notice_page

_WRITTEN = (LEDGER, f"{LEDGER}-wal", LOCK)
"""What is written when a batch goes on, begins or ends."""
_QUIET = 1_000_000_000
"""Nanoseconds after which what was written can be read, and has a date of its own."""
_NEVER_PLANNED = "It ended before its rows were planned. The terminal says why."


class LiveBatch:
    """What a live page shows of a batch; see :class:`opus_async.live_page.source.Source`.

    Only the dates of files are looked at until something has changed; then the ledger is read as ``batch
    report`` reads it, which its writer does not notice.

    Args:
        directory: Of the batch; there may be no ledger in it yet.
        preparing: Says what is done until there is one.
    """

    def __init__(self, directory: Path, preparing: Callable[[], str] = lambda: "") -> None:
        self._directory = directory
        self._preparing = preparing

    def version(self) -> Hashable:
        """When the files were written that tell how the batch stands, and whether that was a while ago.

        A file has its date before what was written to it can be read: what is committed last would be missed
        if it were not read once more when it is quiet.
        """
        written = [_written(self._directory / name) for name in _WRITTEN]
        last = max((at for at, _ in filter(None, written)), default=0)
        return self._preparing(), *written, abs(time.time_ns() - last) > _QUIET

    def capture(self) -> Callable[[], bytes]:
        """The report; as long as there is no ledger, what is done for one."""
        doing = self._preparing() or "about to begin"
        return partial(_rendered, self._directory, "Preparing", f"{doing[0].upper()}{doing[1:]}.")

    def final(self) -> Callable[[], bytes]:
        """The report of a batch that nobody works on."""
        return partial(_rendered, self._directory, "Ended", _NEVER_PLANNED)


def _written(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _rendered(directory: Path, word: str, sentence: str) -> bytes:
    if (directory / LEDGER).exists():
        return page(load(directory), live=True)
    return notice_page("Batch", directory.absolute().name, word=word, sentence=sentence)
