"""What leases leave in the file, and what of a lease that ends while a step is on its way to the disk."""

from __future__ import annotations

import asyncio

from ledger_tools import Hands, columns, completed, created, opened, order, select, take

from opus_async.batch.ports import LeaseTerms, Receipt
from opus_async.batch.rows import RowState
from opus_async.metrics.counts import Counts

REMOTE = LeaseTerms(owner="worker", seconds=30.0, settle_after=65.0)


async def test_lease_revoked_before_start_intent_is_durable_gets_no_acknowledgement(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        lease = await ledger.queue.grant(LeaseTerms(owner="worker"))
        (row,) = await ledger.queue.lease(1, lease)
        intending = asyncio.create_task(ledger.journal.start_intent(row.held, "job-1", "v0"))
        await asyncio.sleep(0)
        assert await ledger.queue.revoke(lease) == 1
        assert await intending is Receipt.LEASE_ENDED
        assert columns(tmp_path, "key-0", "state", "orders") == ("ordering", 1)
        (again,) = await take(ledger, 1)  # it is asked before anything is ordered
        assert (again.state, again.remote_id) == (RowState.ORDERING, "job-1")
        assert ledger.counts() == Counts(ordering=1)


async def test_lease_revoked_while_result_is_written_keeps_result(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        lease = await ledger.queue.grant(REMOTE)
        (row,) = await ledger.queue.lease(1, lease)
        ending = asyncio.create_task(ledger.journal.finished(row.held, completed(row)))
        await asyncio.sleep(0)
        assert await ledger.queue.revoke(lease) == 0
        assert await ending is Receipt.WRITTEN
        assert await take(ledger, 1) == []


async def test_lease_call_cancelled_leaves_rows_to_next_worker(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        first, second = [await ledger.queue.grant(LeaseTerms(owner=name)) for name in ("one", "two")]
        leasing = asyncio.create_task(ledger.queue.lease(2, first))
        await asyncio.sleep(0)
        leasing.cancel()
        await asyncio.gather(leasing, return_exceptions=True)
        rows = await ledger.queue.lease(2, second)
        assert [(row.index, row.held.owner) for row in rows] == [(0, "two"), (1, "two")]
        await ledger.queue.revoke(first)
        assert await ledger.journal.begun(rows[0].held) is Receipt.WRITTEN


async def test_lease_of_remote_worker_delays_unconfirmed_starts_in_next_session(tmp_path):
    hands = Hands()
    async with created(tmp_path, 3, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        rows = await ledger.queue.lease(2, await ledger.queue.grant(REMOTE))
        await order(ledger, rows[0], accepted=False)
        await order(ledger, rows[1])
    assert select(tmp_path, "SELECT settle_after FROM sessions") == [(65.0,)]
    async with opened(tmp_path, clock=hands.clock()) as ledger:  # the worker may live, and have been told yes
        await ledger.begin_session({})
        assert [(row.index, row.state) for row in await take(ledger, 9)] == [
            (1, RowState.RUNNING),
            (2, RowState.PLANNED),
        ]
        assert ledger.queue.next_due() == 65
        hands.go_on(65)
        assert [(row.index, row.state) for row in await take(ledger, 9)] == [(0, RowState.ORDERING)]
        assert ledger.queue.next_due() is None


async def test_lease_in_process_allows_unconfirmed_starts_at_once_in_next_session(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        await order(ledger, (await take(ledger, 1))[0], accepted=False)
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        assert [row.state for row in await take(ledger, 1)] == [RowState.ORDERING]
