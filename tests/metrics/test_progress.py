"""What is counted for the eyes, and where it is drawn."""

from __future__ import annotations

import asyncio
import io

import pytest

from opus_async import (
    FailureClass,
    HostState,
    HostTroubled,
    JobStageChanged,
    Limits,
    RequestKind,
    RequestRetried,
    RequestSent,
    UploadProgress,
)
from opus_async.batch.observer import why_ending
from opus_async.cli import display, progress_text, tables
from opus_async.exits import Exit
from opus_async.jobs.halt import Halt
from opus_async.jobs.shutdown import HaltReached, Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.metrics.bottleneck import Bounds
from opus_async.metrics.counts import Counts
from opus_async.metrics.event_counts import RetryCause
from opus_async.metrics.outages import HostOutage
from opus_async.metrics.progress import Progress
from opus_async.metrics.throughput import TimeLeft
from opus_async.reporting.bottlenecks import bottleneck_text, outage_text

STAGES = ("schema", "upload", "watch")
ALL_STAGES = ("schema", "upload", "initiate", "execute", "watch", "results")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def moved(index, stage, status=None):
    return JobStageChanged(index=index, key=None, job_id=None, stage=stage, status=status)


def answered(operation, status=200):
    kinds = {"put": RequestKind.STORAGE, "status": RequestKind.POLL}
    kind = kinds.get(operation, RequestKind.API)
    return RequestSent(
        operation=operation, kind=kind, method="GET", url="", status=status, seconds=0.1, attempt=1
    )


def retried(failure, status=None, code=None):
    return RequestRetried(
        operation="put",
        kind=RequestKind.STORAGE,
        failure=failure,
        status=status,
        code=code,
        reason="as it is shown",
        wait=1,
        attempt=1,
    )


def host(name, state, reason, seconds):
    return HostTroubled(host=name, state=state, reason=reason, seconds=seconds)


def limit_of(progress):
    limit = progress.bottleneck()
    return "" if limit is None else bottleneck_text(limit)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(STAGES, 10, clock)


class Batch:
    """Counts of a whole batch, as a ledger has them."""

    def __init__(self, progress, bounds=None, limits=None, **counts):
        self.counts = Counts(**counts)
        self.admitting = True
        progress.follow(
            stages=ALL_STAGES,
            counts=lambda: self.counts,
            admitting=lambda: self.admitting,
            bounds=bounds or Bounds(),
            limits=limits or Limits(),
        )


# Counting


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


def test_a_parked_job_is_in_no_stage_until_it_is_looked_at_again(progress):
    progress(moved(0, "watch"))
    progress(moved(0, "parked"))
    assert (progress.in_flight, progress.inside["watch"], progress.passed["watch"]) == (0, 0, 0)
    progress(moved(0, "watch"))
    assert progress.inside["watch"] == 1


def test_bytes_requests_and_retries_are_counted(progress):
    for sent in (10, 60, 5, 100):  # the third is a new attempt
        progress(UploadProgress(filename="a", sent=sent, size=100, attempt=1))
    assert progress.sent_bytes == 160
    progress(answered("put"))
    progress(retried(FailureClass.THROTTLED, 429, "SlowDown"))
    progress(retried(FailureClass.BROKEN))
    assert progress.requests == {"put": 1}
    assert progress.retries == {
        RetryCause(FailureClass.THROTTLED, 429, "SlowDown"): 1,
        RetryCause(FailureClass.BROKEN, None, None): 1,
    }
    assert progress.throttled == 1


def test_bytes_of_files_with_one_name_are_counted_by_row(progress):
    for index, sent in ((0, 10), (1, 5), (0, 100), (1, 100)):
        progress(UploadProgress(index=index, filename="a.pdf", sent=sent, size=100, attempt=1))
    assert progress.sent_bytes == 200


def test_a_batch_is_counted_with_what_earlier_sessions_did(clock):
    progress = Progress(clock=clock)
    assert (progress.total, progress.following) == (None, False)
    begun = []
    progress.on_begin = lambda: begun.append(progress.total)
    clock.now = 30
    batch = Batch(progress, planned=70, running=10, completed=15, failed=3, unknown=2)
    assert begun == [100]
    assert (progress.total, progress.done, progress.completed, progress.failed) == (100, 18, 15, 3)
    assert progress.unknown == 2
    assert progress.to_do == 82  # unknown rows are looked at again
    assert progress.elapsed == 0  # planning is over
    progress(moved(7, "watch"))
    progress(moved(7, "done", "COMPLETED"))
    batch.counts = Counts(planned=70, running=7, waiting=2, completed=16, failed=3, unknown=2)
    assert (progress.done, progress.waiting, progress.passed["watch"]) == (19, 2, 1)


