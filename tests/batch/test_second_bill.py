"""What could make a row that has run be run, and billed, again: all of it is refused, or needs to be said."""

from __future__ import annotations

import asyncio

import pytest
from batch_tools import DOCUMENT, TEXT, Notes, ask, content, documents, lines, states, texts, until

from opus_async.batch import resolve_batch, resume_batch, retry_batch, run_batch
from opus_async.batch.running import session
from opus_async.errors import ManifestError
from opus_async.exits import Exit


async def test_batch_resume_refuses_manifest_without_rows_that_ran_until_accepted(
    simulate, connect, tmp_path
):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a", "b", "c"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    texts(manifest, ["a", "B ", "c"])
    for force in (False, True, False):
        with pytest.raises(ManifestError, match=r"1 row that has run is not in .*accept_second_bill=True"):
            await resume_batch(connect(simulator), tmp_path / "out", force=force)
    assert len(simulator.world.jobs) == 3
    texts(manifest, ["a", "b", "c", "d"])
    assert (await resume_batch(connect(simulator), tmp_path / "out")).counts.total == 4
    texts(manifest, ["a", "B", "c", "d"])
    result = await resume_batch(connect(simulator), tmp_path / "out", accept_second_bill=True)
    assert (result.ok, result.counts.total) == (True, 5)
    texts(manifest, ["a", "B", "c", "d", "e"])  # what is missing since then was accepted
    assert (await resume_batch(connect(simulator), tmp_path / "out")).counts.total == 6


