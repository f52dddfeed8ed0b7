"""A task factory that starts tasks eagerly changes nothing."""

from __future__ import annotations

import asyncio
import csv

import pytest
from client_tools import DOCUMENT, TEXT, document, sha256
from eager_tasks import set_eager

from opus_async import CallbackReceiver, JobRequest
from opus_async.batch import run_batch
from opus_async.batch.rows import Counts
from opus_async.tasks import start_soon


@pytest.fixture
async def eager():
    loop = asyncio.get_running_loop()
    set_eager(loop)
    yield
    loop.set_task_factory(None)


async def test_factory_of_these_tests_is_eager(eager):
    steps = []

    async def work():
        steps.append("first step")
        await asyncio.sleep(0)

    task = asyncio.get_running_loop().create_task(work())
    assert steps == ["first step"]
    await task


async def test_task_of_ours_begins_after_its_maker_has_it(eager):
    steps = []

    async def work():
        steps.append("first step")

    task = start_soon(work(), name="ours")
    assert steps == []
    await task
    assert (steps, task.get_name()) == (["first step"], "ours")


async def test_coroutine_listener_hears_all_that_a_plain_one_hears(eager, simulate, connect):
    heard, told = [], []

    async def listener(event):
        await asyncio.sleep(0)
        heard.append(event)

    async def at_once(event):
        heard_at_once.append(event)

    heard_at_once = []
    opus = connect(await simulate(), listeners=[listener, at_once, told.append])
    assert (await opus.run(TEXT, {"Text": "x"}, timeout=20)).ok
    await opus.close()
    assert len(told) > 5
    assert heard == heard_at_once == told


async def test_many_jobs_with_files_run(eager, simulate, connect):
    opus = connect(await simulate())
    rows = [JobRequest({"Document": (f"{n}.txt", document(n))}) for n in range(20)]
    outcomes = [outcome async for outcome in opus.run_many(DOCUMENT, rows, max_in_flight=4)]
    assert sorted(outcome.index for outcome in outcomes) == list(range(20))
    assert all(outcome.outputs["SHA-256"] == sha256(document(outcome.index)) for outcome in outcomes)


async def test_callbacks_wake_their_jobs(eager, simulate, connect):
    receiver = CallbackReceiver()
    simulator = await simulate()
    async with receiver.listening():
        opus = connect(simulator, callback=receiver)
        assert (await opus.run(TEXT, {"Text": "x"}, timeout=20)).ok


async def test_batch_runs(eager, simulate, connect, tmp_path):
    opus = connect(await simulate())
    manifest = tmp_path / "m.csv"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["Text"], *([str(n)] for n in range(30))])
    result = await run_batch(opus, manifest, workflow_id=TEXT, out=tmp_path / "b", max_in_flight=7)
    assert result.counts == Counts(completed=30)
