"""Where progress is drawn, and how."""

from __future__ import annotations

import asyncio
import io
import re

import pytest
from progress_tools import ALL_STAGES, STAGES, Batch, Clock, host, moved, run_at

from opus_async import HostState, Limits
from opus_async.metrics.bottleneck import BottleneckKind, Bounds
from opus_async.metrics.counts import Counts
from opus_async.metrics.progress import Progress
from opus_async.metrics.recent_failures import FailedRow
from opus_async.progress import display
from opus_async.progress.notebook import NotebookDisplay


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(STAGES, 10, clock)


def test_lines_display_shows_done_failed_in_flight_rate_and_time_left(progress, clock):
    stream = io.StringIO()
    lines = display.PlainDisplay(progress, "demo", stream)
    lines.open()
    progress(moved(0, "schema"))
    progress(moved(1, "schema"))
    progress(moved(1, "done", "COMPLETED"))
    clock.now = 10
    lines.close()
    first, last = stream.getvalue().splitlines()
    assert first.startswith("demo: 0 s: 0/10 done, 0 failed, 0 in flight")
    assert last.startswith("demo: 10 s: 1/10 done, 0 failed, 1 in flight, 6 jobs/min")
    assert last.endswith("about 1 min 30 s left")


def test_lines_display_shows_preparation_then_rows_and_notices(clock):
    stream = io.StringIO()
    progress = Progress(clock=clock)
    progress.preparing = "12,000 rows checked"
    lines = display.PlainDisplay(progress, "invoices", stream)
    lines.open()
    clock.now = 4
    lines.draw()
    batch = Batch(progress, planned=88, running=1, waiting=1, completed=8, failed=2)
    progress(moved(0, "watch"))
    lines.say("a notice")
    progress(host("a.example", HostState.DOWN, "", 40))
    lines.draw()
    batch.counts = Counts(completed=100)
    prepared, still, begun, notice, troubled = stream.getvalue().splitlines()
    assert prepared == "invoices: 0 s: 12,000 rows checked"
    assert still == "invoices: 4 s: 12,000 rows checked"
    assert begun.startswith("invoices: 0 s: 10/100 done, 2 failed, 0 in flight, 1 waits for a person")
    assert notice == "invoices: a notice"
    assert troubled.endswith("1 waits for a person, a.example has not answered for 40 s")


def test_displays_show_host_that_does_not_answer_while_nothing_has_begun(clock):
    progress = Progress(clock=clock)
    progress.preparing = "reading the workflow"
    progress(host("a.example", HostState.FAILING, "unsent: no connection", 1))
    clock.now = 3
    assert display.line(progress) == "3 s: reading the workflow, a.example has not answered for 4 s"
    assert frame_of(progress) == [
        "invoices · 3 s · reading the workflow",
        "  a.example has not answered for 4 s: unsent: no connection",
    ]
    progress(host("a.example", HostState.UP, "it answers again", 4))
    assert display.line(progress) == "3 s: reading the workflow"
    assert frame_of(progress) == ["invoices · 3 s · reading the workflow"]


def test_lines_display_does_not_repeat_preparation_at_close(clock):
    stream = io.StringIO()
    progress = Progress(clock=clock)
    progress.preparing = "reading the workflow"
    lines = display.PlainDisplay(progress, "invoices", stream)
    lines.open()
    lines.close()
    assert stream.getvalue() == "invoices: 0 s: reading the workflow\n"
    progress.preparing = "1 row checked"
    lines.close()
    assert stream.getvalue().endswith("invoices: 0 s: 1 row checked\n")


def frame_of(progress, width=90, encoding="utf-8"):
    """The lines of a frame on a terminal of so many columns."""
    from rich.console import Console

    from opus_async.progress.live import Frame

    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width).print(Frame(progress, "invoices"))
    file.flush()
    return file.buffer.getvalue().decode(encoding).rstrip("\n").split("\n")


def test_live_display_shows_one_bar_and_where_all_rows_are(clock):
    progress = Progress(clock=clock)
    progress.preparing = "12,000 rows checked"
    assert frame_of(progress) == ["invoices · 0 s · 12,000 rows checked"]
    Batch(progress, Bounds(max_in_flight=3), planned=1188, waiting=2, completed=598, failed=12)
    for index, stage in enumerate(("upload", "watch", "watch")):
        progress(moved(index, stage))
    head, bar, where, limit = frame_of(progress)
    assert head == "invoices · 0 s · 610 of 1,800 done · 12 failed"
    assert bar == "  " + "━" * 27 + "\N{MULTIPLICATION SIGN}" + "─" * 54 + "  33 %"
    assert where == "  1 upload · 2 watch · 2 wait for a person · 1,187 not begun"
    assert limit == "  bottleneck: --max-in-flight 3 (the platform is at work)"


