"""Shows the progress of a batch that a program runs: ``progress=True``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from opus_async.batch.observer import BatchObserver, why_ending
from opus_async.text import counted


@asynccontextmanager
async def observed(
    watching: BatchObserver | None, directory: Path, *, progress: bool
) -> AsyncIterator[BatchObserver]:
    """The observer of a batch, whose progress is drawn meanwhile where that is wanted.

    Args:
        watching: The caller's own; None for one that does nothing.
        directory: The batch directory, whose name is the title.
        progress: Whether it is drawn.
    """
    watching = watching or BatchObserver()
    if not progress:
        yield watching
        return
    from opus_async.progress.shown import Shown  # noqa: PLC0415 - a program that asks for none needs none

    watching.progress.preparing = "reading the workflow"
    watching.progress.why_ending = partial(why_ending, watching.control)
    async with Shown(watching.progress, directory.name):
        yield replace(watching, planning=partial(_tell_planning, watching))


def _tell_planning(watching: BatchObserver, what: str, rows: int) -> None:
    watching.progress.preparing = f"{counted(rows, 'row')} {what}"
    watching.planning(what, rows)
