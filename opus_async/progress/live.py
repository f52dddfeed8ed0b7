"""How a batch stands on a terminal, with rich: one bar, where its rows are, and what failed of late.

The colours are those that a terminal has names for, so that its owner's theme decides how they look, on a
light ground as on a dark one. Nothing is said by colour alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from opus_async.metrics.outages import HostOutage
from opus_async.metrics.progress import Progress
from opus_async.progress.progress_text import done_word, failure, limit, outlook, places, speeds
from opus_async.reporting.bottlenecks import bottleneck_text, outage_text
from opus_async.terminal_text import escaped
from opus_async.text import counted, elapsed

FRAMES_PER_SECOND = 4
_MOST_FAILURES = 3
"""Reasons for which rows failed that are shown, the latest ones."""
_SEPARATOR = " \N{MIDDLE DOT} "
_INDENT = "  "
_COMPLETED, _FAILED, _UNKNOWN, _REST = (
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}",
    "\N{MULTIPLICATION SIGN}",
    "?",
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}",
)
_PLAIN = str.maketrans({_COMPLETED: "=", _FAILED: "x", _REST: "-", "\N{MIDDLE DOT}": "|"})
"""For a terminal whose encoding has no such signs."""


class LiveDisplay:
    """A frame of a few lines, redrawn at most four times a second, and erased at the end."""

    period = 1 / FRAMES_PER_SECOND

    def __init__(
        self, progress: Progress, title: str, guard: Callable[[Any], Any] | None, controls: Any
    ) -> None:
        self._progress = progress
        self._title = title
        self._guard = guard
        self._console = Console(file=controls or sys.stderr, highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=guard is None
            and sys.stdout is not None
            and sys.stdout.isatty(),  # a program's prints stand above the frame
        )

    def open(self) -> None:
        """Begin to draw, and send what others write to stderr through the display."""
        self._live.start()
        if self._guard is not None:
            sys.stderr = self._guard(sys.stderr)  # while it draws, what others write goes through the console
        self.draw()

    def draw(self) -> None:
        """Draw a frame."""
        self._live.update(Frame(self._progress, self._title), refresh=True)

    def close(self) -> None:
        """Erase the frame; the caller prints the result."""
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a notice above the frame."""
        with suppress(OSError, ValueError):
            self._console.print(Text(escaped(f"{self._title}: {text}")))


class Frame:
    """How a batch stands now, in as many columns as a terminal has.

    Args:
        progress: Of the batch.
        title: Its name.
    """

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        plain = not _can_show(options.encoding)
        for line in self._lines(options.max_width):
            yield _translated(line) if plain else line
        yield Text()  # where the cursor rests: the ^C that a terminal shows there must lengthen no full line

    def _lines(self, width: int) -> Iterator[Text]:
        progress = self._progress
        title, took = Text(escaped(self._title), "bold"), Text(elapsed(progress.elapsed))
        if progress.preparing:
            yield from _packed([title, took, Text(escaped(progress.preparing))], width, indent="")
            yield from self._outages(width)
            return
        rates = progress.rates()
        ahead = Text(escaped(outlook(progress, rates)), "bold" if progress.ending or rates.quiet else "")
        yield from _packed([title, took, *self._totals(), ahead], width, indent="")
        yield self._bar(width)
        yield from _packed([Text(part) for part in places(progress)], width)
        yield from _packed([Text(part) for part in speeds(progress, rates)], width)
        yield from self._limits(width)
        yield from self._failures(width)

    def _totals(self) -> list[Text]:
        progress = self._progress
        of = "" if progress.target is None else f" of {progress.target:,}"
        parts = [Text(f"{progress.reached:,}{of} {done_word(progress)}")]
        if progress.failed:
            parts.append(Text(f"{progress.failed:,} failed", "red"))
        if progress.unknown:
            parts.append(Text(f"{progress.unknown:,} unknown", "magenta"))
        return parts

    def _bar(self, width: int) -> Text:
        """One bar for all rows: what went well, what failed, what cannot be told, and the rest."""
        progress = self._progress
        total = progress.target or progress.reached + progress.in_flight
        shares = (progress.reached - progress.failed, progress.failed, progress.unknown)
        percent = f" {100 * sum(shares) // max(total, 1):3} %"
        well, failed, unknown, rest = _cells(shares, total, max(width - len(_INDENT) - len(percent), 1))
        return Text.assemble(
            _INDENT,
            (_COMPLETED * well, "green"),
            (_FAILED * failed, "red"),
            (_UNKNOWN * unknown, "magenta"),
            (_REST * rest, "dim"),
            percent,
            no_wrap=True,
        )

    def _limits(self, width: int) -> Iterator[Text]:
        """Hosts that are down, or else the bottleneck."""
        yield from self._outages(width)
        if found := limit(self._progress):
            yield from _words(f"bottleneck: {bottleneck_text(found)}", width)

    def _outages(self, width: int) -> Iterator[Text]:
        for outage in self._progress.outages:
            yield from _words(_outage(outage), width, "red")

    def _failures(self, width: int) -> Iterator[Text]:
        """The latest reasons for which rows failed, and how many more there are."""
        failures = self._progress.failures
        for group in failures.latest(_MOST_FAILURES):
            rows, why, last = (escaped(part) for part in failure(group))
            parts = [Text.assemble((f"{_FAILED} {rows}:", "red"), f" {why}"), Text(last)]
            yield from map(_cut, _packed(parts, width, separator=" "))
        if (more := len(failures) - _MOST_FAILURES) > 0:
            yield from _words(f"and {counted(more, 'more reason')}", width)


def _cells(shares: Sequence[int], total: int, width: int) -> list[int]:
    """Cells of a bar for each share and the rest: one at least for what there is, all for all alone."""
    total = max(total, sum(shares), 1)
    cells = [max(share * width // total, 1) if share else 0 for share in shares]
    rest = total - sum(shares)
    if rest == 0 or sum(cells) >= width:
        over = sum(cells) + bool(rest) - width
        cells[cells.index(max(cells))] -= over
    return [*cells, width - sum(cells)]


def _packed(
    parts: Sequence[Text], width: int, *, indent: str = _INDENT, separator: str = _SEPARATOR
) -> Iterator[Text]:
    """Lines of parts, each line as long as the terminal is wide; a part is not broken unless it has to be."""
    line, begun = Text(indent), False
    for part in filter(None, parts):
        if begun and cell_len(line.plain) + cell_len(separator) + part.cell_len > width:
            yield line
            line, begun = Text(_INDENT), False
        line.append(separator if begun else "").append_text(part)
        begun = True
    if begun:
        yield line


def _words(text: str, width: int, style: str = "") -> Iterator[Text]:
    """Lines of a text, broken between words."""
    for line in _packed([Text(word) for word in escaped(text).split()], width, separator=" "):
        line.style = style
        yield line


def _outage(outage: HostOutage) -> str:
    given_up = "given up, " if outage.given_up else ""
    return f"{outage_text(outage)}: {given_up}{outage.reason}"


def _cut(line: Text) -> Text:
    """The line, cut where the terminal ends."""
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _can_show(encoding: str) -> bool:
    try:
        f"{_COMPLETED}{_FAILED}{_REST}{_SEPARATOR}".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _translated(line: Text) -> Text:
    line = line.copy()
    line.plain = line.plain.translate(_PLAIN)
    return line
