"""Trials: a session that begins some rows of a batch, or waits for none of them, and a resume of the rest."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from batch_tools import DOCUMENT, TEXT, Notes, ask, documents, lines, states, texts, until

from opus_async.batch import BatchObserver, resume_batch, retry_batch, run_batch
from opus_async.exits import Exit


def summary(out):
    return json.loads((out / "summary.json").read_text())


async def test_limit_begins_the_first_rows_and_resume_goes_on_with_the_others(simulate, connect, tmp_path):
    simulator = await simulate()
    client, out = connect(simulator), tmp_path / "out"
    result = await run_batch(
        client, documents(tmp_path / "in", 12), workflow_id=DOCUMENT, out=out, limit=5, max_in_flight=2
    )
    assert (result.exit_code, result.ended_because) == (Exit.OK, "limit_reached")
    assert not result.ok
    assert sorted(line["index"] for line in result.results()) == [0, 1, 2, 3, 4]
    told = summary(out)
    assert (told["total"], told["completed"], told["not_started"], told["in_flight"]) == (12, 5, 7, 0)
    assert (told["exit_code"], told["ended_because"]) == (0, "limit_reached")
    again = await resume_batch(client, out)
    assert again.ok
    assert again.ended_because == "finished"
    assert sorted(line["index"] for line in again.results()) == list(range(12))
    assert simulator.state()["counters"]["executed_twice"] == []
    assert len(simulator.world.jobs) == 12


async def test_limit_of_a_resume_begins_so_many_more(simulate, connect, tmp_path):
    simulator = await simulate()
    client, out = connect(simulator), tmp_path / "out"
    await run_batch(client, documents(tmp_path / "in", 6), workflow_id=DOCUMENT, out=out, limit=1)
    result = await resume_batch(client, out, limit=2)
    assert (result.counts.completed, result.counts.planned) == (3, 3)
    assert result.ended_because == "limit_reached"
    last = await resume_batch(client, out, limit=3)
    assert last.ok
    assert last.ended_because == "finished"


async def test_limit_above_the_rows_changes_nothing(simulate, connect, tmp_path):
    simulator = await simulate()
    result = await run_batch(
        connect(simulator), texts(tmp_path / "t.csv", "ab"), workflow_id=TEXT, out=tmp_path / "out", limit=9
    )
    assert result.ok
    assert result.ended_because == "finished"


async def test_limit_with_failed_rows_exits_as_failures_do(simulate, connect, tmp_path):
    simulator = await simulate(fail_share=1.0)
    client, out = connect(simulator), tmp_path / "out"
    result = await run_batch(client, texts(tmp_path / "t.csv", "abcde"), workflow_id=TEXT, out=out, limit=2)
    assert (result.exit_code, result.ended_because) == (Exit.FAILED, "limit_reached")
    assert (result.counts.failed, result.counts.planned) == (2, 3)
    # rows that are tried again count as not begun: the first one of the manifest it is
    tried = await retry_batch(client, out, limit=1)
    assert (tried.counts.failed, tried.counts.planned) == (1, 4)


async def test_limit_with_a_halt_keeps_the_reason_of_the_halt(simulate, connect, tmp_path):
    simulator = await simulate(fail_share=1.0)
    result = await run_batch(
        connect(simulator),
        texts(tmp_path / "t.csv", "abcdefgh"),
        workflow_id=TEXT,
        out=tmp_path / "out",
        limit=6,
        max_in_flight=1,
        halt="soon,fail=2",
    )
    assert result.exit_code is Exit.HALTED
    assert result.counts.failed == 2


async def test_limit_interrupted_is_gone_on_with(simulate, connect, tmp_path):
    simulator = await simulate(run_time=30.0)
    notes, out = Notes(), tmp_path / "out"
    running = asyncio.create_task(
        run_batch(
            connect(simulator),
            texts(tmp_path / "t.csv", "abcdef"),
            workflow_id=TEXT,
            out=out,
            limit=3,
            drain_seconds=0.1,
            watching=notes.watching,
        )
    )
    await until(lambda: out.exists() and (out / "ledger.db").exists() and states(out).get("running") == 3)
    notes.control.interrupt()
    result = await running
    assert result.exit_code is Exit.INTERRUPTED
    assert (result.counts.running, result.counts.planned) == (3, 3)
    assert len(simulator.world.jobs) == 3


@pytest.mark.parametrize("limit", [0, -1, True])
async def test_limit_that_begins_nothing_is_refused(simulate, connect, tmp_path, limit):
    simulator = await simulate()
    with pytest.raises(ValueError, match=re.escape(f"limit={limit}")):
        await run_batch(
            connect(simulator),
            texts(tmp_path / "t.csv", "ab"),
            workflow_id=TEXT,
            out=tmp_path / "o",
            limit=limit,
        )
    assert not (tmp_path / "o").exists()


async def test_until_ordered_ends_without_waiting_and_resume_collects(simulate, connect, tmp_path):
    simulator = await simulate(run_time=3600.0)
    client, out = connect(simulator), tmp_path / "out"
    result = await asyncio.wait_for(
        run_batch(
            client,
            documents(tmp_path / "in", 30),
            workflow_id=DOCUMENT,
            out=out,
            until="ordered",
            max_in_flight=3,  # a row that is ordered holds no slot
        ),
        60,
    )
    assert (result.exit_code, result.ended_because) == (Exit.OK, "all_ordered")
    assert (result.counts.running, result.counts.planned) == (30, 0)
    assert summary(out)["in_flight"] == 30
    again = await resume_batch(client, out, until="ordered")  # nothing is left to order
    assert (again.ended_because, again.counts.running) == ("all_ordered", 30)
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_until_ordered_then_resume_collects_what_completed(simulate, connect, tmp_path):
    simulator = await simulate(run_time=0.2)
    client, out = connect(simulator), tmp_path / "out"
    first = await run_batch(
        client, texts(tmp_path / "t.csv", "abcdef"), workflow_id=TEXT, out=out, until="ordered", limit=4
    )
    assert first.ended_because == "limit_reached"
    assert (first.counts.running, first.counts.planned) == (4, 2)
    last = await resume_batch(client, out)
    assert last.ok
    assert len(lines(out / "results.jsonl")) == 6
    assert len(simulator.world.jobs) == 6
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_until_ordered_counts_what_cannot_be_ordered(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = documents(tmp_path / "in", 3)
    (tmp_path / "in" / "1.txt").unlink()
    result = await run_batch(
        connect(simulator),
        manifest,
        workflow_id=DOCUMENT,
        out=tmp_path / "out",
        until="ordered",
        skip_invalid=True,
    )
    assert (result.exit_code, result.ended_because) == (Exit.FAILED, "all_ordered")
    assert (result.counts.failed, result.counts.running) == (1, 2)


async def test_session_settings_tell_the_goal(simulate, connect, tmp_path):
    simulator = await simulate()
    out = tmp_path / "out"
    await run_batch(
        connect(simulator),
        texts(tmp_path / "t.csv", "ab"),
        workflow_id=TEXT,
        out=out,
        limit=1,
        until="ordered",
    )
    ((settings,),) = ask(out, "SELECT settings FROM sessions")
    assert {"limit": 1, "until": "ordered"}.items() <= json.loads(settings).items()


ODD = {
    "workflow_id": "Unkn0wnTypes0001",
    "inputs": [{"variable_name": "a", "display_name": "View", "type": "hologram"}],
}


async def test_resume_tells_types_that_are_not_known_again_where_rows_are_begun(simulate, connect, tmp_path):
    simulator = await simulate()
    simulator.serve_workflow(ODD)
    (tmp_path / "m.csv").write_text("View\nx\ny\n")
    client, out = connect(simulator), tmp_path / "out"

    async def told(work, *arguments, **options) -> bool:
        notices: list[str] = []
        watching = BatchObserver(notice=notices.append)
        await work(client, *arguments, out=out, watching=watching, until="ordered", **options)
        return any("View" in notice and "'hologram'" in notice for notice in notices)

    assert await told(run_batch, tmp_path / "m.csv", workflow_id=ODD["workflow_id"], limit=1)
    assert await told(resume_batch, limit=1)
    assert not await told(resume_batch)
