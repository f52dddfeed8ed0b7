"""The runner with a platform and a ledger made of plain Python, on a clock of its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from fake_platform import FakePlatform
from plain_ledger import PlainLedger
from runner_session import Session
from second_platform import SecondPlatform, Server

from opus_async.batch.ports import WorkerLease
from opus_async.batch.rows import RowState
from opus_async.batch.running.local_shard import SHARD
from opus_async.errors import AuthenticationError, ServerError, TransportError, ValidationFailed
from opus_async.exits import Exit
from opus_async.jobs.shutdown import ShutdownMode, StopKind
from opus_async.jobs.start_rate import StartRate
from opus_async.models import JobStatus
from opus_async.platform import AmbiguousStart


def test_runner_runs_all_rows_within_max_in_flight():
    session = Session(PlainLedger(3 * SHARD), FakePlatform(step=0.1, run_time=5))
    session.run()
    assert session.states == {"completed": 3 * SHARD}
    rounds = 3 * SHARD / 10
    assert session.took == pytest.approx(rounds * 5.6, rel=0.25)
    assert set(session.platform.starts.values()) == {1}


def test_runner_keeps_no_task_of_rows_whose_jobs_are_watched():
    session = Session(PlainLedger(500), FakePlatform(step=0.1, run_time=60), max_in_flight=400)
    working = []

    def count():
        names = [task.get_name() for task in asyncio.all_tasks()]
        working.append(sum(name.startswith("opus_async row") for name in names))

    session.run((0.05, count), (30, count))
    assert working == [400, 0]
    assert session.states == {"completed": 500}


def test_runner_starts_rows_no_faster_than_start_rate(platform_class):
    session = Session(
        PlainLedger(40), platform_class(step=0, run_time=0), max_in_flight=40, limiter=StartRate(4.0)
    )
    session.run()
    assert session.states == {"completed": 40}
    assert session.took >= 39 / 4.0 - 0.3


def test_runner_interrupt_waits_only_for_rows_near_their_end():
    session = Session(PlainLedger(200), FakePlatform(step=0.01, run_time=20), drain_seconds=8)
    session.run((50, session.control.interrupt))
    assert session.states["planned"] == 200 - 30
    assert session.states["completed"] == 20  # the third round had just been half its way
    assert session.states["running"] == 10
    assert session.drained == [0]
    assert session.took < 51

    near = Session(PlainLedger(200), FakePlatform(step=0.01, run_time=20), drain_seconds=8)
    near.run((57, near.control.interrupt))
    assert near.states["completed"] == 30
    assert near.drained == [10]
    assert near.took < 57 + 8


def test_runner_second_interrupt_leaves_at_once(platform_class):
    session = Session(PlainLedger(50), platform_class(step=0.01, run_time=20))
    session.run((19, session.control.interrupt), (19.2, session.control.interrupt))
    assert session.took < 19.3
    assert session.states == {"running": 10, "planned": 40}


def test_runner_interrupt_releases_rows_before_their_start(platform_class):
    platform = platform_class(step=5, run_time=1)
    ledger = PlainLedger(30)
    for index in range(5):  # of an earlier session
        ledger.rows[index] = replace(ledger.rows[index], remote_id=f"job-{index}", generation="f0")
    session = Session(ledger, platform)
    session.run((3, session.control.interrupt))
    assert session.states == {"planned": 30}
    assert platform.count("start") == platform.count("create") == 0
    assert [row.remote_id for row in ledger.rows.values() if row.remote_id] == [
        f"job-{index}" for index in range(5)
    ]


def test_runner_interrupt_waits_for_start_request_under_way():
    platform = FakePlatform(step=5, run_time=1)
    session = Session(PlainLedger(30), platform)
    session.run((18, session.control.interrupt))  # bind, prepare and create took 15 s
    assert session.states == {"completed": 10, "planned": 20}


def test_runner_continues_running_rows_of_earlier_session(platform_class):
    ledger, platform = PlainLedger(10), platform_class(step=0.01, run_time=20)
    first = Session(ledger, platform)
    first.run((5, first.control.interrupt), (5, first.control.interrupt))
    assert first.states == {"running": 10}
    platform.started = dict.fromkeys(platform.started, -100.0)
    second = Session(ledger, platform)
    second.run()
    assert second.states == {"completed": 10}
    assert set(platform.starts.values()) == {1}


def test_runner_halts_on_full_disk_and_starts_no_more_jobs(platform_class):
    ledger, platform = PlainLedger(100), platform_class(step=0.1, run_time=3)
    session = Session(ledger, platform)

    def fill():
        ledger.full = True

    session.run((5, fill))
    assert session.control.reason.exit is Exit.HALTED
    assert session.control.reason.kind is StopKind.DISK_FULL
    assert platform.count("start") == ledger.counts().completed + ledger.counts().running


def test_runner_stops_on_refused_key_without_failing_rows(platform_class):
    platform = platform_class(step=0.01, run_time=1)
    platform.fail["create"] = lambda bound: (
        AuthenticationError("no", status=401) if bound["n"] >= 20 else None
    )
    session = Session(PlainLedger(100), platform)
    session.run()
    assert session.control.reason.exit is Exit.NOT_ALLOWED
    assert set(session.states) == {"completed", "planned"}


def test_runner_continues_when_single_rows_fail(platform_class):
    platform = platform_class(step=0.01, run_time=1)
    platform.fail["start"] = lambda remote_id: (
        ValidationFailed("no", status=400) if remote_id.endswith("3") else None
    )
    session = Session(PlainLedger(50), platform)
    session.run()
    assert session.states == {"completed": 45, "failed": 5}


def test_runner_unexpected_exception_fails_only_its_row(platform_class):
    platform = platform_class(step=0.01, run_time=1)
    platform.fail["prepare"] = lambda bound: ZeroDivisionError("oh") if bound["n"] == 7 else None
    session = Session(PlainLedger(20), platform)
    session.run()
    assert session.states == {"completed": 19, "failed": 1}
    assert "ZeroDivisionError" in session.ledger.endings[7].error


def test_runner_ambiguous_start_is_unknown_after_three_start_requests(platform_class):
    platform = platform_class(step=0.01, run_time=1)
    platform.fail["start"] = lambda _: AmbiguousStart(TransportError("lost", request_sent=True))
    platform.fail["check_started"] = lambda _: None
    session = Session(PlainLedger(1), platform)
    session.run()
    assert session.states == {"unknown": 1}
    assert platform.starts == {"job-0": 3}  # as often as one job may be ordered, and not again


@pytest.mark.parametrize(("halt", "in_flight"), [("soon,fail=3", 0), ("now,fail=3", 7)])
def test_runner_halt_policy_soon_finishes_rows_and_now_leaves_them(halt, in_flight, platform_class):
    platform = platform_class(step=0.01, run_time=20)
    platform.fail["bind"] = lambda inputs: ServerError("no", status=500) if inputs["n"] in {0, 1, 2} else None
    session = Session(PlainLedger(100), platform, halt=halt)
    session.run()
    assert session.control.mode is (
        ShutdownMode.STOP_ADMITTING if halt.startswith("soon") else ShutdownMode.CANCEL
    )
    assert session.ledger.counts().failed == 3
    assert session.ledger.counts().in_flight <= in_flight
    assert session.ledger.counts().planned >= 80


def test_runner_parks_paused_rows_with_alias_and_continues_when_answered():
    platform = SecondPlatform(step=0.01, run_time=1)
    platform.server.pauses.update({f"job-{n}": 1 for n in range(5)})
    ledger = PlainLedger(20)
    session = Session(ledger, platform, max_in_flight=4)
    parked = []

    def answer():
        parked.extend(row for row in ledger.rows.values() if row.state is RowState.WAITING)
        for name in platform.server.pauses:
            platform.server.pauses[name] = 0

    session.run((3600, answer))
    assert session.states == {"completed": 20}
    assert {(row.remote_id, row.alias) for row in parked} == {
        (f"job-{n}", f"run-of-job-{n}") for n in range(5)
    }
    assert set(platform.starts.values()) == {1}
    assert len(ledger.endings) == 20


def test_runner_lost_start_answers_on_slow_platform_start_no_row_twice():
    platform = SecondPlatform(step=0.01, run_time=1, server=Server(listed_after=600), judges_by_order=True)
    platform.start_visible_after = 5.0
    platform.lost_answers |= {f"job-{n}" for n in range(0, 100, 7)}
    session = Session(PlainLedger(100), platform, max_in_flight=50)
    session.run()
    assert session.states == {"completed": 100}
    assert set(platform.starts.values()) == {1}


def test_runner_rows_waiting_for_a_person_hold_no_slot_and_are_polled_rarely():
    platform = FakePlatform(step=0.01, run_time=1)
    looks = []
    poll = platform.poll

    async def some_wait(workflow_id, remote_ids):
        now = asyncio.get_running_loop().time()
        seen = dict(await poll(workflow_id, remote_ids))
        for remote_id in remote_ids:
            if int(remote_id.partition("-")[2]) < 15 and now < 3600:
                looks.append(remote_id)
                seen[remote_id] = JobStatus.WAITING
        return seen

    platform.poll = some_wait
    session = Session(PlainLedger(60), platform, max_in_flight=5)
    session.run()
    assert session.states == {"completed": 60}
    ended = [number for what, number in session.ledger.told if what == "completed"]
    assert set(ended[:45]) == set(range(15, 60))  # the others were not held up
    assert len(looks) < 15 * 60
    assert session.ledger.rows[0].state is RowState.COMPLETED


def revoking(ledger):
    def revoke():
        for epoch in list(ledger._leases._granted):
            ledger._leases.revoke(WorkerLease("local", epoch))

    return revoke


@pytest.mark.parametrize(
    ("step", "run_time", "revoked_at"),
    [(5, 1, 12), (5, 1, 7), (0.01, 20, 5)],
    ids=["create", "prepare", "run"],
)
def test_runner_rows_of_revoked_lease_are_leased_again_and_started_once(step, run_time, revoked_at):
    ledger, platform = PlainLedger(10), FakePlatform(step=step, run_time=run_time)
    session = Session(ledger, platform)
    session.run((revoked_at, revoking(ledger)))
    assert session.states == {"completed": 10}
    assert len(platform.starts) == platform.count("start") == 10
    assert session.reported.ended == {RowState.COMPLETED: 10}


def test_runner_sends_no_start_request_if_lease_ends_before_acknowledgement():
    ledger, platform = PlainLedger(1), FakePlatform(step=1, run_time=1)
    start_intent, intents = ledger.start_intent, []

    async def revoked_first(lease, *job):
        if not intents:
            revoking(ledger)()
        intents.append(await start_intent(lease, *job))
        return intents[-1]

    ledger.start_intent = revoked_first
    session = Session(ledger, platform)
    session.run()
    assert [intent.value for intent in intents] == ["lease_ended", "written"]
    assert platform.count("start") == 1
    assert session.states == {"completed": 1}


def test_runner_reports_orphaned_jobs_of_this_session_only():
    platform = FakePlatform(step=5, run_time=1)
    session = Session(PlainLedger(10), platform)
    platform.orphaned_jobs = 3  # of an earlier session of this platform
    session.run((3, lambda: setattr(platform, "orphaned_jobs", 5)))
    assert session.reported.orphaned_jobs == 2
