"""What is counted for the eyes, and where it is drawn."""

from __future__ import annotations

import asyncio
import io

import pytest

from opus_async.cli import display, tables, words
from opus_async.batch.progress import Progress, reason_class
from opus_async.events import JobStageChanged, RequestRetried, RequestSent, UploadProgress

STAGES = ("schema", "upload", "watch")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def moved(index, stage, status=None):
    return JobStageChanged(index=index, key=None, job_id=None, stage=stage, status=status)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(STAGES, 10, clock)


def test_jobs_are_counted_by_stage(progress):
    for index in range(3):
        for stage in STAGES[: index + 1]:
            progress(moved(index, stage))
    assert progress.in_flight == 3
    assert progress.passed == {"schema": 2, "upload": 1}
    assert {stage: progress.inside[stage] for stage in STAGES} == {"schema": 1, "upload": 1, "watch": 1}
    progress(moved(2, "done", "COMPLETED"))
    progress(moved(0, "done"))
    progress(moved(1, "done", "FAILED"))
    assert (progress.completed, progress.failed, progress.done, progress.in_flight) == (1, 2, 3, 0)
    assert progress.passed["watch"] == 1
    assert progress.passed["schema"] == 2


def test_bytes_requests_and_retries_are_counted(progress):
    for sent in (10, 60, 5, 100):  # the third is a new attempt
        progress(UploadProgress(filename="a", sent=sent, size=100))
    assert progress.sent_bytes == 160
    progress(RequestSent(operation="put", method="PUT", url="", status=200, seconds=0.1, attempt=1))
    progress(RequestRetried(operation="put", reason="throttled: HTTP 429", wait=1, attempt=1))
    progress(RequestRetried(operation="put", reason="broken: PUT http://x: it broke", wait=1, attempt=2))
    assert progress.requests == {"put": 1}
    assert progress.retries == {"throttled: HTTP 429": 1, "broken": 1}
    assert progress.throttled == 1
    assert reason_class("unsent") == "unsent"


def test_rates_look_back_ten_seconds(progress, clock):
    for index in range(4):
        progress(moved(index, "schema"))
        progress(moved(index, "done", "COMPLETED"))
        clock.now += 5
        rates = progress.rates()
    assert rates.jobs == pytest.approx(0.2)
    assert rates.seconds_left == pytest.approx(30)


def test_a_line_says_how_it_stands(progress, clock):
    stream = io.StringIO()
    lines = display.Lines(progress, "demo", stream)
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


async def test_a_display_is_drawn_again_and_again_and_closed_on_errors():
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
        async with display.Showing(recorder):
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
def test_where_it_is_live(stream, environ, live):
    assert display.is_live(stream, environ) is live


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (10_920, "3 h 02 min")]
)
def test_durations(seconds, text):
    assert words.duration(seconds) == text


def test_columns_line_up_wrap_the_last_and_show_no_control_characters():
    rows = [("A", "B", "C"), ("日本", "x\x1b[31m", "one two three four"), ("a", "", "")]
    assert tables.columns(rows, width=30).splitlines() == [
        "A     B       C",
        "日本  x [31m  one two three",
        "              four",
        "a",
    ]
