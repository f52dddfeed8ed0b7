"""An application's eager task factory changes nothing for jobs, listeners, uploads, callbacks and batches."""

from __future__ import annotations

import pytest
from client_tools import DOCUMENT, TEXT
from eager_tasks import eager_tasks

from opus_async import CallbackReceiver, InvalidInputs
from opus_async.batch import run_batch


@pytest.fixture(autouse=True)
async def _eager():
    with eager_tasks():
        yield


async def test_eager_tasks_coroutine_listener_receives_every_event(simulate, connect):
    heard, plain = [], []

    async def listen(event):
        heard.append(event)

    opus = connect(await simulate(), listeners=[listen, plain.append])
    assert (await opus.run(TEXT, {"Text": "x"})).ok
    await opus.close()
    assert len(heard) == len(plain) > 3
    assert heard == plain


async def test_eager_tasks_coroutine_listener_does_not_run_inside_the_emitter(simulate, connect):
    order = []

    async def listen(_):
        order.append("heard")

    def plain(_):
        order.append("told")

    opus = connect(await simulate(), listeners=[listen, plain])
    await opus.run(TEXT, {"Text": "x"})
    await opus.close()
    assert order[:2] == ["told", "heard"] or order[:2] == ["told", "told"]


async def test_eager_tasks_many_jobs_with_callbacks_complete(simulate, connect):
    receiver = CallbackReceiver()
    async with receiver.listening():
        opus = connect(await simulate(), callback=receiver)
        rows = ({"Text": str(number)} for number in range(40))
        outcomes = [outcome async for outcome in opus.run_many(TEXT, rows, max_in_flight=10)]
        await opus.close()
    assert sorted(outcome.outputs["Text"] for outcome in outcomes) == sorted(map(str, range(40)))


async def test_eager_tasks_upload_many_raises_first_failure_alone(simulate, connect, tmp_path):
    opus = connect(await simulate())
    with pytest.raises(InvalidInputs, match=r"absent\.txt"):
        await opus.files.upload_many([tmp_path / "absent.txt", b"x", tmp_path / "absent too.txt"])
    await opus.close()


async def test_eager_tasks_batch_with_files_completes(simulate, connect, tmp_path):
    manifest = tmp_path / "m.csv"
    for number in range(20):
        (tmp_path / f"{number}.pdf").write_bytes(b"%PDF-1.7 " + str(number).encode())
    manifest.write_text("Document\n" + "".join(f"{number}.pdf\n" for number in range(20)))
    simulator = await simulate()
    opus = connect(simulator)
    result = await run_batch(opus, str(manifest), workflow_id=DOCUMENT, out=tmp_path / "out")
    await opus.close()
    assert result.exit_code == 0
    assert simulator.state()["counters"]["executed_twice"] == []
