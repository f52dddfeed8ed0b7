"""Where progress is drawn, and how."""

from __future__ import annotations

import asyncio
import io

import pytest
from progress_tools import ALL_STAGES, STAGES, Batch, Clock, host, moved

from opus_async import (
    HostState,
)
from opus_async.metrics.bottleneck import Bounds
from opus_async.metrics.counts import Counts
from opus_async.metrics.progress import Progress
from opus_async.progress import display


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
    assert last.startswith("demo: 10 s: 1/10 done, 0 failed, 1 in flight, 0.1 jobs/s")
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
    assert troubled.endswith("0 retries, a.example has not answered for 40 s")


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


def test_live_display_shows_stages_totals_and_bottleneck_of_batch(clock):
    from rich.console import Console

    from opus_async.progress.live import LiveDisplay

    progress = Progress(clock=clock)
    progress.preparing = "12,000 rows checked"
    bars = LiveDisplay(progress, "invoices", None, None)

    def drawn():
        console = Console(file=io.StringIO(), width=90)
        console.print(bars._frame())
        return console.file.getvalue()

    assert drawn().strip() == "invoices  0 s  12,000 rows checked"
    batch = Batch(progress, Bounds(max_in_flight=2), planned=1188, waiting=2, completed=8, failed=2)
    progress(moved(0, "watch"))
    progress(moved(1, "watch"))
    frame = drawn()
    assert "invoices  0 s  10 of 1,200  2 failed" in frame
    assert [line.split()[0] for line in frame.splitlines()[1:8]] == [*ALL_STAGES, "done"]
    assert "0/1,190 2 now" in " ".join(frame.split())
    assert "10/1,200" in frame
    assert "2 in flight · 2 wait for a person · 0.0 jobs/s" in frame
    assert "bottleneck: --max-in-flight 2 (the platform is at work)" in frame
    progress(host("a.example", HostState.DOWN, "unsent: no connection", 40))
    assert "a.example has not answered for 40 s: unsent: no connection" in drawn()
    assert "bottleneck" not in drawn()
    progress(host("a.example", HostState.GIVEN_UP, "unsent: no connection", 40))
    assert "a.example has not answered for 40 s: given up, unsent: no connection" in drawn()
    batch.counts = Counts(planned=1188, waiting=1, unknown=1, completed=8, failed=2)
    batch.admitting, progress.why_ending = False, lambda: "halted"
    assert "10 of 1,200  2 failed  1 unknown  halted" in drawn()


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
