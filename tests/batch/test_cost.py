"""What a batch has cost: what completed, and up to what was ordered and may have completed."""

from __future__ import annotations

import json
import math

import pytest
from batch_tools import TEXT, Notes, texts
from ledger_tools import complete, completed, created, not_completed, opened, order, take

from opus_async.batch import resume_batch, run_batch
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.options import RunSettings, SessionGoal
from opus_async.batch.outputs.status import as_json, read_status
from opus_async.batch.report import report_data
from opus_async.batch.rows import RowState

PRICED = {"settings": RunSettings(price=0.5).as_facts()}


def jobs(directory):
    with LedgerReader(directory) as ledger:
        found = ledger.cost().jobs
        return found.certain, found.possible, found.in_flight


async def test_cost_counts_completed_jobs_and_those_in_flight(tmp_path):
    async with created(tmp_path, 5, facts=PRICED) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 4)
        await complete(ledger, rows[0])
        await complete(ledger, rows[1])
        await order(ledger, rows[2])
        await order(ledger, rows[3])
        await ledger.journal.finished(rows[3].held, not_completed(RowState.FAILED))
    assert jobs(tmp_path) == (2, 0, 1)


async def test_cost_counts_second_orders_as_possible(tmp_path):
    async with created(tmp_path, 2, facts=PRICED) as ledger:
        await ledger.begin_session({})
        done, failed = await take(ledger, 2)
        for row in (done, failed):
            await order(ledger, row, accepted=False)
            await ledger.ordering(row, f"job-{row.key}", "v0")
        await ledger.journal.finished(failed.held, not_completed(RowState.FAILED))
        await ledger.journal.start_accepted(done.held)
        await ledger.journal.finished(done.held, completed(done))
    assert jobs(tmp_path) == (1, 2, 0)


async def test_cost_counts_unknown_rows_as_possible_whatever_is_decided(tmp_path):
    async with created(tmp_path, 4, facts=PRICED) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 4)
        for row in rows[:3]:
            await order(ledger, row)
            await ledger.journal.finished(row.held, not_completed(RowState.UNKNOWN))
        # one that was never ordered costs nothing
        await ledger.journal.finished(rows[3].held, not_completed(RowState.UNKNOWN))
    assert jobs(tmp_path) == (0, 3, 0)
    async with opened(tmp_path) as ledger:
        await ledger.resolve("failed", keys=["key-0"], accept_second_bill=True)
        await ledger.resolve("done", keys=["key-1"])
        await ledger.resolve("retry", keys=["key-2"], accept_second_bill=True)
    assert jobs(tmp_path) == (1, 2, 0)


async def test_cost_keeps_jobs_that_gave_way_only_where_their_end_is_not_known(tmp_path):
    async with created(tmp_path, 2, facts=PRICED) as ledger:
        await ledger.begin_session({})
        for row, state in zip(await take(ledger, 2), (RowState.FAILED, RowState.UNKNOWN), strict=True):
            await order(ledger, row)
            await ledger.journal.finished(row.held, not_completed(state))
    async with opened(tmp_path) as ledger:
        await ledger.retry([RowState.FAILED, RowState.UNKNOWN])
        await ledger.begin_session({})
        for row in await take(ledger, 2):
            await ledger.journal.begun(row.held)
            await ledger.journal.job_superseded(row.held)
            await ledger.journal.job_created(row.held, f"new-{row.key}", "v0")
            await ledger.ordering(row, f"new-{row.key}", "v0")
            await ledger.journal.start_accepted(row.held)
            await ledger.journal.finished(row.held, completed(row))
    assert jobs(tmp_path) == (2, 1, 0)


async def test_cost_of_batch_is_in_summary_status_and_report(simulate, connect, tmp_path):
    simulator = await simulate()
    notes, out = Notes(), tmp_path / "out"
    client = connect(simulator)
    result = await run_batch(
        client,
        texts(tmp_path / "t.csv", "abcde"),
        workflow_id=TEXT,
        out=out,
        price=0.12,
        limit=2,
        watching=notes.watching,
    )
    assert notes.told[0] == "2 jobs to begin, about 0.24; 3 rows, about 0.36, left for a resume."
    assert result.summary["cost"]["billed"] == 0.24
    assert json.loads((out / "summary.json").read_text())["cost"] == result.summary["cost"]
    assert as_json(read_status(out))["cost"] == result.summary["cost"]
    assert report_data.load(out).cost.billed == 0.24
    assert ">0.24<" in (out / "report.html").read_text()
    again = await resume_batch(client, out, watching=notes.watching)
    assert "3 jobs to begin, about 0.36." in notes.told
    assert again.summary["cost"]["billed"] == 0.6


async def test_price_of_a_resume_holds_for_all_jobs_even_if_none_is_left(simulate, connect, tmp_path):
    client, out = connect(await simulate()), tmp_path / "out"
    result = await run_batch(client, texts(tmp_path / "t.csv", "ab"), workflow_id=TEXT, out=out)
    assert result.summary["cost"] is None
    again = await resume_batch(client, out, settings={"price": 0.5})
    assert again.summary["cost"]["billed"] == 1.0
    assert json.loads((out / "summary.json").read_text())["cost"]["billed"] == 1.0
    assert (await resume_batch(client, out)).summary["cost"]["price"] == 0.5


@pytest.mark.parametrize("price", [0, -1, math.inf, math.nan])
def test_price_that_is_none_is_refused(price):
    with pytest.raises(ValueError, match="no price of a job"):
        RunSettings(price=price)


def test_price_that_no_job_has_is_refused():
    with pytest.raises(ValueError, match="price"):
        RunSettings(price=1e308)


@pytest.mark.parametrize("limit", [2.5, "3", 0, True])
def test_limit_that_is_no_number_of_rows_is_refused(limit):
    with pytest.raises(ValueError, match="limit"):
        SessionGoal(limit=limit)