async def test_batch_resume_refused_manifest_changes_nothing(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("".join(f'{{"Text": "wrong {row}"}}\n' for row in range(300)) + "{broken\n")
    with pytest.raises(ManifestError, match="line 301"):
        await resume_batch(connect(simulator), tmp_path / "out", manifest=wrong)
    result = await resume_batch(connect(simulator), tmp_path / "out")
    assert (result.ok, result.counts.total) == (True, 2)
    assert len(simulator.world.jobs) == 2


@pytest.mark.parametrize("kind", ["csv", "folder"])
async def test_batch_retry_refuses_documents_edited_after_they_ran_until_accepted(
    simulate, connect, tmp_path, kind
):
    simulator = await simulate(fail_share=0.3, seed=4)
    manifest = documents(tmp_path / "in", 10, keys=False)
    if kind == "folder":
        manifest.unlink()
        manifest = tmp_path / "in"
    first = await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    assert first.counts.failed
    ran = len(simulator.world.jobs)
    for index in range(10):
        (tmp_path / "in" / f"{index}.txt").write_bytes(content(index) + b"edited")
    with pytest.raises(ManifestError, match=r"their files hold something else"):
        await retry_batch(connect(simulator), tmp_path / "out")
    assert len(simulator.world.jobs) == ran
    assert states(tmp_path / "out") == {
        "completed": first.counts.completed,
        "failed": first.counts.failed,
    }
    accepted = await retry_batch(connect(simulator), tmp_path / "out", accept_second_bill=True)
    assert accepted.counts.total >= 10 + first.counts.completed


async def test_failures_jsonl_rows_possibly_billed_are_unknown_in_new_batch(simulate, connect, tmp_path):
    simulator = await simulate(run_time=1)
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", timeout=0.3)
    failures = tmp_path / "out" / "failures.jsonl"
    again = await run_batch(
        connect(simulator), failures, workflow_id=TEXT, out=tmp_path / "again", skip_invalid=True
    )
    assert (again.counts.unknown, again.exit_code) == (2, Exit.UNKNOWN)
    assert {line["_opus"]["status"] for line in lines(tmp_path / "again" / "failures.jsonl")} == {"UNKNOWN"}
    await retry_batch(connect(simulator), tmp_path / "again")
    failures.touch()
    await resume_batch(connect(simulator), tmp_path / "again")
    assert states(tmp_path / "again") == {"unknown": 2}
    assert len(simulator.world.jobs) == 2
    result = await run_batch(
        connect(simulator), failures, workflow_id=TEXT, out=tmp_path / "third", accept_second_bill=True
    )
    assert result.ok
    failures.touch()
    assert (await resume_batch(connect(simulator), tmp_path / "third")).ok


async def test_batch_resolve_refuses_to_fail_or_retry_completed_job(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    ledger = tmp_path / "out" / "ledger.db"
    import sqlite3

    with sqlite3.connect(ledger) as database:
        database.execute("UPDATE rows SET state = 'unknown', status = 'COMPLETED', result_offset = NULL")
    database.close()
    (tmp_path / "out" / "results.jsonl").write_bytes(b"")  # a line would prove that the row completed
    for decision in ("failed", "retry"):
        with pytest.raises(ManifestError, match="accept_second_bill=True"):
            await resolve_batch(tmp_path / "out", decision)
    assert await resolve_batch(tmp_path / "out", "failed", accept_second_bill=True) == 1


async def test_failures_jsonl_is_emptied_while_batch_retry_runs(simulate, connect, tmp_path):
    simulator = await simulate(fail_share=1.0, run_time=0.5)
    notes = Notes()
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    assert len(lines(tmp_path / "out" / "failures.jsonl")) == 2
    running = asyncio.create_task(retry_batch(connect(simulator), tmp_path / "out", watching=notes.watching))
    await until(lambda: len(simulator.world.jobs) == 4)
    assert lines(tmp_path / "out" / "failures.jsonl") == []
    await running


async def test_batch_resume_refuses_running_jobs_of_other_host_even_with_force(simulate, connect, tmp_path):
    simulator, other = await simulate(run_time=30), await simulate()
    notes = Notes()
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    running = asyncio.create_task(
        run_batch(
            connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", watching=notes.watching
        )
    )
    await until(
        lambda: (tmp_path / "out" / "ledger.db").exists() and states(tmp_path / "out").get("running") == 2
    )
    notes.control.interrupt()
    notes.control.interrupt()
    await running
    for force in (False, True):
        with pytest.raises(ManifestError, match="2 rows have jobs elsewhere"):
            await resume_batch(connect(other), tmp_path / "out", force=force)


async def test_batch_run_cancelled_twice_can_be_resumed(simulate, connect, tmp_path):
    simulator = await simulate(run_time=0.5)
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    for _ in range(3):
        running = asyncio.create_task(
            resume_batch(connect(simulator), tmp_path / "out")
            if (tmp_path / "out" / "ledger.db").exists()
            else run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
        )
        await until(lambda: (tmp_path / "out" / "ledger.db").exists() and states(tmp_path / "out"))
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
    assert (await resume_batch(connect(simulator), tmp_path / "out")).ok
    assert len(simulator.world.jobs) <= 4  # shells at most, beside the two jobs
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_batch_run_internal_error_leaves_row_unknown_and_resumable(
    simulate, connect, tmp_path, monkeypatch
):
    from opus_async.batch.running import row_runner

    simulator = await simulate()

    def broken(*_, **__):
        raise RuntimeError("oh")

    monkeypatch.setattr(row_runner, "from_outcome", broken)
    manifest = texts(tmp_path / "m.csv", ["a"])
    result = await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    assert (result.exit_code, result.counts.unknown) == (Exit.UNKNOWN, 1)
    monkeypatch.undo()
    assert (await resume_batch(connect(simulator), tmp_path / "out")).ok
    assert len(simulator.world.jobs) == 1


def test_session_exit_code_is_failed_if_rows_are_left_without_reason():
    from opus_async.batch import Counts

    assert session.session_exit_code(None, Counts(completed=3, running=1)) is Exit.FAILED
    assert session.session_exit_code(None, Counts(completed=3)) is Exit.OK


async def test_batch_resume_does_not_restart_row_whose_file_changed_since_planning(
    simulate, connect, tmp_path
):
    simulator = await simulate()
    manifest = documents(tmp_path / "in", 1)
    await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    [(job,)] = ask(tmp_path / "out", "SELECT remote_id FROM rows")
    simulator.world.jobs.remove(simulator.world.jobs.find(job))
    shell = await connect(simulator).jobs.initiate(DOCUMENT)
    import sqlite3

    with sqlite3.connect(tmp_path / "out" / "ledger.db") as database:
        database.execute(
            "UPDATE rows SET state = 'ordering', remote_id = ?, status = NULL, result_offset = NULL, "
            "result_length = NULL, orders = 1",
            (shell,),
        )
        database.execute("UPDATE jobs SET remote_id = ?", (shell,))
    database.close()
    (tmp_path / "out" / "results.jsonl").write_bytes(b"")
    (tmp_path / "in" / "0.txt").write_bytes(b"something else")
    result = await resume_batch(connect(simulator), tmp_path / "out")
    assert (result.counts.failed, result.counts.completed) == (1, 0)
    [failure] = lines(tmp_path / "out" / "failures.jsonl")
    assert "has changed since the batch was planned" in failure["_opus"]["error"]


async def test_batch_run_refused_manifest_leaves_no_directory_and_no_files(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", [""])
    with pytest.raises(ManifestError):
        await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(ManifestError):
        await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


async def test_batch_retry_uploads_files_again(simulate, connect, tmp_path):
    simulator = await simulate(fail_share=1.0)
    manifest = documents(tmp_path / "in", 2)
    await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    before = simulator.state()["counters"]["uploads"]
    await retry_batch(connect(simulator), tmp_path / "out")
    assert simulator.state()["counters"]["uploads"] == before + 2
