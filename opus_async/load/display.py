"""How a load test stands while it runs: a frame on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

from opus_async.progress.display import LINE_EVERY, NoticeDisplay, is_live
from opus_async.terminal_text import escaped
from opus_async.text import counted, duration, elapsed

if TYPE_CHECKING:
    from opus_async.load.recorder import Recorder
    from opus_async.load.search import Search
    from opus_async.load.spec import Plan

_FRAMES_PER_SECOND = 4


class LoadProgress:
    """What is drawn of a load test: the run that is going on, and the search that it belongs to."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._recorder: Recorder | None = None
        self._search: Search | None = None

    @property
    def attached(self) -> bool:
        """Whether jobs are being run."""
        return self._recorder is not None

    def begin(self, plan: Plan, recorder: Recorder) -> None:
        """Follow a run, which begins now."""
        self._plan, self._recorder = plan, recorder

    def stepped(self, search: Search) -> None:
        """Follow a search, of which a step has ended."""
        self._search = search

    def lines(self) -> list[str]:
        """How it stands."""
        recorder, plan = self._recorder, self._plan
        if recorder is None or plan is None:
            return ["reading the workflow"]
        lines = [self._totals(recorder, plan), self._latency(recorder)]
        if self._search is not None and self._search.results:
            lines.append(self._steps(self._search))
        return [line for line in lines if line]

    def _totals(self, recorder: Recorder, plan: Plan) -> str:
        now = recorder.now
        words = [f"{recorder.completed:,} completed", f"{recorder.in_flight:,} in flight"]
        of = f" of {plan.jobs:,}" if plan.exact else ""
        words.insert(0, f"{recorder.started:,}{of} started")
        if recorder.failed:
            words.append(f"{recorder.failed:,} failed")
        if recorder.unknown:
            words.append(f"{recorder.unknown:,} unknown")
        if recorder.drops:
            words.append(f"{len(recorder.drops):,} dropped")
        if recorder.throttling.throttled:
            words.append(f"{recorder.throttling.throttled:,} times 429")
        if now < plan.spec.warm_up:
            words.append("warming up")
        return f"{elapsed(now)}: {', '.join(words)}"

    def _latency(self, recorder: Recorder) -> str:
        e2e = recorder.e2e
        p50, p95, p99 = e2e.percentiles((50, 95, 99))
        if p50 is None or p95 is None or p99 is None:
            return ""
        late = recorder.lateness.percentile(99) or 0.0
        return (
            f"end to end p50 {duration(p50)}, p95 {duration(p95)}, p99 {duration(p99)}; "
            f"starts p99 {duration(late)} late"
        )

    def _steps(self, search: Search) -> str:
        held = [result.step.rate for result in search.results if search.holds(result)]
        best = f"{max(held):.3g} jobs/s held" if held else "none held"
        return f"{counted(len(search.results), 'step')}: {best}"


class PlainLoadDisplay:
    """A plain line every few seconds."""

    period = LINE_EVERY

    def __init__(self, progress: LoadProgress, title: str, stream: TextIO | None = None) -> None:
        self._progress = progress
        self._title = title
        self._stream = stream or sys.stderr

    def open(self) -> None:
        """Print the first line."""
        self.draw()

    def draw(self) -> None:
        """Print a line."""
        self.say("; ".join(self._progress.lines()))

    def close(self) -> None:
        """Print the last line."""
        if self._progress.attached:
            self.draw()

    def say(self, text: str) -> None:
        """Print a notice on a line of its own."""
        with suppress(OSError, ValueError):
            print(f"{self._title}: {text}", file=self._stream, flush=True)


class LiveLoadDisplay:
    """A frame of a few lines, redrawn four times a second, and erased at the end."""

    period = 1 / _FRAMES_PER_SECOND

    def __init__(
        self, progress: LoadProgress, title: str, guard: Callable[[Any], Any] | None, stream: Any
    ) -> None:
        from rich.console import Console  # noqa: PLC0415 - loaded where it draws
        from rich.live import Live  # noqa: PLC0415 - as above

        self._progress = progress
        self._title = title
        self._guard = guard
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)

    def open(self) -> None:
        """Begin to draw, and send what others write to stderr through the display."""
        self._live.start()
        if self._guard is not None:
            sys.stderr = self._guard(sys.stderr)
        self.draw()

    def draw(self) -> None:
        """Draw a frame."""
        from rich.text import Text  # noqa: PLC0415 - as above

        first, *more = self._progress.lines()
        frame = Text(escaped(f"{self._title}  {first}"), no_wrap=True, overflow="ellipsis")
        for line in more:
            frame.append(f"\n  {escaped(line)}")
        frame.append("\n")
        self._live.update(frame, refresh=True)

    def close(self) -> None:
        """Erase the frame."""
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a notice above the frame."""
        from rich.text import Text  # noqa: PLC0415 - as above

        with suppress(OSError, ValueError):
            self._console.print(Text(escaped(f"{self._title}: {text}")))


def make(
    progress: LoadProgress,
    title: str,
    *,
    plain: bool = False,
    guard: Callable[[Any], Any] | None = None,
    stream: Any = None,
) -> NoticeDisplay:
    """Make the display that suits stderr; arguments as in :func:`opus_async.progress.display.make`."""
    if not plain and is_live(sys.stderr, os.environ) and find_spec("rich"):
        with suppress(ImportError):
            return LiveLoadDisplay(progress, title, guard, stream)
    return PlainLoadDisplay(progress, title)
