"""One job, told while it happens: plain lines in a log, one line that ticks on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from command_line import Terminal, leading_to
from simulator_thread import SimulatorThread

from opus_async.cli.job_progress import LINE_EVERY, TICK, JobProgress
from opus_async.cli.platforms.opus import ENTRY
from opus_async.cli.target import Target
from opus_async.events import FailureClass, JobStageChanged, JobStatusSeen, RequestKind, RequestRetried
from opus_async.simulator import SimulatorConfig

TEXT = ("run", "T3xtOnlyWorkfl0w", "--input", "Text=x")
ERASE = "\r\x1b[K"
OPUS = Target(ENTRY)
PARKED = "WAITING for a person to act in Opus"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def moved(stage, job_id=None, status=None):
    return JobStageChanged(index=0, key=None, job_id=job_id, stage=stage, status=status)


def seen(status):
    return JobStatusSeen(index=0, key=None, job_id="2514", status=status)


def retried():
    return RequestRetried(
        operation="status",
        kind=RequestKind.POLL,
        failure=FailureClass.SERVER,
        status=502,
        reason="server error: HTTP 502",
        wait=1.25,
        attempt=1,
    )


def test_job_progress_in_log_prints_line_per_stage_status_and_retry(clock):
    stream = io.StringIO()
    story = JobProgress(OPUS, stream, clock=clock)
    assert story.period == LINE_EVERY
    story.draw()
    for event in (moved("initiate"), moved("execute", "2514"), moved("watch", "2514"), seen("PENDING")):
        story(event)
    clock.now = 30
    story.draw()
    for event in (seen("WAITING"), retried(), seen("COMPLETED"), moved("results", "2514")):
        story(event)
    story(moved("done", "2514", "COMPLETED"))
    story.draw()
    story.close()
    assert stream.getvalue().splitlines() == [
        "    0.0 s  initiate",
        "    0.0 s  execute   job 2514",
        "    0.0 s  watch",
        "    0.0 s  watch     PENDING",
        "   30.0 s  watch     PENDING",
        f"   30.0 s  watch     {PARKED}",
        "   30.0 s  watch     status again in 1.2 s (server error: HTTP 502)",
        "   30.0 s  results",
        "   30.0 s  done      COMPLETED",
    ]


def test_job_progress_on_terminal_redraws_one_line_and_erases_it(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = io.StringIO()
    story = JobProgress(OPUS, stream, live=True, clock=clock)
    assert story.period == TICK
    story(moved("watch", "2514"))
    story(seen("IN_PROGRESS"))
    story.draw()
    clock.now = 7.5
    story.draw()
    story(seen("WAITING"))
    story.draw()
    story(moved("results", "2514"))
    story.draw()
    story.close()
    story.close()
    assert stream.getvalue() == (
        "    0.0 s  watch     job 2514\n"
        f"{ERASE}    0.0 s  watch     IN_PROG…{ERASE}    7.5 s  watch     IN_PROG…"
        f"{ERASE}    7.5 s  watch     WAITING…{ERASE}    7.5 s  results\n"
        f"{ERASE}    7.5 s  results{ERASE}"
    )


def test_job_progress_prints_retry_outside_of_job_without_stage(clock):
    stream = io.StringIO()
    JobProgress(OPUS, stream, clock=clock)(retried())
    assert stream.getvalue() == "    0.0 s  status again in 1.2 s (server error: HTTP 502)\n"


@pytest.mark.parametrize(
    ("events", "told", "remaining"),
    [
        ([], False, "no job was started."),
        ([moved("schema"), moved("done")], False, "no job was started."),
        ([moved("initiate"), moved("done")], False, "no job was started."),
        ([moved("execute", "2514"), moved("done", "2514")], True, "job 2514 goes on remotely, and is billed"),
        ([moved("watch", "2514"), seen("WAITING")], False, "job 2514 goes on remotely, and is billed"),
        ([moved("watch", "2514"), moved("results", "2514")], False, "job 2514 has ended; to wait"),
        ([moved("watch", "2514"), moved("done", "2514", "FAILED")], True, "job 2514 has ended; to wait"),
    ],
)
def test_job_progress_prints_done_only_with_job_id_and_tells_what_goes_on(clock, events, told, remaining):
    stream = io.StringIO()
    story = JobProgress(OPUS, stream, clock=clock)
    for event in events:
        story(event)
    assert ("done" in stream.getvalue()) is told
    assert story.remaining().startswith(remaining)


def test_job_progress_survives_broken_pipe(clock):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    JobProgress(OPUS, Gone(), clock=clock)(retried())


@pytest.fixture(scope="module")
def parked():
    """An Opus where every job waits for a person, who comes after three seconds."""
    config = SimulatorConfig(run_time=0, queue_time=0, waiting_share=1, waiting_time=3)
    with SimulatorThread(config) as process:
        yield leading_to(process)


def test_job_progress_on_terminal_shows_job_waiting_for_a_person(parked, tmp_path):
    drawn, code = Terminal(*TEXT, cwd=tmp_path, **parked).read()
    assert code == 0
    ticks = re.findall(rf"\r\x1b\[K +(\d+\.\d) s  watch     {PARKED}", drawn)
    assert len(ticks) > 3
    assert ticks == sorted(ticks, key=float)
    rest = drawn[drawn.rindex(PARKED) :].replace(ERASE, "\n")
    assert [line.split()[2] for line in rest.splitlines() if " s  " in line] == ["results", "done"]


def test_job_progress_in_log_shows_job_waiting_for_a_person(opus, parked):
    said = opus(*TEXT, env=parked)
    assert said.code == 0
    assert said.err.count(f"  watch     {PARKED}\n") == 1


def test_job_progress_prints_plain_lines_on_terminal_if_ci_or_dumb(parked, tmp_path):
    drawn, code = Terminal(*TEXT, cwd=tmp_path, **parked, CI="true").read()
    assert code == 0
    assert "\x1b" not in drawn
    assert drawn.count(f"  watch     {PARKED}") == 1