def test_a_host_in_trouble_is_named_for_as_long_as_it_is(progress, clock):
    clock.now = 100
    progress(host("b.example", HostState.DOWN, "broken: it broke", 3))
    progress(host("a.example", HostState.GIVEN_UP, "unsent: no connection", 40))
    clock.now += 5
    assert progress.outages == [
        HostOutage("a.example", 45, "unsent: no connection", given_up=True),
        HostOutage("b.example", 8, "broken: it broke"),
    ]
    assert outage_text(progress.outages[0]) == "a.example has not answered for 45 s"
    progress(host("a.example", HostState.UP, "it answers again", 45))
    assert [each.host for each in progress.outages] == ["b.example"]


# How fast, and how long


def run_at(progress, batch, clock, *, seconds, rate):
    """Let rows complete at a rate, and look four times a second."""
    done = batch.counts.completed
    for step in range(1, int(seconds * 4) + 1):
        clock.now += 0.25
        now = done + int(step * rate / 4)
        batch.counts = Counts(planned=batch.counts.total - now, completed=now)
        rates = progress.rates()
    return rates


def test_rates_look_back_ten_seconds(progress, clock):
    for index in range(4):
        progress(moved(index, "schema"))
        progress(moved(index, "done", "COMPLETED"))
        clock.now += 5
        rates = progress.rates()
    assert rates.jobs == pytest.approx(0.2)
    assert rates.left.least == rates.left.most == pytest.approx(30)


def test_nothing_is_said_of_the_time_left_before_three_percent(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=1000, completed=500)
    assert run_at(progress, batch, clock, seconds=29, rate=1).left is None
    assert run_at(progress, batch, clock, seconds=1, rate=1).left is not None


def test_the_time_left_is_a_range_until_it_is_steady(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=10_000)
    run_at(progress, batch, clock, seconds=60, rate=10)
    left = run_at(progress, batch, clock, seconds=60, rate=20).left
    rest = 10_000 - 1800
    assert left.least == pytest.approx(rest / 20, rel=0.02)
    assert left.most == pytest.approx(rest / 15, rel=0.02)
    assert not left.steady
    left = run_at(progress, batch, clock, seconds=300, rate=20).left
    assert left.steady
    assert left.least == pytest.approx((rest - 6000) / 20, rel=0.02)


def test_when_nothing_ends_any_more_nobody_knows_the_end(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=1000)
    run_at(progress, batch, clock, seconds=60, rate=5)
    left = run_at(progress, batch, clock, seconds=60, rate=0).left
    assert left.most is None
    assert left.least == pytest.approx(280, rel=0.02)


def test_a_batch_that_begins_no_more_rows_has_no_time_left(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=100)
    clock.now = 10
    batch.counts = Counts(planned=50, completed=50)
    assert progress.rates().left is not None
    batch.admitting = False
    assert progress.ending
    assert progress.rates().left is None
    assert progress.bottleneck() is None
    assert display.line(progress).endswith("0 retries, ending")
    progress.why_ending = lambda: "halted: 3 of 4 rows failed; waiting for those in flight"
    assert display.line(progress).endswith(
        "0 retries, halted: 3 of 4 rows failed; waiting for those in flight"
    )


@pytest.mark.parametrize(
    ("pace", "reason", "said"),
    [
        (
            ShutdownMode.STOP_ADMITTING,
            Reason(StopKind.TOO_MANY_FAILURES, Exit.HALTED, halt=HaltReached(Halt("soon", 3), 3, 4)),
            "halted: 3 of 4 rows failed; waiting for those in flight",
        ),
        (ShutdownMode.CANCEL, Reason(StopKind.DISK_FULL, Exit.HALTED), "the disk is full; leaving"),
        (
            ShutdownMode.DRAIN,
            Reason(StopKind.INTERRUPTED, Exit.INTERRUPTED),
            "interrupted; waiting for those near the end",
        ),
    ],
)
async def test_why_no_more_rows_are_begun(pace, reason, said):
    control = ShutdownControl()
    assert why_ending(control) == ""
    control.end(pace, reason)
    assert why_ending(control) == said


def test_unknown_rows_are_no_failed_ones_and_no_number_goes_back(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=30)
    batch.counts = Counts(failed=28, unknown=2)
    assert display.line(progress).startswith("0 s: 28/30 done, 28 failed, 2 unknown, 0 in flight")
    assert progress.rates().left is None
    again = Progress(clock=clock)
    resumed = Batch(again, failed=28, unknown=2)
    assert (again.done, again.to_do) == (28, 2)
    resumed.counts = Counts(failed=28, unknown=1, completed=1)
    assert (again.done, again.unknown) == (29, 1)


