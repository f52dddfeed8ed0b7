"""Displays of the progress of many jobs: a frame on a terminal, a plain line now and then everywhere else.

Both draw a :class:`Progress` and know nothing else, so any command with many jobs can use them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from opus_async.metrics.progress import Progress
from opus_async.progress.progress_text import done_word, failure, limit, outlook, speeds, standing
from opus_async.reporting.bottlenecks import bottleneck_text, outage_text
from opus_async.tasks import start
from opus_async.text import elapsed

LINE_EVERY = 10.0
"""Seconds between plain lines, so that they do not fill a log."""
_MOST_FAILURES = 3
"""Reasons for which rows failed that are printed at a time, the latest ones."""


class Display(Protocol):
    """Something that draws how jobs stand."""

    period: float
    """Seconds between drawings."""

    def open(self) -> None:
        """Begin to draw."""

    def draw(self) -> None:
        """Draw how it stands now."""

    def close(self) -> None:
        """Draw the end, and leave the terminal as it was."""


class NoticeDisplay(Display, Protocol):
    """A display that can print notices beside what it draws."""

    def say(self, text: str) -> None:
        """Print a notice, which stays; may be called from any thread."""


class DisplayTask:
    """Draws a display in the background of an ``async with`` block, every ``period`` seconds."""

    def __init__(self, display: Display) -> None:
        self._display = display

    async def __aenter__(self) -> Self:
        _quietly(self._display.open)
        self._task = start("opus_async display", self._draw_on)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        _quietly(self._display.close)

    async def _draw_on(self) -> None:
        while True:
            await asyncio.sleep(self._display.period)
            _quietly(self._display.draw)


def _quietly(draw: Callable[[], None]) -> None:
    """Draw; a reader that has gone, or a stream that was closed, is no reason to stop the jobs."""
    with suppress(OSError, ValueError):
        draw()


class PlainDisplay:
    """A plain line every few seconds, and one at the beginning, when the jobs begin, and at the end."""

    period = LINE_EVERY

    def __init__(self, progress: Progress, title: str, stream: TextIO | None = None) -> None:
        self._progress = progress
        self._title = title
        self._stream: TextIO | None = stream or sys.stderr  # None where it is closed
        self._prepared = ""
        self._told: dict[str, int] = {}
        """Reason -> rows that had failed for it when that was printed last."""

    def open(self) -> None:
        """Print the first line."""
        self._progress.on_begin = self.draw
        self.draw()

    def draw(self) -> None:
        """Print a line."""
        self._prepared = self._progress.preparing
        self.say(line(self._progress))
        for group in self._progress.failures.latest(_MOST_FAILURES):
            if self._told.get(group.last.cause) != group.count:
                self._told[group.last.cause] = group.count
                rows, why, last = failure(group)
                self.say(f"failed: {rows}: {why} {last}".rstrip())

    def close(self) -> None:
        """Print the last line, unless no row was begun and it would repeat the line before."""
        if not self._prepared or self._prepared != self._progress.preparing:
            self.draw()

    def say(self, text: str) -> None:
        """Print a notice on a line of its own."""
        if self._stream is not None:
            _quietly(partial(print, f"{self._title}: {text}", file=self._stream, flush=True))


def make(
    progress: Progress,
    title: str,
    *,
    plain: bool = False,
    guard: Callable[[Any], Any] | None = None,
    controls: Any = None,
) -> NoticeDisplay:
    """Make the display that suits stderr: bars on a terminal that can show them, else plain lines.

    Args:
        progress: What is drawn.
        title: The name of the command or batch, before each line.
        plain: Whether to print lines even on a terminal, because a log goes there too.
        guard: Makes a safe stream of one that what others write to stderr goes through meanwhile; None to
            leave it as it is.
        controls: The stream that control sequences are written to; stderr by default.
    """
    if not plain and is_live(sys.stderr, os.environ) and find_spec("rich"):
        with suppress(ImportError):  # a broken installation of it is no reason to stop
            from opus_async.progress.live import LiveDisplay  # noqa: PLC0415 - rich is loaded where it draws

            return LiveDisplay(progress, title, guard, controls)
    return PlainDisplay(progress, title)


def is_live(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether a display on this stream may redraw itself: it is a terminal that can, and no CI."""
    if environ.get("CI", "").lower() not in {"", "0", "false"} or environ.get("NO_COLOR"):
        return False
    if stream is None or stream.closed:
        return False
    return stream.isatty() and environ.get("TERM", "") not in {"dumb", "unknown"}


def line(progress: Progress) -> str:
    """How jobs stand, in one line."""
    outages = [outage_text(outage) for outage in progress.outages]
    if progress.preparing:
        return f"{elapsed(progress.elapsed)}: {', '.join([progress.preparing, *outages])}"
    rates = progress.rates()
    of = "" if progress.target is None else f"/{progress.target:,}"
    words = [f"{progress.reached:,}{of} {done_word(progress)}", f"{progress.failed:,} failed"]
    if progress.unknown:
        words.append(f"{progress.unknown:,} unknown")
    words += standing(progress)
    words += speeds(progress, rates)
    if ahead := outlook(progress, rates):
        words.append(ahead)
    words += outages
    found = limit(progress)
    told = f"; bottleneck: {bottleneck_text(found)}" if found else ""
    return f"{elapsed(progress.elapsed)}: {', '.join(words)}{told}"