def test_live_display_shows_hosts_that_are_down_instead_of_bottleneck(clock):
    progress = Progress(clock=clock)
    Batch(progress, Bounds(max_in_flight=1), planned=10)
    progress(moved(0, "watch"))
    progress(host("a.example", HostState.DOWN, "unsent: no connection", 40))
    frame = "\n".join(frame_of(progress))
    assert "a.example has not answered for 40 s: unsent: no connection" in frame
    assert "bottleneck" not in frame
    progress(host("a.example", HostState.GIVEN_UP, "unsent: no connection", 40))
    assert "a.example has not answered for 40 s: given up, unsent: no connection" in frame_of(progress)[-1]


def test_live_display_says_why_it_ends_and_what_is_unknown(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=1200)
    batch.counts = Counts(planned=1188, waiting=1, unknown=1, completed=8, failed=2)
    batch.admitting, progress.why_ending = False, lambda: "halted: 2 of 10 rows failed; leaving"
    assert frame_of(progress)[0] == ("invoices · 0 s · 10 of 1,200 done · 2 failed · 1 unknown")
    assert frame_of(progress)[1] == "  halted: 2 of 10 rows failed; leaving"


def test_live_display_names_rows_that_failed_by_reason_and_line(clock):
    progress = Progress(clock=clock)
    Batch(progress, planned=9)
    for line in (2, 3, 7):
        progress.failures.add(
            FailedRow(
                cause="failed in Review", error="The job ended", key=f"K{line}", location=f"line {line}"
            )
        )
    progress.failures.add(FailedRow(cause="file … is gone", error="file 'a.pdf' is gone", location="line 9"))
    assert frame_of(progress)[-2:] == [
        "  \N{MULTIPLICATION SIGN} line 9: file 'a.pdf' is gone",
        "  \N{MULTIPLICATION SIGN} 3 rows: failed in Review (last line 7, key K7)",
    ]


def test_live_display_tells_reasons_whole_and_how_many_more_there_are(clock):
    progress = Progress(clock=clock)
    Batch(progress, planned=9)
    for number in range(5):
        row = FailedRow(cause=f"failed in Node{number}", error="x", key="K" * 90, location="line 7")
        progress.failures.add(row)
        progress.failures.add(row)
    sign = "\N{MULTIPLICATION SIGN}"
    assert frame_of(progress, 40)[-7:] == [
        f"  {sign} 2 rows: failed in Node4",
        f"  (last line 7, key {'K' * 19}\N{HORIZONTAL ELLIPSIS}",
        f"  {sign} 2 rows: failed in Node3",
        f"  (last line 7, key {'K' * 19}\N{HORIZONTAL ELLIPSIS}",
        f"  {sign} 2 rows: failed in Node2",
        f"  (last line 7, key {'K' * 19}\N{HORIZONTAL ELLIPSIS}",
        "  and 2 more reasons",
    ]


def test_live_display_ends_with_an_empty_line_for_the_cursor(clock):
    from rich.console import Console

    from opus_async.progress.live import Frame

    progress = Progress(clock=clock)
    Batch(progress, planned=9)
    console = Console(file=io.StringIO(), width=60)
    console.print(Frame(progress, "invoices"))
    assert console.file.getvalue().endswith(" %\n  9 not begun\n\n")


def test_display_tells_once_that_people_are_waited_for(clock):
    progress = Progress(clock=clock)
    Batch(progress, waiting=14, completed=26)
    assert progress.bottleneck().kind is BottleneckKind.PEOPLE
    assert " ".join(frame_of(progress)).count("14 wait for a person") == 1
    assert display.line(progress).count("wait for a person") == 1
    assert "bottleneck" not in display.line(progress)


def test_display_tells_no_speed_while_nothing_ends(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=1000)
    run_at(progress, batch, clock, seconds=60, rate=2)
    assert "2.0 jobs/s" in display.line(progress)
    run_at(progress, batch, clock, seconds=30, rate=0)
    assert "none has ended for 30 s" in display.line(progress)
    assert "jobs/" not in display.line(progress)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_live_display_fits_terminal_and_cuts_no_figure(clock, width):
    progress = Progress(clock=clock)
    Batch(progress, Bounds(max_in_flight=3), planned=1188, waiting=2, completed=598, failed=12)
    for index, stage in enumerate(ALL_STAGES):
        progress(moved(index, stage))
    frame = frame_of(progress, width)
    assert max(map(len, frame)) <= width
    said = " ".join(" ".join(frame).split())
    for figure in (
        "610 of 1,800 done",
        "12 failed",
        "1 upload",
        "1 results",
        "2 wait for a person",
        "1,185 not begun",
    ):
        assert figure in said
    assert "…" not in said


