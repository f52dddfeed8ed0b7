"""The ledger through a batch: sessions, what is handed out and in which order, and what each step leaves."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from dataclasses import replace

import pytest
from ledger_tools import (
    START,
    TIMINGS,
    Hands,
    columns,
    complete,
    completed,
    created,
    flushed,
    new_row,
    new_rows,
    not_completed,
    opened,
    order,
    plan,
    results,
    select,
    take,
)

from opus_async import __version__
from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ports import Receipt
from opus_async.batch.rows import FetchedFile, Row, RowState
from opus_async.errors import LedgerError, ManifestError
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Sample
from opus_async.platform import IdTaken


async def test_ledger_keeps_job_alias_until_job_is_superseded(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.ordering(row, "session-1", "v1")
        await ledger.journal.job_identified(row.held, "run-1")
        await ledger.journal.start_accepted(row.held)
        ledger.queue.release(row)
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        assert (row.remote_id, row.alias) == ("session-1", "run-1")
        await ledger.journal.job_superseded(row.held)
        await ledger.ordering(row.without_job(), "session-2", "v1")
        found = await ledger.row("key-0")
        assert found is not None
        assert (found.remote_id, found.alias) == ("session-2", None)


async def test_ledger_records_row_from_plan_to_completion(tmp_path):
    hands = Hands()
    async with created(tmp_path, 1, clock=hands.clock()) as ledger:
        session = await ledger.begin_session({"max_in_flight": 5})
        (row,) = await take(ledger, 10)
        assert row == Row(id=row.id, index=0, key="key-0", cells={"Number": "0"}, attempts=1)
        hands.go_on(1)
        await ledger.journal.begun(row.held)
        hands.go_on(1)
        await ledger.journal.job_created(row.held, "job-1", "v0")
        await ledger.ordering(row, "job-1", "v0")
        assert columns(tmp_path, "key-0", "state", "remote_id", "generation", "orders", "ordered_at") == (
            ("ordering", "job-1", "v0", 1, START + 2)
        )
        hands.go_on(1)
        await ledger.journal.start_accepted(row.held)
        await ledger.journal.status_seen(row.held, "IN_PROGRESS")
        await flushed(ledger)
        assert columns(tmp_path, "key-0", "state", "status") == ("running", "IN_PROGRESS")
        hands.go_on(3)
        await ledger.journal.finished(row.held, completed(row, {"Verdict": "good"}))
        found = await ledger.row("key-0")
        assert ledger.counts() == Counts(completed=1)
    assert found is not None
    assert (found.state, found.status, found.attempts) == (RowState.COMPLETED, "COMPLETED", 1)
    assert found.timings == TIMINGS
    assert (found.started_at, found.orders) == (START + 1, 1)
    assert columns(tmp_path, "key-0", "ended_at", "stage", "session", "error") == (
        (START + 6, "results", session, None)
    )
    (line,) = results(tmp_path)
    assert (line["key"], line["outputs"]) == ("key-0", {"Verdict": "good"})
    assert select(tmp_path, "SELECT at, session, row, state, note FROM history ORDER BY id") == [
        (START + 2, session, row.id, "ordering", None),
        (START + 3, session, row.id, "running", None),
        (START + 6, session, row.id, "completed", None),
    ]


async def test_ledger_awaited_changes_are_in_files_on_return(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.ordering(row, "job-1", "v0")
        assert columns(tmp_path, "key-0", "state") == ("ordering",)
        await ledger.journal.finished(row.held, completed(row))
        assert columns(tmp_path, "key-0", "state") == ("completed",)
        assert len(results(tmp_path)) == 1


async def test_ledger_changes_nobody_awaits_are_written_soon(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        written = asyncio.Event()
        await ledger.journal.begun(row.held)
        ledger._writer.submit(lambda _: None, lambda _: written.set())
        async with asyncio.timeout(10):
            await written.wait()
        assert columns(tmp_path, "key-0", "attempts") == (1,)


async def test_ledger_sessions_record_process_and_reason_of_end(tmp_path):
    hands = Hands()
    async with created(tmp_path, 1, clock=hands.clock()) as ledger:
        first = await ledger.begin_session({"max_in_flight": 5})
        hands.go_on(60)
        await ledger.end_session(ended_because="finished", exit_code=0, stray_shells=2, uploads_saved=3)
    hands.go_on(60)
    async with opened(tmp_path, clock=hands.clock()) as ledger:
        second = await ledger.begin_session({})
    assert (first, second) == (1, 2)
    host, pid = socket.gethostname(), os.getpid()
    assert select(tmp_path, "SELECT * FROM sessions ORDER BY id") == [
        (1, START, START + 60, pid, host, __version__, '{"max_in_flight": 5}', "finished", 0, 2, None, 3),
        (2, START + 120, None, pid, host, __version__, "{}", None, None, None, None, None),
    ]


async def test_ledger_refuses_session_before_publish(tmp_path):
    ledger = await SqliteLedger.create(tmp_path, {})
    with pytest.raises(RuntimeError, match="publish"):
        await ledger.begin_session({})
    await ledger.close()


# What is handed out


async def test_ledger_hands_out_rows_once_in_manifest_order(tmp_path):
    async with created(tmp_path, [new_row(index) for index in (4, 0, 3, 1, 2)]) as ledger:
        await ledger.begin_session({})
        taken = [row.index for count in (2, 2, 2, 2) for row in await take(ledger, count)]
    assert taken == [0, 1, 2, 3, 4]


async def test_ledger_hands_out_started_rows_then_due_ones_then_planned_ones(tmp_path):
    hands = Hands()
    async with created(tmp_path, 8, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 7)
        await ledger.ordering(rows[5], "job-5", "v0")
        await order(ledger, rows[4])
        await ledger.journal.finished(rows[3].held, not_completed(RowState.UNKNOWN, remote_id="job-3"))
        await ledger.journal.finished(
            rows[2].held,
            not_completed(RowState.UNKNOWN),
            # no job is known: only a person can tell
        )
        await ledger.journal.parked(rows[1].held, status="WAITING", poll_in=10, timings={})
        await ledger.journal.parked(rows[0].held, status="WAITING", poll_in=900, timings={})
    hands.go_on(60)
    async with opened(tmp_path, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        taken = [(row.index, row.state) for _ in range(6) for row in await take(ledger, 1)]
        assert taken == [
            (5, RowState.ORDERING),
            (4, RowState.RUNNING),
            (3, RowState.UNKNOWN),
            (1, RowState.WAITING),
            (6, RowState.PLANNED),
            (7, RowState.PLANNED),
        ]
        assert ledger.queue.next_due() == pytest.approx(840)


async def test_ledger_hands_out_started_and_planned_rows_in_one_call(tmp_path):
    async with created(tmp_path, 4) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 2)
        for row in rows:
            await order(ledger, row)
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        assert [row.index for row in await take(ledger, 3)] == [0, 1, 2]
        assert [row.index for row in await take(ledger, 3)] == [3]
        assert list(await take(ledger, 3)) == []


async def test_ledger_row_tells_progress_of_earlier_session(tmp_path):
    hands = Hands()
    async with created(tmp_path, 1, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await order(ledger, row)
        await ledger.journal.status_seen(row.held, "IN_PROGRESS")
        ledger.queue.release(row)
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
    assert row == Row(
        id=row.id,
        index=0,
        key="key-0",
        cells={"Number": "0"},
        state=RowState.RUNNING,
        remote_id="job-key-0",
        generation="v0",
        status="IN_PROGRESS",
        orders=1,
        attempts=1,
        started_at=START,
    )


async def test_ledger_row_keeps_job_created_but_not_started(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.journal.begun(row.held)
        await ledger.journal.job_created(row.held, "shell-1", "v1")
        ledger.queue.release(row)
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
    assert (row.state, row.remote_id, row.generation, row.orders) == (RowState.PLANNED, "shell-1", "v1", 0)


async def test_ledger_concurrent_lease_calls_never_share_a_row(tmp_path):
    async with created(tmp_path, 500) as ledger:
        await ledger.begin_session({})
        shards = await asyncio.gather(*(take(ledger, 7) for _ in range(80)))
    taken = [row.index for shard in shards for row in shard]
    assert sorted(taken) == list(range(500))


async def test_ledger_counts_one_attempt_per_retry_not_per_resume(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        row, _ = await take(ledger, 2)
        await ledger.journal.begun(row.held)
        await flushed(ledger)
        assert select(tmp_path, "SELECT attempts FROM rows ORDER BY position") == [(1,), (0,)]
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        row, _ = await take(ledger, 2)
        assert row.attempts == 1
        await ledger.journal.begun(row.held)
        await ledger.journal.finished(row.held, not_completed(RowState.FAILED))
        assert await ledger.retry([RowState.FAILED]) == 1
        await ledger.begin_session({})
        row, _ = await take(ledger, 2)
        assert (row.attempts, row.started_at) == (2, None)
        await ledger.journal.begun(row.held)
        await flushed(ledger)
    assert select(tmp_path, "SELECT attempts FROM rows ORDER BY position") == [(2,), (0,)]


# Rows that wait for a person


async def test_ledger_parked_row_is_handed_out_once_per_due_time(tmp_path):
    hands = Hands()
    async with created(tmp_path, 1, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await order(ledger, row)
        assert ledger.queue.next_due() is None
        await ledger.journal.parked(row.held, status="WAITING", poll_in=30, timings={"watch": 2.0})
        assert ledger.counts() == Counts(waiting=1)
        assert ledger.queue.next_due() == pytest.approx(30)
        assert list(await take(ledger, 1)) == []
        hands.go_on(31)
        assert ledger.queue.next_due() == 0
        (again,) = await take(ledger, 1)
        assert ledger.queue.next_due() is None
        assert list(await take(ledger, 1)) == []
        assert (again.state, again.waiting_since, again.timings) == (RowState.WAITING, START, {"watch": 2.0})
        await ledger.journal.status_seen(again.held, "WAITING")
        await ledger.journal.parked(again.held, status="WAITING", poll_in=60, timings={"watch": 3.0})
        hands.go_on(61)
        (again,) = await take(ledger, 1)
    assert again.waiting_since == START
    assert select(tmp_path, "SELECT state FROM history ORDER BY id") == [
        ("ordering",),
        ("running",),
        ("waiting",),
    ]


async def test_ledger_next_due_is_that_of_earliest_parked_row(tmp_path):
    hands = Hands()
    async with created(tmp_path, 3, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 3)
        for row, seconds in zip(rows, (50, 20, 80), strict=True):
            await ledger.journal.parked(row.held, status="WAITING", poll_in=seconds, timings={})
        assert ledger.queue.next_due() == pytest.approx(20)
        hands.go_on(21)
        await take(ledger, 3)
        assert ledger.queue.next_due() == pytest.approx(29)


async def test_ledger_parked_row_is_running_after_status_changes(tmp_path):
    hands = Hands()
    async with created(tmp_path, 1, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.journal.parked(row.held, status="WAITING", poll_in=1, timings={})
        hands.go_on(2)
        (row,) = await take(ledger, 1)
        await ledger.journal.status_seen(row.held, "IN_PROGRESS")
        assert ledger.counts() == Counts(running=1)
        await flushed(ledger)
        assert columns(tmp_path, "key-0", "state", "status", "waiting_since") == (
            "running",
            "IN_PROGRESS",
            None,
        )
        await ledger.journal.finished(row.held, completed(row))
        assert ledger.counts() == Counts(completed=1)
        assert ledger.queue.next_due() is None


async def test_ledger_parked_row_handed_out_at_process_death_is_due_at_once(tmp_path):
    hands = Hands()
    async with created(tmp_path, 1, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.journal.parked(row.held, status="WAITING", poll_in=5, timings={})
        hands.go_on(6)
        await take(ledger, 1)
    async with opened(tmp_path, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        assert [row.state for row in await take(ledger, 1)] == [RowState.WAITING]


@pytest.mark.parametrize("jump", [-86_400, 86_400])
async def test_ledger_times_ignore_wall_clock_jump_within_session(tmp_path, jump):
    hands = Hands()
    async with created(tmp_path, 2, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        row, other = await take(ledger, 2)
        await ledger.journal.parked(row.held, status="WAITING", poll_in=30, timings={})
        hands.wall += jump
        hands.ticks += 10
        assert ledger.queue.next_due() == pytest.approx(20)
        assert ledger.now() == START + 10
        await complete(ledger, other)
        hands.ticks += 21
        assert [row.index for row in await take(ledger, 1)] == [0]
    assert columns(tmp_path, "key-1", "started_at", "ended_at") == (START + 10, START + 10)


async def test_ledger_parked_row_due_far_ahead_by_wrong_clock_is_due_at_once(tmp_path):
    hands = Hands()
    hands.wall = START + 365 * 86_400
    async with created(tmp_path, 1, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.journal.parked(row.held, status="WAITING", poll_in=60, timings={})
    hands.wall = START
    async with opened(tmp_path, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        assert ledger.queue.next_due() == 0
        assert len(await take(ledger, 1)) == 1


# How rows end


async def test_ledger_records_each_end_state_with_reason(tmp_path):
    states = [RowState.FAILED, RowState.CANCELLED, RowState.TIMED_OUT, RowState.UNKNOWN]
    async with created(tmp_path, 4) as ledger:
        await ledger.begin_session({})
        for row, state in zip(await take(ledger, 4), states, strict=True):
            await order(ledger, row)
            await ledger.journal.finished(row.held, not_completed(state, timings=TIMINGS))
        assert ledger.counts() == Counts(failed=1, cancelled=1, timed_out=1, unknown=1)
    assert select(
        tmp_path, "SELECT state, status, stage, error, error_type, cause FROM rows ORDER BY id"
    ) == [
        (state, status, "watch", f"it is {state}", "JobFailed", f"the job is {state}")
        for state, status in zip(states, ["FAILED", "CANCELLED", "TIMED_OUT", None], strict=True)
    ]
    assert results(tmp_path) == []


async def test_ledger_end_without_job_id_keeps_known_job_id(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await order(ledger, row)
        await ledger.journal.finished(row.held, not_completed(RowState.FAILED, remote_id=None))
    assert columns(tmp_path, "key-0", "remote_id") == ("job-key-0",)


async def test_ledger_unknown_end_keeps_last_platform_status(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        for row, state in zip(await take(ledger, 2), (RowState.UNKNOWN, RowState.FAILED), strict=True):
            await order(ledger, row)
            await ledger.journal.status_seen(row.held, "IN_PROGRESS")
            await ledger.journal.finished(row.held, not_completed(state, status=None))
    assert columns(tmp_path, "key-0", "status") == ("IN_PROGRESS",)
    assert columns(tmp_path, "key-1", "status") == (None,)  # proved never started


async def test_ledger_records_downloaded_files_with_result(tmp_path):
    files = (FetchedFile(name="Report", path="outputs/key-0/a.pdf", size=7, sha256="ab"),)
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.journal.finished(row.held, replace(completed(row), files=files))
    assert select(tmp_path, "SELECT * FROM downloads") == [(1, "Report", "outputs/key-0/a.pdf", 7, "ab")]


async def test_ledger_ignores_changes_to_ended_row(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await complete(ledger, row)
        await ledger.journal.status_seen(row.held, "IN_PROGRESS")
        await ledger.journal.start_accepted(row.held)
        ledger.queue.release(row)
        assert await ledger.journal.finished(row.held, completed(row)) is Receipt.LEASE_ENDED
        await flushed(ledger)
        assert ledger.counts() == Counts(completed=1)
    assert columns(tmp_path, "key-0", "state", "status") == ("completed", "COMPLETED")
    assert len(results(tmp_path)) == 1


async def test_ledger_keeps_result_whose_caller_was_cancelled(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        ending = asyncio.create_task(ledger.journal.finished(row.held, completed(row)))
        await asyncio.sleep(0)
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        ledger.queue.release(row)
    assert columns(tmp_path, "key-0", "state") == ("completed",)
    assert len(results(tmp_path)) == 1


async def test_ledger_counts_are_exact_before_write_is_durable(tmp_path):
    async with created(tmp_path, 3) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 3)
        ordering = asyncio.create_task(ledger.ordering(rows[0], "job", "v0"))
        await asyncio.sleep(0)
        assert ledger.counts() == Counts(planned=2, ordering=1)
        await ordering
        await ledger.journal.start_accepted(rows[0].held)
        assert ledger.counts() == Counts(planned=2, running=1)
    async with opened(tmp_path) as ledger:
        assert ledger.counts() == Counts(planned=2, running=1)


async def test_ledger_stores_samples(tmp_path):
    hands = Hands()
    sample = Sample(elapsed=5, in_flight=3, waiting=1, completed=2, not_completed=0, inside={"watch": 3})
    async with created(tmp_path, clock=hands.clock()) as ledger:
        session = await ledger.begin_session({})
        hands.go_on(5)
        ledger.sample(sample)
    ((at, of, data),) = select(tmp_path, "SELECT at, session, data FROM samples")
    assert (at, of) == (START + 5, session)
    assert Sample(**json.loads(data)) == sample


# What is tried again, and what a person decides


async def ended_in_every_way(ledger: SqliteLedger) -> None:
    """Row 0 completed, 1 failed, 2 cancelled, 3 timed out, 4 and 5 unknown, 6 planned."""
    await ledger.begin_session({})
    rows = await take(ledger, 6)
    states = [RowState.FAILED, RowState.CANCELLED, RowState.TIMED_OUT, RowState.UNKNOWN, RowState.UNKNOWN]
    await complete(ledger, rows[0])
    for row, state in zip(rows[1:], states, strict=True):
        await order(ledger, row, accepted=state is not RowState.UNKNOWN)
        await ledger.journal.finished(row.held, not_completed(state, timings=TIMINGS))
    await ledger.end_session(ended_because="finished", exit_code=5, stray_shells=0, uploads_saved=0)


async def test_ledger_retry_resets_row_but_keeps_its_job(tmp_path):
    async with created(tmp_path, 7) as ledger:
        await ended_in_every_way(ledger)
        assert await ledger.retry([RowState.FAILED, RowState.CANCELLED]) == 2
        assert ledger.counts() == Counts(planned=3, completed=1, timed_out=1, unknown=2)
        await ledger.begin_session({})
        rows = [row for row in await take(ledger, 9) if row.state is RowState.PLANNED]
    assert [row.index for row in rows] == [1, 2, 6]
    assert rows[0] == Row(
        id=2,
        index=1,
        key="key-1",
        cells={"Number": "1"},
        attempts=2,
        remote_id="job-key-1",
        generation="v0",
        status="FAILED",
        orders=1,
        retried_from=RowState.FAILED,
    )
    assert [row.asks_first for row in rows] == [True, True, False]
    emptied = columns(tmp_path, "key-1", "error", "error_type", "cause", "stage", "ended_at")
    assert emptied == (None,) * 5
    assert select(tmp_path, "SELECT state, note FROM history WHERE row = 2 ORDER BY id") == [
        ("ordering", None),
        ("running", None),
        ("failed", None),
        ("planned", "to be tried again; its job job-key-1 is asked first"),
    ]
    assert columns(tmp_path, "key-1", "orders", "orders_before", "retries") == (1, 0, 1)


async def test_ledger_never_starts_superseded_job_again(tmp_path):
    async with created(tmp_path, 7) as ledger:
        await ended_in_every_way(ledger)
        await ledger.retry([RowState.FAILED])
        await ledger.begin_session({})
        rows = {row.index: row for row in await take(ledger, 9)}
        await ledger.journal.job_superseded(rows[1].held)
        for row in (rows[1], rows[6]):
            with pytest.raises(IdTaken, match="job-key-1"):
                await ledger.ordering(row, "job-key-1", "v0")
        assert ledger.counts() == Counts(planned=2, completed=1, cancelled=1, timed_out=1, unknown=2)
        await ledger.ordering(rows[1], "another", "v0")
    assert columns(tmp_path, "key-1", "state", "remote_id", "orders", "orders_before") == (
        ("ordering", "another", 1, 1)
    )
    assert columns(tmp_path, "key-6", "state", "remote_id", "orders") == ("planned", None, 0)


async def test_ledger_gives_job_id_claimed_by_two_rows_to_the_first(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        one, two = await take(ledger, 2)
        await ledger.journal.job_created(one.held, "same", "v0")
        await ledger.journal.job_created(two.held, "same", "v0")
        ordered = await asyncio.gather(
            ledger.ordering(one, "same", "v0"),
            ledger.ordering(two, "same", "v0"),
            return_exceptions=True,
        )
        assert [type(each) for each in ordered] == [type(None), IdTaken]
        assert ledger.counts() == Counts(planned=1, ordering=1)
        await ledger.ordering(one, "same", "v0")  # once more, for the same row
    assert select(tmp_path, "SELECT remote_id, orders FROM rows ORDER BY id") == [("same", 2), (None, 0)]
    assert select(tmp_path, "SELECT row, state FROM history") == [(1, "ordering"), (1, "ordering")]
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 2)
        with pytest.raises(IdTaken):
            await ledger.ordering(rows[1], "same", "v0")


@pytest.mark.parametrize("in_one_commit", [True, False])
async def test_ledger_row_is_begun_when_it_was_even_if_its_order_is_refused(tmp_path, in_one_commit):
    hands = Hands()
    async with created(tmp_path, 2, clock=hands.clock()) as ledger:
        session = await ledger.begin_session({})
        rows = await take(ledger, 2)
        for row in rows:
            await ledger.journal.begun(row.held)
            await ledger.journal.job_created(row.held, "same", "v0")
        if not in_one_commit:
            await flushed(ledger)
        hands.go_on(5)
        ordering = (ledger.ordering(row, "same", "v0") for row in rows)
        ordered = await asyncio.gather(*ordering, return_exceptions=True)
        assert [type(each) for each in ordered] == [type(None), IdTaken]
    asked = ("started_at", "attempts", "session", "ordered_at")
    assert columns(tmp_path, "key-0", *asked) == (START, 1, session, START + 5)
    assert columns(tmp_path, "key-1", *asked) == (START, 1, session, None)


async def test_ledger_rows_with_jobs_of_other_host_or_workflow_are_elsewhere(tmp_path):
    here = {"host": "here", "workflow_id": "w", "live_version": 1}
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({}, world=here)
        shell, running = await take(ledger, 2)
        await ledger.journal.job_created(shell.held, "1", "v0")
        await ledger.ordering(running, "2", "v0")
    for world, elsewhere, strangers in (
        (here, False, 0),
        ({**here, "live_version": None}, False, 0),
        ({**here, "live_version": 2}, True, 0),
        ({**here, "workflow_id": "v"}, True, 0),
        ({**here, "host": "there"}, True, 1),
    ):
        async with opened(tmp_path) as ledger:
            assert sum(found.rows for found in await ledger.strangers(world)) == strangers
            await ledger.begin_session({}, world=world)
            assert [row.elsewhere for row in await take(ledger, 2)] == [elsewhere] * 2
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({}, world={**here, "host": "there"})
        _, other = await take(ledger, 2)
        await ledger.ordering(other, "2", "v0")  # an id there is another job's than the same one here


@pytest.mark.parametrize("state", [RowState.COMPLETED, RowState.RUNNING, RowState.PLANNED])
async def test_ledger_retry_refuses_completed_running_or_planned_rows(tmp_path, state):
    async with created(tmp_path, 7) as ledger:
        await ended_in_every_way(ledger)
        with pytest.raises(ValueError, match=state):
            await ledger.retry([RowState.FAILED, state])
        assert ledger.counts().failed == 1


async def test_ledger_resolve_done_writes_result_line(tmp_path):
    async with created(tmp_path, 7) as ledger:
        await ended_in_every_way(ledger)
        assert await ledger.resolve("done", keys=["key-4"]) == 1
        assert ledger.counts().unknown == 1
    _, line = results(tmp_path)
    assert line == {
        "index": 4,
        "key": "key-4",
        "job_id": "job-key-4",
        "status": "COMPLETED",
        "outputs": {},
        "timings": {},
    }
    assert columns(tmp_path, "key-4", "state", "decided_by", "note", "error") == (
        ("completed", "person", "resolved by a person", None)
    )
    async with opened(tmp_path) as ledger:
        assert ledger.counts().completed == 2


async def test_ledger_resolve_failed_and_retry_set_state_and_note(tmp_path):
    async with created(tmp_path, 7) as ledger:
        await ended_in_every_way(ledger)
        assert await ledger.resolve("failed", keys=["key-4", "key-4"]) == 1
        assert await ledger.resolve("retry") == 1
        assert ledger.counts() == Counts(planned=2, completed=1, failed=2, cancelled=1, timed_out=1)
        assert await ledger.resolve("done") == 0
    assert columns(tmp_path, "key-4", "state", "decided_by", "note", "error") == (
        ("failed", "person", "resolved by a person", "it is unknown")
    )
    assert columns(tmp_path, "key-5", "state", "decided_by", "remote_id", "orders", "retried_from") == (
        ("planned", None, "job-key-5", 1, "failed")
    )
    assert select(tmp_path, "SELECT note FROM history WHERE row = 6 ORDER BY id DESC LIMIT 1") == [
        ("resolved by a person; its job job-key-5 is asked first",)
    ]


@pytest.mark.parametrize("decision", ["failed", "retry"])
@pytest.mark.parametrize("keys", [None, ["key-0", "key-1"]])
@pytest.mark.parametrize("status", ["COMPLETED", "IN_PROGRESS", "WAITING", "PENDING", None])
async def test_ledger_resolve_of_started_row_needs_accept_second_bill(tmp_path, decision, keys, status):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 2):
            await order(ledger, row, accepted=row.index == 1)
            await ledger.journal.finished(
                row.held, not_completed(RowState.UNKNOWN, status=status if row.index else None)
            )
        with pytest.raises(ManifestError, match="accept_second_bill=True") as caught:
            await ledger.resolve(decision, keys=keys)
        how = "accepted" if status in {None, "PENDING"} else status
        assert caught.value.problems == (f"row 'key-1': {how}",)
        assert ledger.counts() == Counts(unknown=2)
        assert await ledger.resolve(decision, keys=["key-0"]) == 1
        assert await ledger.resolve(decision, keys=["key-1"], accept_second_bill=True) == 1


async def test_ledger_resolve_refuses_rows_that_platform_shows_as_started(tmp_path):
    asked = []

    async def ask(jobs):
        asked.append([(job.key, job.remote_id, job.world["host"]) for job in jobs])
        return {"key-1": "IN_PROGRESS"}

    async with created(tmp_path, 3) as ledger:
        await ledger.begin_session({}, world={"host": "here"})
        for row in await take(ledger, 2):
            await order(ledger, row, accepted=False)
            await ledger.journal.finished(row.held, not_completed(RowState.UNKNOWN))
        for decision in ("failed", "retry"):
            with pytest.raises(ManifestError, match="were started") as caught:
                await ledger.resolve(decision, ask=ask)
            assert caught.value.problems == ("row 'key-1': IN_PROGRESS",)
        assert ledger.counts() == Counts(planned=1, unknown=2)
        assert await ledger.resolve("done", keys=["key-0"], ask=ask) == 1
        assert await ledger.resolve("retry", keys=["key-1"], accept_second_bill=True, ask=ask) == 1
    assert asked == [[("key-0", "job-key-0", "here"), ("key-1", "job-key-1", "here")]] * 2


async def test_ledger_resolve_retry_accepts_row_whose_job_was_seen_failed(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await order(ledger, row)
        await ledger.journal.finished(row.held, not_completed(RowState.FAILED))
        await ledger.retry([RowState.FAILED])
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.journal.finished(row.held, not_completed(RowState.UNKNOWN))  # it could not be asked
        assert await ledger.resolve("retry") == 1


async def test_ledger_resolve_done_accepts_row_whose_job_was_seen_completed(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await order(ledger, row)
        await ledger.journal.finished(row.held, not_completed(RowState.UNKNOWN, status="COMPLETED"))
        assert await ledger.resolve("done") == 1
        assert ledger.counts() == Counts(completed=1)


async def test_ledger_resolve_changes_nothing_if_one_key_is_not_unknown(tmp_path):
    async with created(tmp_path, 7) as ledger:
        await ended_in_every_way(ledger)
        with pytest.raises(ManifestError, match="not unknown") as caught:
            await ledger.resolve("done", keys=["key-4", "nobody", "key-0"])
        assert ledger.counts().unknown == 2
    assert caught.value.problems == (
        "there is no row with the key 'nobody'",
        "row 'key-0' is completed, not unknown",
    )


async def test_ledger_resolve_refuses_invalid_decision(tmp_path):
    async with created(tmp_path) as ledger:
        with pytest.raises(ValueError, match="done, retry, failed"):
            await ledger.resolve("maybe")


# What is kept beside the rows


async def test_ledger_stores_and_replaces_facts(tmp_path):
    hands = Hands()
    async with created(tmp_path, facts={"settings": {"rate": 5}}, clock=hands.clock()) as ledger:
        assert ledger.facts == {"schema_version": 2, "created_at": START, "settings": {"rate": 5}}
        await ledger.set_facts(settings={"rate": 6}, stages=["upload", "watch"])
        assert ledger.facts["settings"] == {"rate": 6}
    async with opened(tmp_path) as ledger:
        assert ledger.facts["stages"] == ["upload", "watch"]
        assert ledger.facts["settings"] == {"rate": 6}


async def test_ledger_cache_survives_reopening(tmp_path):
    async with created(tmp_path) as ledger:
        ledger.journal.cache.put("sha256:ab", "https://files.example/1")
        ledger.journal.cache.put("sha256:ab", "https://files.example/2")
        assert await ledger.journal.cache.get("sha256:ab") == "https://files.example/2"
        assert await ledger.journal.cache.get("sha256:cd") is None
    async with opened(tmp_path) as ledger:
        assert await ledger.journal.cache.get("sha256:ab") == "https://files.example/2"


async def test_ledger_stores_file_digests_for_any_file_name_and_inode(tmp_path):
    largest, odd = (1 << 64) - 1, b"caf\xe9.pdf".decode(errors="surrogateescape")
    async with created(tmp_path) as ledger:
        ledger.keep_file("/a.pdf", 10, 1_760_000_000_123_456_789, largest, "ab")
        ledger.keep_file(odd, 11, 5, 1 << 63, "cd")
        known = await ledger.recall_files(["/a.pdf", "/b.pdf", odd])
    assert known == {
        "/a.pdf": (10, 1_760_000_000_123_456_789, largest, "ab"),
        odd: (11, 5, 1 << 63, "cd"),
    }


async def test_ledger_tells_some_files_by_what_their_paths_begin_with(tmp_path):
    inside = {"s3://a/1.pdf", "s3://a/b/2.pdf"}
    async with created(tmp_path) as ledger:
        for path in (*inside, "s3://a-b/3.pdf", "s3://a", "/a.pdf"):
            ledger.keep_file(path, 1, 2, 3, "ab")
        assert set(await ledger.journal.some_files("s3://a/", 9)) == inside
        assert len(await ledger.journal.some_files("s3://a/", 1)) == 1
        others = await ledger.journal.some_files("s3://a/", 9, inside=False)
        assert set(others) == {"s3://a-b/3.pdf", "s3://a", "/a.pdf"}


async def test_ledger_stores_file_digests_before_publish(tmp_path):
    ledger = await SqliteLedger.create(tmp_path, {})
    ledger.keep_file("/a.pdf", 1, 2, 3, "ab")
    await plan(ledger, new_rows(2))
    await ledger.publish()
    await ledger.close()
    async with opened(tmp_path) as ledger:
        assert await ledger.recall_files(["/a.pdf"]) == {"/a.pdf": (1, 2, 3, "ab")}
        assert ledger.counts() == Counts(planned=2)


@pytest.mark.parametrize("odd", ["half \ud83d of a pair", "zero \x00 inside", "déjà vu ✓", 'a "quote"\n', ""])
async def test_ledger_stores_any_text(tmp_path, odd):
    rows = [new_row(0, f"key {odd}", cells={odd: odd}), new_row(1, problem=f"no file {odd}")]
    async with created(tmp_path, rows) as ledger:
        await ledger.begin_session({"odd": odd})
        (row,) = await take(ledger, 2)
        assert row.cells == {odd: odd}
        await ledger.ordering(row, f"job {odd}", "v0")
        await ledger.journal.status_seen(row.held, odd)
        ledger.journal.cache.put(odd, odd)
        await ledger.journal.finished(
            row.held, not_completed(RowState.FAILED, error=odd, cause=odd, status=odd)
        )
        await ledger.end_session(ended_because=odd, exit_code=1, stray_shells=0, uploads_saved=0)
        assert await ledger.row(f"key {odd}") is not None
        again = await plan(ledger, rows)
        assert (again.known, again.new) == (2, 0)
    async with opened(tmp_path) as ledger:
        assert ledger.counts() == Counts(failed=2)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("half \ud83d of a pair", r"half \ud83d of a pair"),
        ("zero \x00 inside", r"zero \x00 inside"),
        (r"zero \u0000 spelt out", r"zero \u0000 spelt out"),
        ("déjà vu ✓", "déjà vu ✓"),
    ],
)
async def test_ledger_escapes_no_more_of_a_row_than_a_database_cannot_hold(tmp_path, text, stored):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        row, beside = await take(ledger, 2)
        await ledger.ordering(row, f"job {text}", "v0")
        await ledger.journal.status_seen(row.held, text)
        await ledger.journal.status_seen(beside.held, "✓")
        await ledger.journal.finished(row.held, not_completed(RowState.UNKNOWN, status=text))
        odd, usual = await ledger.row(row.key), await ledger.row(beside.key)
        assert odd is not None
        assert usual is not None
    assert (odd.remote_id, odd.status, usual.status) == (f"job {stored}", stored, "✓")


async def test_ledger_closed_raises_on_use(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.close()
        with pytest.raises(LedgerError, match="closed"):
            await ledger.begin_session({})
        with pytest.raises(LedgerError, match="closed"):
            ledger.journal.cache.put("a", "b")
        await ledger.close()
