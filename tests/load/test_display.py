"""How a load test is shown while it runs."""

from __future__ import annotations

import io

from fake_platform import STAGES

from opus_async.events import RequestKind
from opus_async.load.api import spec_of
from opus_async.load.display import LoadProgress, PlainLoadDisplay
from opus_async.load.recorder import Recorder
from opus_async.load.spec import planned
from opus_async.load.stages import LoadStages
from opus_async.load.values import DropReason
from opus_async.models import JobStatus
from opus_async.outcome import JobOutcome


def progress_of(*, warm_up=0.0):
    now = [0.0]
    recorder = Recorder(LoadStages.of(STAGES), warm_up=warm_up, clock=lambda: now[0])
    progress = LoadProgress()
    plan = planned(spec_of(workflow_id="w", rate=10, jobs=500, warm_up=warm_up, seed=1), max_jobs=500)
    progress.begin(plan, recorder)
    for index in range(3):
        recorder.opened(f"key-{index}", index, 0.0)
    now[0] = 2.0
    recorder.ended("key-0", JobOutcome(job_id="j", status=JobStatus("COMPLETED")))
    recorder.ended("key-1", JobOutcome(job_id="j", status=JobStatus("FAILED")))
    return progress, recorder


def test_progress_tells_totals_and_percentiles():
    progress, recorder = progress_of()
    recorder.dropped(1.0, DropReason.MAX_IN_FLIGHT)
    recorder.answered("status", RequestKind.POLL, 429, 0.0, 0.1)
    totals, latency = progress.lines()
    assert totals == ("2 s: 3 of 500 started, 1 completed, 1 in flight, 1 failed, 1 dropped, 1 times 429")
    assert latency.startswith("end to end p50 2")


def test_progress_says_that_it_warms_up():
    progress, _ = progress_of(warm_up=10.0)
    assert progress.lines()[0].endswith("warming up")


def test_progress_before_a_run_tells_what_is_done():
    progress = LoadProgress()
    assert (progress.attached, progress.lines()) == (False, ["reading the workflow"])


def test_plain_display_prints_lines_and_notices():
    stream = io.StringIO()
    progress, _ = progress_of()
    display = PlainLoadDisplay(progress, "a", stream)
    display.open()
    display.say("Leaving.")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("a: 2 s: 3 of 500 started")
    assert second == "a: Leaving."
