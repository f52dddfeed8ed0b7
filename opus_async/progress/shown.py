"""Shows progress while something runs: what ``progress=True`` does."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from opus_async.metrics.progress import Progress
from opus_async.progress import display
from opus_async.progress.notebook import NotebookDisplay, in_notebook


class Shown:
    """Draws progress for as long as an ``async with`` block lasts; how it stood at the end stays.

    In a notebook that is an output of its own; on a terminal what the command line shows, if rich is
    installed; everywhere else a line on stderr every few seconds.

    Args:
        progress: What is drawn.
        title: What it is about.
    """

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        notebook = in_notebook()
        self._display = NotebookDisplay(progress, title) if notebook else display.make(progress, title)
        self._task = display.DisplayTask(self._display)

    async def __aenter__(self) -> Self:
        await self._task.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._task.__aexit__(kind, error, trace)
        if not isinstance(
            self._display, NotebookDisplay | display.PlainDisplay
        ):  # that one has erased itself
            self._display.say(display.line(self._progress))