def test_live_display_draws_signs_that_a_terminal_has(clock):
    progress = Progress(clock=clock)
    Batch(progress, planned=50, completed=40, failed=10)
    frame = frame_of(progress, 60, "ascii")
    assert frame[0] == "invoices | 0 s | 50 of 100 done | 10 failed"
    assert frame[1] == "  " + "=" * 20 + "x" * 5 + "-" * 27 + "  50 %"


@pytest.mark.parametrize(
    ("shares", "total", "cells"),
    [
        ((0, 0, 0), 10, [0, 0, 0, 20]),
        ((10, 0, 0), 10, [20, 0, 0, 0]),
        ((7, 3, 0), 10, [14, 6, 0, 0]),  # failed rows leave no bar unfinished
        ((9999, 1, 0), 10_000, [19, 1, 0, 0]),
        ((9998, 1, 0), 10_000, [18, 1, 0, 1]),  # nor is one full before its end
        ((1, 1, 1), 10_000, [1, 1, 1, 17]),
        ((3, 3, 3), 9, [8, 6, 6, 0]),
        ((0, 0, 0), 0, [0, 0, 0, 20]),
    ],
)
def test_live_display_bar_shows_whatever_there_is(shares, total, cells):
    from opus_async.progress.live import _cells

    assert _cells(shares, total, 20) == cells


def test_live_display_colours_are_those_of_the_theme_of_the_terminal(clock):
    from rich.console import Console

    from opus_async.progress.live import Frame

    progress = Progress(clock=clock)
    Batch(progress, planned=50, completed=40, failed=10, unknown=1)
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system="truecolor")
    console.print(Frame(progress, "invoices"))
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", console.file.getvalue()))
    assert codes == {"0", "1", "2", "31", "32", "35"}, (
        "bold, dim, red, green and magenta as the theme has them"
    )


def test_display_counts_rows_of_earlier_sessions_and_those_of_a_limit(clock):
    progress = Progress(clock=clock)
    counts = Counts(planned=990, completed=8, failed=2)
    progress.attach(
        stages=ALL_STAGES,
        counts=lambda: counts,
        admitting=lambda: True,
        bounds=Bounds(),
        limits=Limits(),
        limit=30,
    )
    assert frame_of(progress)[0] == "invoices · 0 s · 10 of 40 done · 2 failed"
    assert frame_of(progress)[2] == "  30 not begun"
    assert display.line(progress).startswith("0 s: 10/40 done, 2 failed")


def test_display_counts_ordered_rows_where_no_more_is_wanted(clock):
    progress = Progress(clock=clock)
    counts = Counts(planned=60, running=30, waiting=8, completed=2)
    progress.attach(
        stages=ALL_STAGES,
        counts=lambda: counts,
        admitting=lambda: True,
        bounds=Bounds(),
        limits=Limits(),
        until_ordered=True,
    )
    assert frame_of(progress)[0] == "invoices · 0 s · 40 of 100 ordered"


def test_notebook_display_is_full_when_all_that_was_asked_for_is_done(clock):
    progress = Progress(clock=clock)
    counts = Counts(planned=35, completed=5)
    progress.attach(
        stages=ALL_STAGES,
        counts=lambda: counts,
        admitting=lambda: True,
        bounds=Bounds(),
        limits=Limits(),
        limit=0,
    )
    assert '<progress max="5" value="5">' in NotebookDisplay(progress, "b")._html()


def test_lines_display_prints_failures_once(clock):
    stream = io.StringIO()
    progress = Progress(clock=clock)
    lines = display.PlainDisplay(progress, "b", stream)
    Batch(progress, planned=9)
    row = FailedRow(cause="failed in Review", error="x", key="K7", location="line 7")
    progress.failures.add(row)
    lines.draw()
    lines.draw()
    progress.failures.add(row)
    lines.draw()
    told = [line for line in stream.getvalue().splitlines() if "failed:" in line]
    assert told == [
        "b: failed: line 7, key K7: failed in Review",
        "b: failed: 2 rows: failed in Review (last line 7, key K7)",
    ]


async def test_display_showing_redraws_and_closes_on_error():
    class Recorder:
        period = 0.001

        def __init__(self):
            self.said = []
            self.drawn = asyncio.Event()

        def open(self):
            self.said.append("open")

        def draw(self):
            self.said.append("draw")
            if len(self.said) > 3:
                self.drawn.set()

        def close(self):
            self.said.append("close")

    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        async with display.DisplayTask(recorder):
            await recorder.drawn.wait()
            raise ZeroDivisionError
    assert recorder.said[:3] == ["open", "draw", "draw"]
    assert recorder.said[-1] == "close"


class Tty(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "live"),
    [
        (Tty(), {"TERM": "xterm"}, True),
        (Tty(), {"TERM": "xterm", "CI": "false"}, True),
        (Tty(), {"TERM": "xterm", "CI": "1"}, False),
        (Tty(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Tty(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_display_is_live_only_on_capable_terminal(stream, environ, live):
    assert display.is_live(stream, environ) is live
