"""From a manifest to rows: by key, again and again, whatever was done to the manifest meanwhile."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from ledger_tools import (
    columns,
    complete,
    created,
    new_row,
    new_rows,
    not_completed,
    opened,
    order,
    plan,
    select,
    take,
)

from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ledger import planning as room
from opus_async.batch.ports import Planned
from opus_async.batch.rows import RowState
from opus_async.errors import LedgerError, ManifestError
from opus_async.metrics.counts import Counts


def keys(directory):
    return [key for (key,) in select(directory, "SELECT key FROM rows ORDER BY position, id")]


async def test_ledger_planning_adds_new_rows(tmp_path):
    ledger = await SqliteLedger.create(tmp_path, {})
    assert await plan(ledger, new_rows(1200)) == Planned(new=1200)
    assert ledger.counts() == Counts(planned=1200)
    await ledger.publish()
    await ledger.close()
    assert keys(tmp_path) == [f"key-{index}" for index in range(1200)]
    assert select(tmp_path, "SELECT cells FROM cells WHERE row = 3") == [('{"Number": "2"}',)]


async def test_ledger_planning_accepts_empty_manifest(tmp_path):
    async with created(tmp_path) as ledger:
        assert ledger.counts() == Counts()
        await ledger.begin_session({})
        assert list(await take(ledger, 10)) == []


async def test_ledger_planning_same_rows_repeatedly_adds_them_once(tmp_path):
    rows = [*new_rows(3), *(new_row(index, "same", cells={}, key_given=False) for index in (3, 4, 5))]
    ledger = await SqliteLedger.create(tmp_path, {})
    await ledger.begin_plan()
    await ledger.plan(rows)
    await ledger.plan(rows[2:])
    await ledger.plan([new_row(6, "same", cells={}, key_given=False)])
    await ledger.plan(rows)
    planned = await ledger.end_plan()
    await ledger.confirm_plan()
    await ledger.publish()
    await ledger.close()
    assert (planned.new, planned.known) == (7, 0)
    assert keys(tmp_path) == ["key-0", "key-1", "key-2", "same", "same~2", "same~3", "same~4"]


async def test_ledger_planning_adds_identical_rows_with_numbered_keys(tmp_path):
    rows = [new_row(index, "a", cells={}, key_given=index % 2 == 0) for index in range(4)]
    ledger = await SqliteLedger.create(tmp_path, {})
    planned = await plan(ledger, rows)
    await ledger.publish()
    await ledger.close()
    assert planned == Planned(new=4, repeated=(("a~2", 1), ("a~3", 2), ("a~4", 3)), repeated_count=3)
    async with opened(tmp_path) as ledger:
        again = await plan(ledger, rows)
    assert (again.new, again.known, again.repeated_count) == (0, 4, 3)
    assert keys(tmp_path) == ["a", "a~2", "a~3", "a~4"]


async def test_ledger_planning_numbered_key_avoids_existing_key(tmp_path):
    rows = [
        new_row(0, "a~2"),
        new_row(1, "a", cells={}),
        new_row(2, "a", cells={}),
        new_row(3, "a", cells={}),
    ]
    async with created(tmp_path, rows):
        pass
    assert keys(tmp_path) == ["a~2", "a", "a~3", "a~4"]


async def test_ledger_planning_counts_all_identical_rows_and_names_some(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_REMEMBERED", 5)  # fewer than there are keys that come again
    rows = [new_row(index, f"key-{index % 50}", cells={}, key_given=False) for index in range(1000)]
    ledger = await SqliteLedger.create(tmp_path, {})
    planned = await plan(ledger, rows)
    await ledger.close()
    assert (planned.new, planned.repeated_count, len(planned.repeated)) == (1000, 950, 100)


async def test_ledger_planning_refuses_key_shared_by_different_rows(tmp_path):
    ledger = await SqliteLedger.create(tmp_path, {})
    await ledger.begin_plan()
    rows = [new_row(0, "a"), new_row(1, "b"), new_row(2, "a"), new_row(3, "b")]
    with pytest.raises(ManifestError, match="not unique") as caught:
        await ledger.plan(rows)
    await ledger.close()
    assert [("'a'" in problem, "row 0 and of row 2" in problem) for problem in caught.value.problems] == [
        (True, True),
        (False, False),
    ]
    assert not (tmp_path / "ledger.db.new").exists()


async def test_ledger_planning_accepts_grown_and_reordered_manifest(tmp_path):
    async with created(tmp_path, 3) as ledger:
        await ledger.begin_session({})
        await complete(ledger, (await take(ledger, 1))[0])
    grown = [
        new_row(0, "new", cells={}),
        *(new_row(3 - at, f"key-{at}", cells={"Number": str(at)}) for at in range(3)),
    ]
    async with opened(tmp_path) as ledger:
        planned = await plan(ledger, grown)
        assert ledger.counts() == Counts(planned=3, completed=1)
        await ledger.begin_session({})
        assert [row.key for row in await take(ledger, 9)] == ["new", "key-2", "key-1"]
    assert planned == Planned(new=1, known=3)
    assert keys(tmp_path) == ["new", "key-2", "key-1", "key-0"]


async def test_ledger_planning_replaces_changed_row_if_not_started(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        row, _ = await take(ledger, 2)
        await ledger.journal.begun(row.held)
        await ledger.journal.job_created(row.held, "shell", "v0")
    async with opened(tmp_path) as ledger:
        planned = await plan(ledger, [new_row(0, cells={"Number": "other"}), new_row(1)])
        assert planned == Planned(replanned=1, known=1)
        await ledger.begin_session({})
        row, _ = await take(ledger, 2)
    assert row.cells == {"Number": "other"}
    assert row.remote_id is None  # the shell bears the title of what was asked for before


async def test_ledger_planning_keeps_changed_row_if_started_and_names_it(tmp_path):
    async with created(tmp_path, 4) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 4)
        await complete(ledger, rows[0])
        await ledger.ordering(rows[1], "job-1", "v0")
        await order(ledger, rows[2])
        await ledger.journal.finished(rows[2].held, not_completed(RowState.FAILED))
    async with opened(tmp_path) as ledger:
        planned = await plan(ledger, [new_row(index, cells={"Number": "other"}) for index in range(4)])
        assert planned == Planned(changed=("key-0", "key-1", "key-2"), changed_count=3, replanned=1)
        assert ledger.counts() == Counts(completed=1, ordering=1, failed=1, planned=1)
        found = await ledger.row("key-2")
    assert found is not None
    assert found.cells == {"Number": "2"}


async def test_ledger_planning_withdraws_missing_rows_unless_started(tmp_path):
    async with created(tmp_path, [*new_rows(4), new_row(4, problem="no such file")]) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 2)
        await complete(ledger, rows[0])
        await ledger.journal.finished(
            rows[1].held,
            not_completed(RowState.FAILED, remote_id=None),
            # before any order
        )
    async with opened(tmp_path) as ledger:
        planned = await plan(ledger, [new_row(2)])
        assert planned == Planned(known=1, withdrawn=3, missing=1)
        assert ledger.counts() == Counts(completed=1, planned=1)
        await plan(ledger, new_rows(5))
    assert keys(tmp_path) == [f"key-{index}" for index in range(5)]
    assert select(tmp_path, "SELECT max(id) FROM rows") == [(8,)]  # no number is used for another row


async def test_ledger_planning_broken_off_withdraws_nothing(tmp_path):
    async with created(tmp_path, 3):
        pass
    async with opened(tmp_path) as ledger:
        await ledger.begin_plan()
        await ledger.plan([new_row(7)])
    async with opened(tmp_path) as ledger:
        assert ledger.counts() == Counts(planned=3)
        assert (await plan(ledger, new_rows(3))).withdrawn == 0


# A plan is one thing


async def everything(ledger):
    """What a plan could have changed."""
    tables = ("rows", "cells", "history", "meta", "files", "memory")

    def read(store):
        return {table: store.connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}

    return await ledger._writer.call(read), ledger.counts(), dict(ledger.facts)


async def planned_otherwise(ledger):
    """Rows changed, added and withdrawn, others tried again, files and facts kept; nothing confirmed."""
    await ledger.begin_plan()
    await ledger.retry([RowState.FAILED])
    await ledger.plan(
        [new_row(0), new_row(1, cells={"Number": "x"}), *(new_row(at) for at in range(7, 2000))]
    )
    ledger.keep_file("/a.pdf", 1, 2, 3, "ab")
    await ledger.set_facts(settings=2)
    planned = await ledger.end_plan()
    assert (planned.new, planned.withdrawn, ledger.counts().completed) == (1993, 3, 1)


async def ledger_with_a_past(directory):
    async with created(directory, 5, facts={"settings": 1}) as ledger:
        await ledger.begin_session({})
        done, failed = await take(ledger, 2)
        await complete(ledger, done)
        await order(ledger, failed)
        await ledger.journal.finished(failed.held, not_completed(RowState.FAILED))


async def test_ledger_planning_abandoned_changes_nothing(tmp_path):
    await ledger_with_a_past(tmp_path)
    async with opened(tmp_path) as ledger:
        before = await everything(ledger)
        await planned_otherwise(ledger)
        assert await everything(ledger) != before
        await ledger.abandon_plan()
        assert await everything(ledger) == before
        await ledger.abandon_plan()  # there is none: harmless
        assert await plan(ledger, new_rows(5)) == Planned(known=5)
        await ledger.begin_session({})
        assert [row.key for row in await take(ledger, 9)] == ["key-2", "key-3", "key-4"]


async def test_ledger_planning_open_at_close_is_abandoned(tmp_path):
    await ledger_with_a_past(tmp_path)
    async with opened(tmp_path) as ledger:
        before = await everything(ledger)
        await planned_otherwise(ledger)
        await ledger.close()
        assert (ledger.counts(), dict(ledger.facts)) == before[1:]
    async with opened(tmp_path) as ledger:
        assert await everything(ledger) == before


async def test_ledger_planning_confirms_rows_and_facts_atomically(tmp_path):
    await ledger_with_a_past(tmp_path)
    async with opened(tmp_path) as ledger:
        await planned_otherwise(ledger)
        assert select(tmp_path, "SELECT count(*) FROM rows") == [(5,)]  # as others see it
        await ledger.confirm_plan(settings=3, manifest={"path": "b.csv"})
        assert (ledger.facts["settings"], ledger.facts["manifest"]) == (3, {"path": "b.csv"})
        assert select(tmp_path, "SELECT count(*) FROM rows") == [(1995,)]
        assert select(tmp_path, "SELECT value FROM meta WHERE name = 'settings'") == [("3",)]
        after = await everything(ledger)
        await ledger.abandon_plan()
        assert await everything(ledger) == after
    async with opened(tmp_path) as ledger:
        assert await everything(ledger) == after


async def test_ledger_planning_first_plan_can_be_abandoned_and_repeated(tmp_path):
    ledger = await SqliteLedger.create(tmp_path, {})
    await ledger.begin_plan()
    await ledger.plan(new_rows(3))
    await ledger.abandon_plan()
    assert ledger.counts() == Counts()
    assert await plan(ledger, new_rows(2)) == Planned(new=2)
    await ledger.publish()
    await ledger.close()
    assert keys(tmp_path) == ["key-0", "key-1"]


async def test_ledger_planning_can_be_repeated_after_refused_key(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_plan()
        await ledger.plan([new_row(5)])
        with pytest.raises(ManifestError):
            await ledger.plan([new_row(6, "a"), new_row(7, "a")])
        await ledger.abandon_plan()
        assert await plan(ledger, new_rows(2)) == Planned(known=2)


async def test_ledger_planning_without_room_in_database_changes_nothing(tmp_path):
    def limit(store):
        (pages,) = store.connection.execute("PRAGMA page_count").fetchone()
        store.connection.execute(f"PRAGMA max_page_count = {pages}")

    async with created(tmp_path, 2) as ledger:
        await ledger._writer.call(limit)
        await ledger.begin_plan()
        with pytest.raises(LedgerError, match="no room"):
            await ledger.plan([new_row(at) for at in range(2, 2000)])
        with pytest.raises(LedgerError, match="no room"):
            await ledger.abandon_plan()
        assert ledger.counts() == Counts(planned=2)
    assert keys(tmp_path) == ["key-0", "key-1"]


async def test_ledger_planning_cancelled_at_any_point_can_be_abandoned(tmp_path):
    async with created(tmp_path, 2) as ledger:
        for steps in range(8):
            planning = asyncio.create_task(plan(ledger, new_rows(1200)))
            for _ in range(steps):
                await asyncio.sleep(0)
            planning.cancel()
            await asyncio.gather(planning, return_exceptions=True)
            await ledger.abandon_plan()
            assert ledger.counts() == Counts(planned=2)
        assert await plan(ledger, new_rows(2)) == Planned(known=2)


async def test_ledger_planning_excludes_other_operations_while_open(tmp_path):
    async with created(tmp_path, 2) as ledger:
        with pytest.raises(RuntimeError, match="begin_plan"):
            await ledger.confirm_plan()
        with pytest.raises(RuntimeError, match="begin_plan"):
            await ledger.plan(new_rows(1))
        await ledger.begin_session({})
        with pytest.raises(RuntimeError, match="end_session"):
            await ledger.begin_plan()
        await ledger.end_session(ended_because="finished", exit_code=0, stray_shells=0, uploads_saved=0)
        await ledger.begin_plan()
        for begins in (
            ledger.begin_plan,
            ledger.publish,
            lambda: ledger.begin_session({}),
            lambda: take(ledger, 1),
        ):
            with pytest.raises(RuntimeError, match="confirm_plan"):
                await begins()


# Rows that were tried again, edited, or may have been billed by an earlier batch


@pytest.mark.parametrize("state", [RowState.FAILED, RowState.UNKNOWN])
async def test_ledger_planning_never_withdraws_row_once_started_even_after_retry(tmp_path, state):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        row, _ = await take(ledger, 2)
        await order(ledger, row)
        await ledger.journal.finished(row.held, not_completed(state))
    async with opened(tmp_path) as ledger:
        assert await ledger.retry([state]) == 1
        assert await plan(ledger, [new_row(9)]) == Planned(new=1, withdrawn=1, missing=1)
        assert ledger.counts() == Counts(planned=2)
        mended = await plan(ledger, [new_row(0, cells={"Number": "mended"})])
        assert (mended.replanned, mended.changed_count) == (1, 0)  # a new job may ask for something else
        await ledger.begin_session({})
        (row,) = await take(ledger, 9)
        assert (row.cells, row.orders, row.attempts) == ({"Number": "mended"}, 1, 2)
        assert (row.remote_id, row.asks_first, row.other_inputs) == ("job-key-0", True, True)
        await ledger.journal.job_superseded(row.held)
        await ledger.journal.finished(
            row.held,
            not_completed(RowState.FAILED, remote_id=None),
            # before its order
        )
    async with opened(tmp_path) as ledger:
        assert await plan(ledger, []) == Planned(missing=1)
    assert columns(tmp_path, "key-0", "orders", "orders_before") == (0, 1)


async def test_ledger_planning_counts_new_rows_with_cells_of_missing_ones_as_edited(tmp_path):
    cells = {"File": "a.pdf"}
    rows = [new_row(at, f"old-{at}", cells=cells | {"n": at}) for at in range(7)]
    ends = [RowState.COMPLETED, RowState.FAILED, RowState.UNKNOWN, RowState.ORDERING, RowState.RUNNING]
    async with created(tmp_path, rows) as ledger:
        await ledger.begin_session({})
        for row, state in zip(await take(ledger, 5), ends, strict=True):
            if state is RowState.COMPLETED:
                await complete(ledger, row)
            elif state is RowState.ORDERING:
                await ledger.ordering(row, "job", "v0")
            else:
                await order(ledger, row)
                if state is not RowState.RUNNING:
                    await ledger.journal.finished(row.held, not_completed(state))
    async with opened(tmp_path) as ledger:
        again = [new_row(at, f"new-{at}", cells=cells | {"n": at}) for at in range(6)]
        planned = await plan(ledger, [*again, rows[6], new_row(8, "another", cells={"n": 0})])
        assert planned == Planned(new=7, known=1, withdrawn=1, missing=5, edited=4)
        assert (await plan(ledger, rows)).edited == 0  # they are not new, and nothing is missing


async def test_ledger_planning_row_possibly_billed_by_earlier_batch_is_unknown(tmp_path):
    doubtful = new_row(1, possible_second_bill="batch B ordered it and cannot tell")
    rows = [new_row(0), doubtful, new_row(2, problem="no file", possible_second_bill="as above")]
    async with created(tmp_path, rows) as ledger:
        assert ledger.counts() == Counts(planned=1, unknown=1, failed=1)
        await ledger.begin_session({})
        assert [row.index for row in await take(ledger, 9)] == [0]
    found = columns(tmp_path, "key-1", "state", "error", "error_type", "remote_id", "orders")
    assert found == ("unknown", "batch B ordered it and cannot tell", "AmbiguousExecution", None, 0)
    async with opened(tmp_path) as ledger:
        assert (await plan(ledger, rows)).known == 3
        assert ledger.counts() == Counts(planned=1, unknown=1, failed=1)
        assert (await plan(ledger, new_rows(3))).known == 3  # nobody doubts any more
        assert ledger.counts() == Counts(planned=3)
        await plan(ledger, rows)
        assert ledger.counts() == Counts(planned=1, unknown=1, failed=1)
        assert (await plan(ledger, [new_row(0)])).withdrawn == 2


async def test_ledger_planning_keeps_doubtful_row_that_was_released_by_retry(tmp_path):
    doubtful = new_row(0, possible_second_bill="who knows")
    async with created(tmp_path, [doubtful]) as ledger:
        assert await ledger.retry([RowState.UNKNOWN]) == 1
        await plan(ledger, [doubtful])
        await plan(ledger, [new_row(0, cells={"Number": "x"}, possible_second_bill="who knows")])
        assert ledger.counts() == Counts(planned=1)


async def test_ledger_planning_doubt_does_not_change_rows_started_here(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        done, unknown = await take(ledger, 2)
        await complete(ledger, done)
        await order(ledger, unknown)
        await ledger.journal.finished(
            unknown.held, not_completed(RowState.UNKNOWN, error_type="AmbiguousExecution")
        )
    async with opened(tmp_path) as ledger:
        for doubtful in ("who knows", None):
            rows = [new_row(at, possible_second_bill=doubtful) for at in range(2)]
            assert await plan(ledger, rows) == Planned(known=2)
            assert ledger.counts() == Counts(completed=1, unknown=1)


async def test_ledger_planning_row_with_problem_is_failed(tmp_path):
    rows = [new_row(0), new_row(1, problem="there is no file 'a.pdf'")]
    async with created(tmp_path, rows) as ledger:
        assert ledger.counts() == Counts(planned=1, failed=1)
        await ledger.begin_session({})
        assert [row.index for row in await take(ledger, 9)] == [0]
    assert columns(tmp_path, "key-1", "state", "error", "error_type", "cause", "remote_id", "orders") == (
        ("failed", "there is no file 'a.pdf'", "InvalidInputs", "there is no file 'a.pdf'", None, 0)
    )


async def test_ledger_planning_repaired_row_is_planned_and_broken_row_failed(tmp_path):
    async with created(tmp_path, [new_row(0, problem="no file"), new_row(1), new_row(2, problem="no file")]):
        pass
    async with opened(tmp_path) as ledger:
        planned = await plan(
            ledger, [new_row(0), new_row(1, problem="gone"), new_row(2, problem="still no file")]
        )
        assert planned == Planned(known=3)
        assert ledger.counts() == Counts(planned=1, failed=2)
    assert select(tmp_path, "SELECT state, error FROM rows ORDER BY id") == [
        ("planned", None),
        ("failed", "gone"),
        ("failed", "still no file"),
    ]
    assert select(tmp_path, "SELECT row, state, note FROM history ORDER BY id") == [
        (1, "planned", "planned again"),
        (2, "failed", "planned again"),
    ]


async def test_ledger_planning_keeps_row_failed_that_failed_at_work(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.journal.finished(row.held, not_completed(RowState.FAILED, error_type="UploadError"))
    async with opened(tmp_path) as ledger:
        assert await plan(ledger, new_rows(1)) == Planned(known=1)
        assert ledger.counts() == Counts(failed=1)


async def test_ledger_planning_memory_does_not_grow_with_rows(tmp_path):
    async def peak(rows: int) -> int:
        ledger = await SqliteLedger.create(tmp_path / str(rows), {})
        await ledger.begin_plan()
        tracemalloc.start()
        for start in range(0, rows, 250):
            await ledger.plan([new_row(index) for index in range(start, start + 250)])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await ledger.close()
        return peak

    await peak(500)  # what is loaded once
    assert await peak(10_000) < 1.5 * await peak(1_000)
