"""What is counted and told of a batch that runs."""

from __future__ import annotations

import pytest
from progress_tools import STAGES, Batch, Clock, answered, host, limit_of, moved, retried, run_at

from opus_async import (
    FailureClass,
    HostState,
    Limits,
    UploadProgress,
)
from opus_async.batch.observer import why_ending
from opus_async.exits import Exit
from opus_async.jobs.halt import Halt
from opus_async.jobs.shutdown import HaltReached, Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.metrics.bottleneck import Bounds
from opus_async.metrics.counts import Counts
from opus_async.metrics.event_counts import RetryCause
from opus_async.metrics.outages import HostOutage
from opus_async.metrics.progress import Progress
from opus_async.metrics.throughput import TimeLeft
from opus_async.progress import display, progress_text
from opus_async.reporting.bottlenecks import outage_text


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(STAGES, 10, clock)


# Counting


def test_progress_counts_jobs_by_stage(progress):
    for index in range(3):
        for stage in STAGES[: index + 1]:
            progress(moved(index, stage))
    assert progress.in_flight == 3
    assert progress.left_stage == {"schema": 2, "upload": 1}
    assert {stage: progress.in_stage[stage] for stage in STAGES} == {"schema": 1, "upload": 1, "watch": 1}
    progress(moved(2, "done", "COMPLETED"))
    progress(moved(0, "done"))
    progress(moved(1, "done", "FAILED"))
    assert (progress.completed, progress.failed, progress.done, progress.in_flight) == (1, 2, 3, 0)
    assert progress.left_stage["watch"] == 1
    assert progress.left_stage["schema"] == 2


def test_progress_counts_parked_job_in_no_stage(progress):
    progress(moved(0, "watch"))
    progress(moved(0, "parked"))
    assert (progress.in_flight, progress.in_stage["watch"], progress.left_stage["watch"]) == (0, 0, 0)
    progress(moved(0, "watch"))
    assert progress.in_stage["watch"] == 1


def test_progress_counts_bytes_requests_and_retries(progress):
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


def test_progress_counts_upload_bytes_per_row_for_same_file_name(progress):
    for index, sent in ((0, 10), (1, 5), (0, 100), (1, 100)):
        progress(UploadProgress(index=index, filename="a.pdf", sent=sent, size=100, attempt=1))
    assert progress.sent_bytes == 200


def test_progress_includes_rows_of_earlier_sessions(clock):
    progress = Progress(clock=clock)
    assert (progress.total, progress.attached) == (None, False)
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
    assert (progress.done, progress.waiting, progress.left_stage["watch"]) == (19, 2, 1)


def test_progress_lists_hosts_while_they_are_down(progress, clock):
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


def test_progress_rates_cover_last_ten_seconds(progress, clock):
    for index in range(4):
        progress(moved(index, "schema"))
        progress(moved(index, "done", "COMPLETED"))
        clock.now += 5
        rates = progress.rates()
    assert rates.jobs == pytest.approx(0.2)
    assert rates.left.least == rates.left.most == pytest.approx(30)


def test_progress_rate_covers_a_longer_time_where_few_end(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=100)
    rates = run_at(progress, batch, clock, seconds=240, rate=0.1)
    assert rates.jobs == pytest.approx(0.1, rel=0.15)
    rates = run_at(progress, batch, clock, seconds=20, rate=2)
    assert rates.jobs == pytest.approx(2)


def test_progress_counts_attempts_without_an_answer_as_requests(progress):
    progress(answered("status"))
    progress(answered("status", 503))
    progress(retried(FailureClass.OVERLOADED, 503))  # of the answer before
    progress(retried(FailureClass.GARBLED))  # an answer came, and was counted
    progress(retried(FailureClass.BROKEN))
    progress(retried(FailureClass.UNSENT))
    assert progress.requests.total() == 2
    assert progress.attempts == 4


