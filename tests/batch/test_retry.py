"""Rows that are tried again: their old jobs are asked first, in whatever process; and ids of elsewhere."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest
from batch_tools import DOCUMENT, TEXT, Notes, ask, documents, lines, recover, states, texts, until

from opus_async.batch import resolve_batch, resume_batch, retry_batch, run_batch
from opus_async.errors import ManifestError
from opus_async.exits import Exit
from opus_async.opus.api import Api


def keyed(path, rows):
    """A CSV with a key and a text a row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["key", "Text"], *rows.items()])
    return path


def jobs_of(directory):
    return dict(ask(directory, "SELECT key, remote_id FROM rows"))


def executions(simulator):
    """Text of a row -> how often any job was started for it."""
    started = Counter()
    for job in simulator.world.jobs:
        for text in job.inputs.values():
            started[text] += job.executions
    return started


def go_on(simulator, job_id, seconds):
    """Let a job that failed work on, for so many seconds from now on."""
    job = simulator.world.jobs.find(job_id)
    job.run = replace(
        job.run, failing_node=None, accepted_at=simulator.world.clock(), queue=0.0, work=seconds
    )


async def failed(simulate, connect, tmp_path, rows, **changes):
    simulator = await simulate(fail_share=1.0)
    manifest = keyed(tmp_path / "m.csv", rows)
    result = await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", **changes)
    assert result.counts.failed == len(rows)
    return simulator


