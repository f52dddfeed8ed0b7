"""Orders that later sessions have overtaken: evidence, where a platform takes starts in order."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from ledger_tools import created, flushed, not_completed, opened, order, take

from opus_async.batch.rows import RowState


async def session(ledger, **orders):
    """A session that orders rows by number: ``accepted``, ``obeyed`` (it was seen to run) or ``lost``."""
    await ledger.begin_session({})
    rows = {row.index: row for row in await take(ledger, 10)}
    for name, how in orders.items():
        row = rows[int(name.removeprefix("row"))]
        await order(ledger, row, accepted=how != "lost")
        if how in {"obeyed", "listed"}:
            await ledger.journal.status_seen(row.held, "IN_PROGRESS" if how == "obeyed" else "PENDING")
        if how == "unknown":
            await ledger.journal.finished(row.held, not_completed(RowState.UNKNOWN))
    await flushed(ledger)


async def overtaken(directory):
    async with opened(directory) as ledger:
        await ledger.begin_session({})
        return {row.index for row in await take(ledger, 10) if row.overtaken}


async def sessions(directory, *all_orders):
    async with created(directory, 4):
        pass
    for orders in all_orders:
        async with opened(directory) as ledger:
            await session(ledger, **orders)


async def test_order_is_overtaken_by_one_that_a_later_session_saw_obeyed(tmp_path):
    await sessions(tmp_path, {"row0": "lost"}, {"row1": "obeyed"})
    assert await overtaken(tmp_path) == {0}


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        (({"row0": "lost", "row1": "obeyed"},), "the same session: which came first is not known"),
        (({"row1": "obeyed"}, {"row0": "lost"}), "an earlier session"),
        (({"row0": "lost"}, {"row1": "accepted"}), "nothing of it was seen"),
        (({"row0": "lost"}, {"row1": "listed"}), "it was not shown yet"),
        (({"row0": "lost"}, {"row1": "lost"}, {"row1": "obeyed"}), "ordered twice: which of them was obeyed"),
        (({"row0": "lost"},), "nothing came later"),
    ],
)
async def test_order_is_not_overtaken_without_proof(tmp_path, orders, why):
    await sessions(tmp_path, *orders)
    assert 0 not in await overtaken(tmp_path), why


async def test_order_that_was_given_again_counts_from_the_last_one(tmp_path):
    await sessions(tmp_path, {"row0": "lost"}, {"row1": "obeyed"}, {"row0": "lost"})
    assert await overtaken(tmp_path) == set()


async def test_unknown_row_is_overtaken_as_well(tmp_path):
    await sessions(tmp_path, {"row0": "unknown"}, {"row1": "obeyed"})
    assert await overtaken(tmp_path) == {0}


async def test_order_of_a_session_with_workers_elsewhere_is_left_out(tmp_path):
    """They may send an order after their session."""
    await sessions(tmp_path, {"row0": "lost"}, {"row1": "obeyed"})
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("UPDATE sessions SET settle_after = 5 WHERE id = 1")
    assert await overtaken(tmp_path) == set()
