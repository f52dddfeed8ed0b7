"""Progress bars on a terminal, with rich: one for each stage, never one for each job."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from opus_async.metrics.outages import HostOutage
from opus_async.metrics.progress import Progress
from opus_async.metrics.throughput import Rates
from opus_async.progress.progress_text import ending, remaining, speeds, standing
from opus_async.reporting.bottlenecks import bottleneck_text, outage_text
from opus_async.stages import DONE
from opus_async.terminal_text import escaped
from opus_async.text import elapsed

FRAMES_PER_SECOND = 4


class LiveDisplay:
    """A bar for each stage, redrawn at most four times a second, and erased at the end."""

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
            redirect_stdout=guard is None and sys.stdout.isatty(),  # a program's prints stand above the frame
        )

    def open(self) -> None:
        """Begin to draw, and send what others write to stderr through the display."""
        self._live.start()
        if self._guard is not None:
            sys.stderr = self._guard(sys.stderr)  # while it draws, what others write goes through the console
        self.draw()

    def draw(self) -> None:
        """Draw a frame."""
        self._live.update(self._frame(), refresh=True)

    def close(self) -> None:
        """Erase the bars; the caller prints the result."""
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a notice above the bars."""
        self._console.print(Text(escaped(f"{self._title}: {text}")))

    def _frame(self) -> RenderableType:
        progress = self._progress
        head = Text.assemble((escaped(self._title), "bold"), f"  {elapsed(progress.elapsed)}")
        if progress.preparing:
            return head.append(escaped(f"  {progress.preparing}"))
        rates = progress.rates()
        if progress.total is not None:
            head.append(f"  {progress.done:,} of {progress.total:,}")
        if progress.failed:
            head.append(f"  {progress.failed:,} failed", "red")
        if progress.unknown:
            head.append(f"  {progress.unknown:,} unknown", "yellow")
        if progress.ending:
            head.append(f"  {ending(progress)}", "yellow")
        elif rates.left:
            head.append(f"  {remaining(rates.left)}", "dim")
        return Group(head, self._bars(), self._foot(rates), *self._limits())

    def _bars(self) -> Table:
        progress = self._progress
        table = Table.grid(padding=(0, 1))
        table.add_column()
        table.add_column(ratio=1)
        table.add_column(justify="right")
        table.add_column(justify="right", style="cyan", min_width=4)
        table.expand = True
        # Without a known total a bar shows how many of those begun have come so far.
        begun = progress.done + progress.in_flight
        to_do, total = progress.to_do or begun, progress.total or begun
        for stage in progress.stages:
            now = progress.in_stage[stage]
            bar = ProgressBar(total=max(to_do, 1), completed=progress.left_stage[stage])
            count = f"{progress.left_stage[stage]:,}/{to_do:,}"
            table.add_row(f"  {stage}", bar, count, f"{now:,} now" if now else "")
        bar = ProgressBar(total=max(total, 1), completed=progress.done, complete_style="green")
        table.add_row(f"  {DONE}", bar, f"{progress.done:,}/{total:,}", "")
        return table

    def _foot(self, rates: Rates) -> Text:
        words = [*standing(self._progress), *speeds(self._progress, rates.jobs, rates.bytes)]
        return _line(" · ".join(words), "dim")

    def _limits(self) -> list[Text]:
        """Hosts that are down, or else the bottleneck."""
        if outages := self._progress.outages:
            return [_outage(outage) for outage in outages]
        limit = self._progress.bottleneck()
        return [_line(f"bottleneck: {bottleneck_text(limit)}", "dim")] if limit else []


def _outage(outage: HostOutage) -> Text:
    given_up = "given up, " if outage.given_up else ""
    return _line(f"{outage_text(outage)}: {given_up}{outage.reason}", "red")


def _line(text: str, style: str) -> Text:
    return Text(escaped(f"  {text}"), style=style, no_wrap=True, overflow="ellipsis")