async def test_batch_retry_collects_completed_jobs_watches_running_and_replaces_failed(
    simulate, connect, tmp_path
):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A", "b": "B", "c": "C"})
    before = jobs_of(tmp_path / "out")
    recover(simulator, before["a"])
    go_on(simulator, before["b"], 0.5)
    result = await retry_batch(connect(simulator), tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (2, 1)
    after = jobs_of(tmp_path / "out")
    assert (after["a"], after["b"], after["c"] != before["c"]) == (before["a"], before["b"], True)
    assert executions(simulator) == {"A": 1, "B": 1, "C": 2}
    assert {line["key"]: line["job_id"] for line in lines(tmp_path / "out" / "results.jsonl")} == {
        key: before[key] for key in "ab"
    }
    assert ask(tmp_path / "out", "SELECT orders, orders_before FROM rows WHERE key = 'c'") == [(1, 1)]


async def test_failures_jsonl_as_manifest_checks_old_jobs_before_starting_new_ones(
    simulate, connect, tmp_path
):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A", "b": "B", "c": "C"})
    before = jobs_of(tmp_path / "out")
    recover(simulator, before["a"])
    go_on(simulator, before["b"], 0.5)
    failures = tmp_path / "out" / "failures.jsonl"
    result = await run_batch(connect(simulator), failures, workflow_id=TEXT, out=tmp_path / "again")
    assert (result.counts.completed, result.counts.failed) == (2, 1)
    after = jobs_of(tmp_path / "again")
    assert (after["a"], after["b"], after["c"] != before["c"]) == (before["a"], before["b"], True)
    assert executions(simulator) == {"A": 1, "B": 1, "C": 2}
    recover(simulator, after["c"])  # and so does the batch that came of it
    result = await retry_batch(connect(simulator), tmp_path / "again")
    assert (result.ok, executions(simulator)) == (True, {"A": 1, "B": 1, "C": 2})


async def test_failures_jsonl_edited_line_gets_no_results_of_old_job(simulate, connect, tmp_path):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A", "b": "B"})
    before = jobs_of(tmp_path / "out")
    recover(simulator, before["a"])
    failures = tmp_path / "out" / "failures.jsonl"
    failures.write_text(failures.read_text().replace('"Text": "A"', '"Text": "other A"'))
    assert "other A" in failures.read_text()
    result = await run_batch(connect(simulator), failures, workflow_id=TEXT, out=tmp_path / "again")
    assert (result.counts.unknown, result.counts.failed) == (1, 1)
    assert executions(simulator) == {"A": 1, "B": 2}
    (told,) = ask(tmp_path / "again", "SELECT error FROM rows WHERE key = 'a'")
    assert "has completed after all" in told[0]


async def test_failures_jsonl_job_named_by_two_lines_is_collected_for_one(simulate, connect, tmp_path):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A"})
    recover(simulator, jobs_of(tmp_path / "out")["a"])
    failures = tmp_path / "out" / "failures.jsonl"
    line = failures.read_text()
    failures.write_text(line + line.replace('"key": "a"', '"key": "copy"'))
    result = await run_batch(connect(simulator), failures, workflow_id=TEXT, out=tmp_path / "again")
    assert (result.counts.completed, result.counts.failed) == (1, 1)
    assert executions(simulator) == {"A": 2}


async def test_failures_jsonl_is_refused_on_host_that_does_not_know_its_jobs(simulate, connect, tmp_path):
    await failed(simulate, connect, tmp_path, {"a": "A"})
    other = await simulate()
    failures = tmp_path / "out" / "failures.jsonl"
    with pytest.raises(ManifestError, match="cannot be asked here"):
        await run_batch(connect(other), failures, workflow_id=TEXT, out=tmp_path / "again")
    result = await run_batch(
        connect(other), failures, workflow_id=TEXT, out=tmp_path / "again", accept_second_bill=True
    )
    assert result.ok


async def test_failures_jsonl_line_removed_before_its_job_was_checked_is_withdrawn(
    simulate, connect, tmp_path
):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A", "b": "B"})
    failures = tmp_path / "out" / "failures.jsonl"
    stopped = Notes()
    stopped.control.interrupt()
    first = await run_batch(
        connect(simulator), failures, workflow_id=TEXT, out=tmp_path / "again", watching=stopped.watching
    )
    assert first.counts.planned == 2
    failures.write_text(failures.read_text().splitlines(keepends=True)[0])
    result = await resume_batch(connect(simulator), tmp_path / "again")
    assert (result.counts.total, executions(simulator)["B"]) == (1, 1)


async def test_batch_retry_collects_completed_job_though_input_files_are_gone(simulate, connect, tmp_path):
    simulator = await simulate(fail_share=1.0)
    manifest = documents(tmp_path / "in", 2)
    await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    recover(simulator, jobs_of(tmp_path / "out")["K0"])
    for index in range(2):
        (tmp_path / "in" / f"{index}.txt").unlink()
    result = await retry_batch(connect(simulator), tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (1, 1)
    assert len(simulator.world.jobs) == 2


@pytest.mark.parametrize("accept", [False, True])
async def test_batch_resume_replaces_deleted_unknown_job_only_with_accept_second_bill(
    simulate, connect, tmp_path, accept
):
    simulator = await simulate(run_time=30)
    manifest = keyed(tmp_path / "m.csv", {"unknown": "A"})
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", timeout=0.3)
    simulator.world.jobs.remove(simulator.world.jobs.find(jobs_of(tmp_path / "out")["unknown"]))
    notes = Notes()
    notes.control.interrupt()  # planned anew, and nothing is begun
    await retry_batch(
        connect(simulator),
        tmp_path / "out",
        only=["unknown"],
        accept_second_bill=True,
        watching=notes.watching,
    )
    assert states(tmp_path / "out") == {"planned": 1}
    result = await resume_batch(
        connect(simulator), tmp_path / "out", accept_second_bill=accept, settings={"timeout": 1}
    )
    assert result.counts.unknown == 1
    assert len(simulator.world.jobs) == accept  # without a word from this command nothing is ordered


async def test_batch_retry_replaces_failed_job_deleted_on_platform(simulate, connect, tmp_path):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A"})
    simulator.world.jobs.remove(simulator.world.jobs.find(jobs_of(tmp_path / "out")["a"]))
    await retry_batch(connect(simulator), tmp_path / "out")
    assert len(simulator.world.jobs) == 1
    assert states(tmp_path / "out") == {"failed": 1}


async def test_batch_retry_of_edited_row_gets_no_results_of_old_job(simulate, connect, tmp_path):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A", "b": "B"})
    recover(simulator, jobs_of(tmp_path / "out")["a"])
    keyed(tmp_path / "m.csv", {"a": "AA", "b": "BB"})
    await retry_batch(connect(simulator), tmp_path / "out")
    assert executions(simulator) == {"A": 1, "B": 1, "BB": 1}
    assert dict(ask(tmp_path / "out", "SELECT key, state FROM rows")) == {"a": "unknown", "b": "failed"}
    resumed = await resume_batch(connect(simulator), tmp_path / "out")
    assert (resumed.counts.unknown, resumed.exit_code) == (1, Exit.UNKNOWN)
    await retry_batch(connect(simulator), tmp_path / "out", only=["unknown"], accept_second_bill=True)
    assert executions(simulator)["AA"] == 1
    assert lines(tmp_path / "out" / "results.jsonl") == []


async def test_batch_retry_checks_job_of_row_resolved_as_failed_before_replacing_it(
    simulate, connect, tmp_path
):
    simulator = await simulate(run_time=1)
    manifest = keyed(tmp_path / "m.csv", {"a": "A"})
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", timeout=0.3)
    for decision in ("failed", "retry"):
        with pytest.raises(ManifestError, match="accept_second_bill=True"):
            await resolve_batch(tmp_path / "out", decision)
    await resolve_batch(tmp_path / "out", "failed", accept_second_bill=True)
    result = await retry_batch(connect(simulator), tmp_path / "out", settings={"timeout": 30})
    assert result.ok
    assert executions(simulator) == {"A": 1}


async def test_batch_resolve_with_client_queries_platform_first(simulate, connect, tmp_path):
    simulator = await simulate(run_time=30)
    manifest = keyed(tmp_path / "m.csv", {"a": "A"})
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", timeout=0.3)
    with closing(sqlite3.connect(tmp_path / "out" / "ledger.db")) as database, database:
        database.execute("UPDATE rows SET status = NULL")
        database.execute("DELETE FROM history WHERE state = 'running'")  # the answer was lost
    with pytest.raises(ManifestError, match="were started"):
        await resolve_batch(tmp_path / "out", "retry", client=connect(simulator))
    assert await resolve_batch(tmp_path / "out", "retry") == 1


async def test_batch_retry_on_other_host_needs_accept_second_bill(simulate, connect, tmp_path):
    await failed(simulate, connect, tmp_path, {"a": "A", "b": "B"})
    other = await simulate()
    for _ in range(2):
        with pytest.raises(ManifestError, match="2 rows to be tried again have jobs elsewhere"):
            await retry_batch(connect(other), tmp_path / "out", force=True)
        await resume_batch(connect(other), tmp_path / "out", force=True)  # nothing to do: the world moves on
    result = await retry_batch(connect(other), tmp_path / "out", force=True, accept_second_bill=True)
    assert result.ok
    assert executions(other) == {"A": 1, "B": 1}


async def test_second_bill_accepted_once_is_not_kept_so_resume_waits_for_old_jobs(
    simulate, connect, tmp_path
):
    simulator = await simulate(run_time=2)
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", timeout=0.3)
    before = jobs_of(tmp_path / "out")
    failures = tmp_path / "out" / "failures.jsonl"
    notes = Notes()
    notes.control.interrupt()
    await run_batch(
        connect(simulator),
        failures,
        workflow_id=TEXT,
        out=tmp_path / "again",
        accept_second_bill=True,
        watching=notes.watching,
    )
    assert states(tmp_path / "again") == {"planned": 2}
    result = await resume_batch(connect(simulator), tmp_path / "again", settings={"timeout": 0.1})
    assert result.counts.unknown == 2
    assert jobs_of(tmp_path / "again") == before
    assert b'"accept_second_bill' not in (tmp_path / "again" / "ledger.db").read_bytes()
    assert (await resume_batch(connect(simulator), tmp_path / "again", settings={"timeout": 30})).ok
    assert sum(job.executions for job in simulator.world.jobs) == 2  # billed once


async def test_batch_resolve_of_row_from_failures_jsonl_checks_its_old_job(simulate, connect, tmp_path):
    simulator = await simulate(run_time=30)
    manifest = texts(tmp_path / "m.csv", ["a"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", timeout=0.3)
    notes = Notes()
    notes.control.interrupt()
    again = tmp_path / "again"
    failures = tmp_path / "out" / "failures.jsonl"
    await run_batch(
        connect(simulator),
        failures,
        workflow_id=TEXT,
        out=again,
        accept_second_bill=True,
        watching=notes.watching,
    )
    await resume_batch(connect(simulator), again, settings={"timeout": 0.1})
    async with connect(simulator) as client:
        with pytest.raises(ManifestError, match="accept_second_bill=True"):
            await resolve_batch(again, "retry", client=client)
    assert sum(job.executions for job in simulator.world.jobs) == 1


async def test_failures_jsonl_of_other_workflow_gets_no_results_of_old_jobs(simulate, connect, tmp_path):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A"})
    recover(simulator, jobs_of(tmp_path / "out")["a"])
    failures = tmp_path / "out" / "failures.jsonl"
    edited = failures.read_text().replace('"workflow_id": "', '"workflow_id": "other')
    (tmp_path / "other.jsonl").write_text(edited)
    result = await run_batch(
        connect(simulator), tmp_path / "other.jsonl", workflow_id=TEXT, out=tmp_path / "one"
    )
    assert result.counts.unknown == 1
    assert executions(simulator) == {"A": 1}


async def failed_with_constants(simulate, connect, tmp_path, constants, columns="key,Document"):
    """A batch of one row, whose job has completed after all; returns the simulator and the row's line."""
    simulator = await simulate(fail_share=1.0)
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "m.csv").write_text(f"{columns}\na,a.txt\n")
    result = await run_batch(
        connect(simulator),
        tmp_path / "m.csv",
        workflow_id=DOCUMENT,
        out=tmp_path / "out",
        constants=constants,
    )
    assert result.counts.failed == 1
    recover(simulator, jobs_of(tmp_path / "out")["a"])
    (line,) = lines(tmp_path / "out" / "failures.jsonl")
    return simulator, line


async def run_line(simulator, connect, tmp_path, line, constants):
    """Run a line of ``failures.jsonl`` as a batch of its own; returns its counts."""
    failures = tmp_path / "out" / "failures.jsonl"
    failures.write_text(json.dumps(line) + "\n")
    result = await run_batch(
        connect(simulator),
        failures,
        workflow_id=DOCUMENT,
        out=tmp_path / "again",
        constants=constants,
        allow_outside=True,
    )
    return result.counts


SET = {"Threshold": "0.8"}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        (({}, {}), "completed"),
        (({}, SET), "completed"),
        (({"Threshold": None}, SET), "completed"),
        (({"Threshold": None}, {"Threshold": 0.8}), "completed"),
        (({"Threshold": 0.8}, {}), "completed"),
        (({}, {"Threshold": "0.9"}), "completed"),  # the line has a value of its own
        (({}, {"Note": "strict"}), "unknown"),
        (({"Threshold": None}, {}), "unknown"),
        (({"Threshold": None}, {"Threshold": "0.9"}), "unknown"),
        (({"Threshold": "0.9"}, SET), "unknown"),
        (({"Note": "strict"}, {}), "unknown"),
    ],
)
async def test_failures_jsonl_of_a_batch_with_constants_takes_results_of_the_same_request_alone(
    simulate, connect, tmp_path, changes, state
):
    edited, constants = changes
    simulator, line = await failed_with_constants(simulate, connect, tmp_path, SET)
    line = {name: value for name, value in {**line, **edited}.items() if value is not None}
    counts = await run_line(simulator, connect, tmp_path, line, constants)
    assert (getattr(counts, state), counts.total) == (1, 1)
    assert [job.executions for job in simulator.world.jobs] == [1]


@pytest.mark.parametrize(("again", "state"), [("b", "completed"), ("other b", "unknown")])
async def test_failures_jsonl_of_a_batch_with_a_constant_file_takes_results_of_its_content_alone(
    simulate, connect, tmp_path, again, state
):
    constant = tmp_path / "b.txt"
    constant.write_text("b")
    simulator, line = await failed_with_constants(
        simulate, connect, tmp_path, {"Document": str(constant)}, columns="key,Note"
    )
    constant.write_text(again)
    counts = await run_line(simulator, connect, tmp_path, line, {})
    assert (getattr(counts, state), counts.total) == (1, 1)
    assert [job.executions for job in simulator.world.jobs] == [1]


async def test_constant_that_was_changed_with_force_takes_no_results_of_the_one_before(
    simulate, connect, tmp_path
):
    simulator, _ = await failed_with_constants(simulate, connect, tmp_path, SET)
    result = await retry_batch(
        connect(simulator), tmp_path / "out", order={"constants": {"Threshold": "0.9"}}, force=True
    )
    assert (result.counts.unknown, result.counts.total) == (1, 1)
    assert [job.executions for job in simulator.world.jobs] == [1]


async def test_constant_that_was_changed_for_rows_not_begun_is_what_their_jobs_were_made_for(
    simulate, connect, tmp_path
):
    simulator = await simulate(fail_share=1.0)
    manifest = documents(tmp_path / "in", 1)
    stopped = Notes()
    stopped.control.interrupt()
    await run_batch(
        connect(simulator),
        manifest,
        workflow_id=DOCUMENT,
        out=tmp_path / "out",
        constants=SET,
        watching=stopped.watching,
    )
    assert states(tmp_path / "out") == {"planned": 1}
    changed = {"order": {"constants": {"Threshold": "0.9"}}, "force": True}
    await resume_batch(connect(simulator), tmp_path / "out", **changed)
    recover(simulator, jobs_of(tmp_path / "out")["K0"])
    (line,) = lines(tmp_path / "out" / "failures.jsonl")
    assert line["Threshold"] == "0.9"
    counts = await run_line(simulator, connect, tmp_path, line, {})
    assert (counts.completed, counts.total) == (1, 1)


async def test_ledger_of_an_earlier_release_keeps_digests_without_constants(simulate, connect, tmp_path):
    simulator, _ = await failed_with_constants(simulate, connect, tmp_path, SET)
    mark = {"Document": {"files": [[".txt", hashlib.sha256(b"a").hexdigest()]]}}
    digest = hashlib.sha256(json.dumps(mark, separators=(",", ":")).encode()).hexdigest()
    with closing(sqlite3.connect(tmp_path / "out" / "ledger.db", isolation_level=None)) as database:
        database.execute("DELETE FROM meta WHERE name = 'constants_in_digests'")
        database.execute("UPDATE rows SET digest = ?", [digest])
        database.execute("UPDATE jobs SET digest = ?", [digest])
    result = await retry_batch(connect(simulator), tmp_path / "out")
    assert (result.ok, result.counts.total) == (True, 1)
    with (tmp_path / "m.csv").open("a") as manifest:
        manifest.write("b,a.txt\n")
    result = await resume_batch(connect(simulator), tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (1, 1)


async def test_failures_jsonl_line_with_unreadable_job_id_is_refused(simulate, connect, tmp_path):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A"})
    failures = tmp_path / "out" / "failures.jsonl"
    (job,) = jobs_of(tmp_path / "out").values()
    recover(simulator, job)
    lines_ = failures.read_text()
    failures.write_text(lines_.replace(f'"job_id": "{job}"', '"job_id": ["?"]'))
    with pytest.raises(ManifestError, match="does not tell any more"):
        await run_batch(connect(simulator), failures, workflow_id=TEXT, out=tmp_path / "again")
    failures.write_text(lines_.replace(f'"job_id": "{job}"', f'"job_id": {job}'))  # as a table writes it
    assert (await run_batch(connect(simulator), failures, workflow_id=TEXT, out=tmp_path / "again")).ok
    assert executions(simulator) == {"A": 1}


def asked_at_once(monkeypatch):
    """A list with the most requests for a status that were under way together."""
    now, most, poll = [0], [0], Api.poll

    async def counted(*args, **kwargs):
        now[0] += 1
        most[0] = max(most[0], now[0])
        try:
            return await poll(*args, **kwargs)
        finally:
            now[0] -= 1

    monkeypatch.setattr(Api, "poll", counted)
    return most


async def test_batch_retry_of_many_rows_resumes_after_interrupt_without_new_jobs(
    simulate, connect, tmp_path, monkeypatch
):
    rows = {f"K{row}": f"text {row}" for row in range(150)}
    simulator = await failed(simulate, connect, tmp_path, rows)
    for job_id in jobs_of(tmp_path / "out").values():
        recover(simulator, job_id)
    notes = Notes()
    most = asked_at_once(monkeypatch)
    running = asyncio.create_task(retry_batch(connect(simulator), tmp_path / "out", watching=notes.watching))
    await until(lambda: states(tmp_path / "out").get("completed"))
    assert most[0] > 5
    notes.control.interrupt()
    notes.control.interrupt()
    await running
    result = await resume_batch(connect(simulator), tmp_path / "out")
    assert result.ok
    assert set(executions(simulator).values()) == {1}


# An id is used where it was made, and for one row


async def with_shells(simulator, client, tmp_path, monkeypatch):
    """A batch of two rows whose shells are known, and of which nothing is ordered."""
    from opus_async.batch.ledger import SqliteLedger

    reached = asyncio.Event()

    async def never(*_):
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(SqliteLedger, "ordering", never)
        running = asyncio.create_task(
            run_batch(
                client,
                keyed(tmp_path / "m.csv", {"a": "A", "b": "B"}),
                workflow_id=TEXT,
                out=tmp_path / "out",
            )
        )
        await until(lambda: len(simulator.world.jobs) == 2)
        await until(
            lambda: (
                (tmp_path / "out" / "ledger.db").exists() and None not in jobs_of(tmp_path / "out").values()
            )
        )
        assert reached.is_set()
        running.cancel()
        await asyncio.wait([running])
    return jobs_of(tmp_path / "out")


async def test_batch_resume_uses_jobs_created_but_not_started_before(
    simulate, connect, tmp_path, monkeypatch
):
    simulator = await simulate()
    shells = await with_shells(simulator, connect(simulator), tmp_path, monkeypatch)
    assert (await resume_batch(connect(simulator), tmp_path / "out")).ok
    assert jobs_of(tmp_path / "out") == shells
    assert len(simulator.world.jobs) == 2


@pytest.mark.parametrize("moved", ["host", "generation", "version", "workflow"])
async def test_batch_resume_never_starts_job_created_on_other_host_version_or_workflow(
    simulate, connect, tmp_path, monkeypatch, moved
):
    simulator = await simulate()
    shells = await with_shells(simulator, connect(simulator), tmp_path, monkeypatch)
    other, client, order = simulator, connect(simulator), {}
    if moved == "host":
        other = await simulate()
        client = connect(other)
        others = [await client.jobs.initiate(TEXT) for _ in shells]  # the same ids, of somebody else's jobs
        assert set(others) == set(shells.values())
    elif moved == "generation":
        client = connect(simulator, api="v1")
    elif moved == "version":
        order = {"version_number": 3}  # the very one that was live: it need not be the next time
    else:
        order = {"workflow_id": DOCUMENT, "columns": {"Text": ""}}
    with pytest.raises(ManifestError, match="force=True"):
        await resume_batch(client, tmp_path / "out", order=order)
    result = await resume_batch(client, tmp_path / "out", order=order, force=True)
    assert not set(shells.values()) & set(jobs_of(tmp_path / "out").values())
    for world in (simulator.world, other.world):
        assert not any(world.jobs.find(shell).executions for shell in shells.values())
    assert result.summary["stray_shells"] >= 2


@pytest.mark.parametrize("earlier", ["another row of this process", "a row of an earlier process"])
async def test_batch_run_starts_no_job_twice_if_platform_repeats_job_ids(
    simulate, connect, tmp_path, monkeypatch, earlier
):
    simulator = await simulate()
    if earlier.endswith("earlier process"):
        await run_batch(
            connect(simulator), keyed(tmp_path / "m.csv", {"0": "0"}), workflow_id=TEXT, out=tmp_path / "out"
        )
    first = simulator.world.jobs
    opened = first.open
    asked = []

    def cached(*args, **kwargs):
        """What a cache in between answers: every other time an id that was there before."""
        asked.append(args)
        known = list(first)
        return known[0] if known and len(asked) % 2 else opened(*args, **kwargs)

    monkeypatch.setattr(first, "open", cached)
    rows = {str(row): str(row) for row in range(8)}
    begin = resume_batch if earlier.endswith("earlier process") else run_batch
    more = {} if begin is resume_batch else {"workflow_id": TEXT, "out": tmp_path / "out"}
    target = tmp_path / "out" if begin is resume_batch else tmp_path / "m.csv"
    keyed(tmp_path / "m.csv", rows)
    assert (await begin(connect(simulator), target, **more)).ok
    assert executions(simulator) == dict.fromkeys(rows, 1)
    assert len(set(jobs_of(tmp_path / "out").values())) == 8


async def test_batch_run_starts_job_once_if_platform_always_returns_same_id(
    simulate, connect, tmp_path, monkeypatch
):
    simulator = await simulate()
    opened = simulator.world.jobs.open
    monkeypatch.setattr(
        simulator.world.jobs,
        "open",
        lambda *args, **kwargs: next(iter(simulator.world.jobs), None) or opened(*args, **kwargs),
    )
    manifest = keyed(tmp_path / "m.csv", {"a": "A", "b": "B"})
    result = await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (1, 1)
    assert sum(executions(simulator).values()) == 1
    [failure] = lines(tmp_path / "out" / "failures.jsonl")
    assert "the id of another job" in failure["_opus"]["error"]


async def test_batch_retry_continues_ledger_of_schema_version_1(simulate, connect, tmp_path):
    simulator = await failed(simulate, connect, tmp_path, {"a": "A", "b": "B"})
    with closing(sqlite3.connect(tmp_path / "out" / "ledger.db", isolation_level=None)) as database:
        database.executescript(
            """
            DROP TABLE jobs; DROP TABLE worlds;
            UPDATE meta SET value = '1' WHERE name = 'schema_version';
            UPDATE meta SET value = '{"skip_invalid": false, "accept_second_bill": true}'
            WHERE name = 'rules';
            ALTER TABLE rows DROP COLUMN retried_from;
            ALTER TABLE rows DROP COLUMN doubt;
            ALTER TABLE rows DROP COLUMN decided_by;
            ALTER TABLE sessions DROP COLUMN settle_after;
            """
        )
    recover(simulator, jobs_of(tmp_path / "out")["a"])
    result = await retry_batch(connect(simulator), tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (1, 1)
    assert executions(simulator) == {"A": 1, "B": 2}
    assert ask(tmp_path / "out", "SELECT value FROM meta WHERE name = 'schema_version'") == [("2",)]