def test_looks_that_tell_nothing_are_named(clock):
    progress = Progress(clock=clock)
    Batch(progress, planned=6)
    for index in range(6):
        progress(moved(index, "watch"))
    for _ in range(3):
        progress(answered("status"))
    for _ in range(3):
        progress(answered("status", 404))
        progress(answered("execute", 500))
    assert "looks" not in limit_of(progress)
    progress(answered("status", 503))
    assert limit_of(progress) == "4 looks at jobs are answered with HTTP 404"
    assert display.line(progress).endswith("bottleneck: 4 looks at jobs are answered with HTTP 404")
    clock.now += 60
    assert "looks" not in limit_of(progress)
    progress(answered("status", 404))
    assert limit_of(progress) == "1 look at a job is answered with HTTP 404"


def test_rows_that_wait_for_a_person_are_not_in_the_time_left(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=100)
    clock.now = 10
    batch.counts = Counts(waiting=40, planned=10, completed=50)
    assert progress.rates().left.least == pytest.approx(2)
    batch.counts = Counts(waiting=50, completed=50)
    assert progress.rates().left is None


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (TimeLeft(720, 1500), "12-25 min left"),
        (TimeLeft(720, 740), "about 12 min left"),
        (TimeLeft(90, 90), "about 1 min 30 s left"),
        (TimeLeft(0.1, 0.1), "about 1 s left"),
        (TimeLeft(20.4, 44.2), "20-45 s left"),
        (TimeLeft(45, 200), "45 s to 4 min left"),
        (TimeLeft(5400, 10_800), "1.5-3 h left"),
        (TimeLeft(720, None), "at least 12 min left"),
    ],
)
def test_times_left_are_told_as_people_tell_them(left, text):
    assert progress_text.remaining(left) == text


# What limits it


def test_the_bottleneck_of_a_batch_is_seen_from_its_events(clock):
    progress = Progress(clock=clock)
    assert limit_of(progress) == ""
    bounds = Bounds(max_in_flight=4)
    batch = Batch(progress, bounds, Limits(api_rate=10), planned=100)
    for index in range(4):
        progress(moved(index, "watch"))
    batch.counts = Counts(planned=96, running=4)
    clock.now = 10
    assert limit_of(progress) == "--max-in-flight 4 (the platform is at work)"
    for _ in range(95):
        progress(answered("status"))
    for _ in range(50):
        progress(answered("put"))
    assert limit_of(progress) == "--rate 10/s"
    for _ in range(5):
        progress(answered("status", 429))
    assert limit_of(progress) == "the platform's rate limit (429)"
    progress(host("a.example", HostState.DOWN, "", 40))
    assert limit_of(progress) == "a.example has not answered for 40 s"


def test_rows_that_prepare_are_begun_though_the_ledger_still_calls_them_planned(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, Bounds(start_rate=2), planned=2)
    progress(moved(0, "upload"))
    assert limit_of(progress) == "--start-rate 2/s"
    progress(moved(1, "upload"))
    assert limit_of(progress) == "the last 2 rows (files are on the way)"
    batch.counts = Counts(waiting=2)
    progress(moved(0, "parked"))
    progress(moved(1, "parked"))
    assert limit_of(progress) == "2 rows wait for a person"


# Drawing


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


def test_the_lines_of_a_batch_begin_with_what_is_prepared(clock):
    stream = io.StringIO()
    progress = Progress(clock=clock)
    progress.preparing = "12,000 rows checked"
    lines = display.Lines(progress, "invoices", stream)
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


def test_what_is_prepared_is_not_said_again_when_it_ends_there(clock):
    stream = io.StringIO()
    progress = Progress(clock=clock)
    progress.preparing = "reading the workflow"
    lines = display.Lines(progress, "invoices", stream)
    lines.open()
    lines.close()
    assert stream.getvalue() == "invoices: 0 s: reading the workflow\n"
    progress.preparing = "1 row checked"
    lines.close()
    assert stream.getvalue().endswith("invoices: 0 s: 1 row checked\n")


def test_bars_show_a_batch(clock):
    from rich.console import Console

    from opus_async.cli.live import LiveDisplay

    progress = Progress(clock=clock)
    progress.preparing = "12,000 rows checked"
    bars = LiveDisplay(progress, "invoices")

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


def test_columns_line_up_wrap_the_last_and_show_no_control_characters():
    rows = [("A", "B", "C"), ("日本", "x\x1b[31m", "one two three four"), ("a", "", "")]
    assert tables.columns(rows, width=30).splitlines() == [
        "A     B       C",
        "日本  x [31m  one two three",
        "              four",
        "a",
    ]