def test_progress_time_left_is_unknown_before_three_percent(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=1000, completed=500)
    assert run_at(progress, batch, clock, seconds=29, rate=1).left is None
    assert run_at(progress, batch, clock, seconds=1, rate=1).left is not None


def test_progress_time_left_is_a_range_until_steady(clock):
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


def test_progress_time_left_has_no_upper_bound_when_nothing_ends(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=1000)
    run_at(progress, batch, clock, seconds=60, rate=5)
    left = run_at(progress, batch, clock, seconds=60, rate=0).left
    assert left.most is None
    assert left.least == pytest.approx(280, rel=0.02)


def test_progress_tells_how_long_none_has_ended_when_that_is_unusual(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=1000)
    assert run_at(progress, batch, clock, seconds=60, rate=5).quiet == 0
    assert run_at(progress, batch, clock, seconds=2, rate=0).quiet == 0
    quiet = run_at(progress, batch, clock, seconds=60, rate=0)
    assert quiet.quiet == pytest.approx(62, abs=0.5)
    assert "none has ended for 1 min 02 s" in display.line(progress)
    assert " left" not in display.line(progress)
    assert run_at(progress, batch, clock, seconds=10, rate=5).quiet == 0


def test_progress_waves_of_ends_are_usual(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=100)
    seen = []
    for wave in range(1, 6):
        for _ in range(40):
            clock.now += 0.25
            seen.append(progress.rates().quiet)
        batch.counts = Counts(planned=100 - 10 * wave, completed=10 * wave)
        progress.rates()
    assert not any(seen[80:]), "after the first wave ten seconds without an end are no news"


def test_progress_last_rows_take_as_long_as_rows_do(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=41)
    for index in range(40):
        progress(moved(index, "watch"))
    clock.now = 60
    progress(moved(40, "watch"))
    for index in range(40):
        progress(moved(index, "done", "COMPLETED"))
    batch.counts = Counts(running=1, completed=40)
    left = progress.rates().left
    assert (left.least, left.most) == (60, 60), "at 40 rows a minute it were 1.5 s"
    clock.now = 100
    assert progress.rates().left.least == pytest.approx(20)


def test_progress_time_left_is_unknown_when_no_more_rows_begin(clock):
    progress = Progress(clock=clock)
    batch = Batch(progress, planned=100)
    clock.now = 10
    batch.counts = Counts(planned=50, completed=50)
    assert progress.rates().left is not None
    batch.admitting = False
    assert progress.ending
    assert progress.rates().left is None
    assert progress.bottleneck() is None
    assert display.line(progress).endswith("5.0 jobs/s, ending")
    progress.why_ending = lambda: "halted: 3 of 4 rows failed; waiting for those in flight"
    assert display.line(progress).endswith(
        "5.0 jobs/s, halted: 3 of 4 rows failed; waiting for those in flight"
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
async def test_why_ending_tells_why_no_more_rows_begin(pace, reason, said):
    control = ShutdownControl()
    assert why_ending(control) == ""
    control.end(pace, reason)
    assert why_ending(control) == said


def test_progress_counts_unknown_rows_apart_from_failed(clock):
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


def test_progress_bottleneck_names_failed_status_requests(clock):
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


def test_progress_time_left_excludes_rows_waiting_for_a_person(clock):
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
        (TimeLeft(0.1, 4.9), "a few seconds left"),
        (TimeLeft(20.4, 44.2), "20-45 s left"),
        (TimeLeft(45, 200), "45 s to 4 min left"),
        (TimeLeft(5400, 10_800), "1.5-3 h left"),
        (TimeLeft(720, None), "at least 12 min left"),
    ],
)
def test_progress_text_rounds_time_left(left, text):
    assert progress_text.remaining(left) == text


# What limits it


def test_progress_bottleneck_follows_events(clock):
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


def test_progress_bottleneck_counts_preparing_rows_as_begun(clock):
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
