"""What every ledger owes to those who use it: the same tests for SQLite's and for the plain one of tests."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from ledger_tools import Hands, completed, not_completed
from ledger_tools import created as sqlite_ledger
from plain_ledger import PlainLedger

from opus_async.batch.ports import (
    IN_PROCESS,
    LeaseEnded,
    LeaseTerms,
    Receipt,
    RowJournal,
    RowQueue,
    ShardReport,
    WorkerLease,
)
from opus_async.batch.rows import Row, RowState
from opus_async.errors import AuthenticationError
from opus_async.events import FailureClass
from opus_async.metrics.counts import Counts
from opus_async.metrics.event_counts import EventCounts, RetryCause
from opus_async.platform import StartDoubt

BROKEN = RetryCause(FailureClass.BROKEN, None, None)
REMOTE = LeaseTerms(owner="worker 1", seconds=30.0, settle_after=65.0)
OTHER = LeaseTerms(owner="worker 2", seconds=30.0, settle_after=65.0)


@dataclass
class Book:
    """A ledger with a session at work, and the hands of its clock."""

    ledger: Any
    hands: Hands

    @property
    def journal(self) -> RowJournal:
        return self.ledger.journal

    @property
    def queue(self) -> RowQueue:
        return self.ledger.queue

    async def take(self, count: int, terms: LeaseTerms = REMOTE) -> tuple[WorkerLease, list[Row]]:
        lease = await self.queue.grant(terms)
        return lease, list(await self.queue.lease(count, lease))

    async def intend(self, row: Row, job: str | None = None) -> Receipt:
        return await self.journal.start_intent(row.held, job or f"job-{row.key}", "v0")


@asynccontextmanager
async def sqlite(directory, rows) -> AsyncIterator[Book]:
    hands = Hands()
    async with sqlite_ledger(directory, rows, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        yield Book(ledger, hands)


@asynccontextmanager
async def plain(directory, rows) -> AsyncIterator[Book]:
    hands = Hands()
    ledger = PlainLedger(rows, now=hands.clock().now)
    await ledger.begin_session({})
    yield Book(ledger, hands)


@pytest.fixture(params=[sqlite, plain], ids=["sqlite", "plain"])
def book(request, tmp_path):
    return lambda rows: request.param(tmp_path, rows)


async def test_ledger_has_every_method_of_its_ports(book):
    async with book(0) as has:
        for port, part in ((RowJournal, has.journal), (RowQueue, has.queue)):
            assert not {name for name in vars(port) if not name.startswith("_")} - set(dir(part))


async def test_row_journal_records_row_from_lease_to_completion(book):
    async with book(2) as has:
        _, (row, _) = await has.take(5)
        assert (row.index, row.state, row.held.row, row.held.owner) == (
            0,
            RowState.PLANNED,
            row.id,
            "worker 1",
        )
        assert await has.journal.begun(row.held) is Receipt.WRITTEN
        assert await has.journal.job_created(row.held, "job-1", "v0") is Receipt.WRITTEN
        assert await has.journal.start_intent(row.held, "job-1", "v0") is Receipt.WRITTEN
        assert has.queue.counts() == Counts(planned=1, ordering=1)
        assert await has.journal.start_accepted(row.held) is Receipt.WRITTEN
        assert await has.journal.status_seen(row.held, "IN_PROGRESS") is Receipt.WRITTEN
        assert has.queue.counts() == Counts(planned=1, running=1)
        assert await has.journal.finished(row.held, completed(row)) is Receipt.WRITTEN
        assert has.queue.counts() == Counts(planned=1, completed=1)


async def test_row_queue_hands_out_rows_once_and_in_order(book):
    async with book(5) as has:
        _, first = await has.take(2)
        _, second = await has.take(2, OTHER)
        _, third = await has.take(2, OTHER)
        assert [row.index for row in [*first, *second, *third]] == [0, 1, 2, 3, 4]
        assert (await has.take(2))[1] == []


async def test_row_journal_refuses_job_id_of_another_row(book):
    async with book(2) as has:
        _, (one, two) = await has.take(2)
        assert await has.intend(one, "same") is Receipt.WRITTEN
        assert await has.intend(two, "same") is Receipt.ID_TAKEN
        assert has.queue.counts() == Counts(planned=1, ordering=1)
        assert await has.intend(two, "another") is Receipt.WRITTEN


async def test_row_journal_refuses_superseded_job_id(book):
    async with book(1) as has:
        _, (row,) = await has.take(1)
        await has.intend(row, "old")
        assert await has.journal.job_superseded(row.held) is Receipt.WRITTEN
        assert has.queue.counts() == Counts(planned=1)
        assert await has.intend(row, "old") is Receipt.ID_TAKEN


async def test_row_journal_writes_end_of_row_once(book):
    async with book(1) as has:
        _, (row,) = await has.take(1)
        await has.journal.finished(row.held, completed(row))
        assert await has.journal.finished(row.held, not_completed(RowState.FAILED)) is Receipt.LEASE_ENDED
        assert has.queue.counts() == Counts(completed=1)


async def test_row_queue_hands_out_parked_row_when_due(book):
    async with book(1) as has:
        _, (row,) = await has.take(1)
        assert row.waited is None
        await has.intend(row)
        await has.journal.parked(row.held, status="WAITING", poll_in=60.0, timings={"watch": 1.0})
        assert has.queue.counts() == Counts(waiting=1)
        assert has.queue.next_due() == pytest.approx(60)
        assert await has.journal.status_seen(row.held, "IN_PROGRESS") is Receipt.LEASE_ENDED
        has.hands.go_on(90)
        _, (again,) = await has.take(1, OTHER)
        assert (again.state, again.status, again.waited) == (RowState.WAITING, "WAITING", pytest.approx(90))
        assert await has.journal.status_seen(again.held, "IN_PROGRESS") is Receipt.WRITTEN
        assert has.queue.counts() == Counts(running=1)


async def test_row_queue_keeps_released_row_for_later_session(book):
    async with book(1) as has:
        _, (row,) = await has.take(1)
        has.queue.release(row)
        assert await has.journal.begun(row.held) is Receipt.LEASE_ENDED
        assert (await has.take(1))[1] == []
        assert has.queue.next_due() is None
        await has.ledger.end_session(ended_because="over", exit_code=0, stray_shells=0, uploads_saved=0)
        await has.ledger.begin_session({})
        assert [row.index for row in (await has.take(1))[1]] == [0]


async def reports(has: Book, row: Row) -> list[Receipt]:
    """What becomes of everything that a worker can say of a row."""
    journal = has.journal
    return [
        await journal.begun(row.held),
        await journal.job_created(row.held, "new", "v0"),
        await journal.start_intent(row.held, "new", "v0"),
        await journal.job_identified(row.held, "alias"),
        await journal.job_superseded(row.held),
        await journal.second_start_forbidden(row.held, StartDoubt.REFUSED),
        await journal.start_accepted(row.held),
        await journal.status_seen(row.held, "WAITING"),
        await journal.parked(row.held, status="WAITING", poll_in=1.0, timings={}),
        await journal.finished(row.held, completed(row)),
    ]


async def stand_in_every_way(has: Book) -> tuple[WorkerLease, list[Row]]:
    """Of four rows the second was ordered, the third runs, the fourth is done."""
    lease, rows = await has.take(4)
    for row in rows[1:]:
        await has.intend(row)
    for row in rows[2:]:
        await has.journal.start_accepted(row.held)
    await has.journal.finished(rows[3].held, completed(rows[3]))
    return lease, rows


async def test_lease_revoked_makes_later_journal_entries_ineffective(book):
    async with book(4) as has:
        lease, rows = await stand_in_every_way(has)
        before = has.queue.counts()
        assert await has.queue.revoke(lease) == 3
        for row in rows:
            assert set(await reports(has, row)) == {Receipt.LEASE_ENDED}
        assert has.queue.counts() == before == Counts(planned=1, ordering=1, running=1, completed=1)
        assert await has.queue.revoke(lease) == 0


async def test_lease_revoked_returns_rows_in_their_current_state(book):
    async with book(4) as has:
        lease, _ = await stand_in_every_way(has)
        await has.queue.revoke(lease)
        _, rows = await has.take(9, OTHER)
        assert [(row.index, row.state, row.orders) for row in rows] == [
            (0, RowState.PLANNED, 0),
            (2, RowState.RUNNING, 1),
        ]
        assert has.queue.next_due() == pytest.approx(30)  # when the lease of the second worker ends


async def test_lease_revoked_delays_row_whose_start_request_may_be_on_its_way(book):
    async with book(4) as has:
        lease, _ = await stand_in_every_way(has)
        await has.queue.revoke(lease)
        await has.take(9, IN_PROCESS)
        assert has.queue.next_due() == pytest.approx(65)
        has.hands.go_on(64)
        assert (await has.take(9, OTHER))[1] == []
        has.hands.go_on(1)
        _, (row,) = await has.take(9, OTHER)
        assert (row.index, row.state, row.remote_id, row.orders) == (
            1,
            RowState.ORDERING,
            f"job-{row.key}",
            1,
        )
        assert row.held.owner == "worker 2"
        assert await has.journal.start_accepted(row.held) is Receipt.WRITTEN


async def test_lease_lasts_while_it_is_renewed(book):
    async with book(2) as has:
        lease, (row, _) = await has.take(2)
        for _ in range(3):
            has.hands.go_on(20)
            assert has.queue.renew(lease)
        assert await has.journal.begun(row.held) is Receipt.WRITTEN
        assert (await has.take(2, OTHER))[1] == []
        has.hands.go_on(31)
        assert not has.queue.renew(lease)
        assert await has.intend(row) is Receipt.LEASE_ENDED
        with pytest.raises(LeaseEnded) as ended:
            await has.queue.lease(1, lease)
        assert ended.value.lease == lease
        _, rows = await has.take(2, OTHER)
        assert [row.held.owner for row in rows] == ["worker 2", "worker 2"]
        assert await has.journal.begun(row.held) is Receipt.LEASE_ENDED  # and the row is somebody's again
        assert await has.journal.begun(rows[0].held) is Receipt.WRITTEN


async def test_lease_in_process_never_expires(book):
    async with book(1) as has:
        lease, (row,) = await has.take(1, IN_PROCESS)
        has.hands.go_on(1e9)
        assert has.queue.next_due() is None
        assert (await has.take(1, OTHER))[1] == []
        assert await has.intend(row) is Receipt.WRITTEN
        assert has.queue.renew(lease)


async def test_lease_epoch_separates_later_lease_of_same_worker(book):
    async with book(1) as has:
        first, (before,) = await has.take(1)
        await has.queue.revoke(first)
        second, (row,) = await has.take(1)
        assert second.owner == first.owner
        assert second.epoch > first.epoch
        assert await has.journal.begun(before.held) is Receipt.LEASE_ENDED
        has.queue.release(before)  # what comes late of the first takes nothing from the second
        assert await has.journal.begun(row.held) is Receipt.WRITTEN


async def test_lease_of_earlier_session_is_refused(book):
    async with book(1) as has:
        lease, (before,) = await has.take(1)
        await has.ledger.begin_session({})
        assert await has.journal.begun(before.held) is Receipt.LEASE_ENDED
        assert not has.queue.renew(lease)
        (again,) = (await has.take(1))[1]
        assert again.held.epoch > before.held.epoch
        assert await has.journal.begun(before.held) is Receipt.LEASE_ENDED


async def test_row_journal_cache_returns_stored_values(book):
    async with book(0) as has:
        has.journal.cache.put("a", "b")
        assert await has.journal.cache.get("a") == "b"
        has.journal.cache.put("a", "newer")
        assert await has.journal.cache.get("a") == "newer"
        assert await has.journal.cache.get("c") is None
        assert await has.journal.known_files(["/nowhere"]) == {}
        assert await has.journal.some_files("/nowhere/", 3) == []


async def test_port_values_can_be_pickled(book):
    async with book(1) as has:
        lease, (row,) = await has.take(1)
    report = ShardReport(
        ended={RowState.COMPLETED: 2},
        released=(row,),
        fatal=AuthenticationError("no", status=401),
        orphaned_jobs=1,
        uploads_saved=3,
        events=EventCounts(requests={"status": 4}),
    )
    for value in (row, row.held, lease, REMOTE, completed(row), Receipt.ID_TAKEN):
        assert pickle.loads(pickle.dumps(value)) == value
    again = pickle.loads(pickle.dumps(report))
    assert str(again.fatal) == str(report.fatal)
    assert again.released[0].held == row.held
    assert (again.ended, again.events) == (report.ended, report.events)


def test_shard_report_addition_sums_counts():
    one = ShardReport(
        ended={RowState.COMPLETED: 2, RowState.FAILED: 1},
        orphaned_jobs=1,
        events=EventCounts(requests={"status": 4, "put": 1}, sent_bytes=10),
    )
    other = ShardReport(
        ended={RowState.COMPLETED: 1},
        lost=True,
        uploads_saved=2,
        events=EventCounts(requests={"status": 1}, retries={BROKEN: 1}, sent_bytes=5),
    )
    both = one + other
    assert both.ended == {RowState.COMPLETED: 3, RowState.FAILED: 1}
    assert (both.lost, both.orphaned_jobs, both.uploads_saved) == (True, 1, 2)
    assert both.events == EventCounts(requests={"status": 5, "put": 1}, retries={BROKEN: 1}, sent_bytes=15)
    assert both.events - one.events == other.events
