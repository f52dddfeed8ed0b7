"""Whole batches on a simulator in this loop: what runs, what is left, and what a second run makes of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from batch_tools import (
    DOCUMENT,
    REPORT,
    TEXT,
    Notes,
    ask,
    content,
    documents,
    lines,
    sha256,
    states,
    texts,
    until,
)

from opus_async.batch import RowsRefused, resolve_batch, resume_batch, retry_batch, run_batch
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.running import row_runner
from opus_async.errors import LedgerBusy, LedgerError, ManifestError
from opus_async.exits import Exit


async def test_batch_run_gives_every_row_its_result(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = documents(tmp_path / "in", 40)
    result = await run_batch(
        connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out", max_in_flight=8
    )
    assert result.ok
    assert (result.exit_code, result.ended_because) == (Exit.OK, "finished")
    found = {line["key"]: line for line in lines(tmp_path / "out" / "results.jsonl")}
    assert len(found) == 40
    for index in range(40):
        line = found[f"K{index}"]
        assert set(line) == {"index", "key", "job_id", "status", "outputs", "timings"}
        assert (line["index"], line["status"]) == (index, "COMPLETED")
        assert line["outputs"]["SHA-256"] == sha256(content(index))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["total"], summary["completed"], summary["exit_code"]) == (40, 40, 0)
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000
    assert list(result.results()) == lines(tmp_path / "out" / "results.jsonl")
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_batch_ledger_knows_lines_of_rows_and_name_of_workflow(simulate, connect, tmp_path):
    manifest = tmp_path / "m.csv"
    manifest.write_text('Text,key\n"two\nlines",a\n\none,b\n')
    client = connect(await simulate())
    await run_batch(client, manifest, workflow_id=TEXT, out=tmp_path / "out")
    with LedgerReader(tmp_path / "out") as ledger:
        places = {row.key: row.location for row in ledger.rows()}
        assert (ledger.meta.workflow.name, ledger.meta.workflow.job_page) == ("Text only", None)
    assert places == {"a": "line 2", "b": "line 5"}
    manifest.write_text('Text,key\none,b\nthree,c\n"two\nlines",a\n')
    await resume_batch(client, tmp_path / "out")
    with LedgerReader(tmp_path / "out") as ledger:
        places = {row.key: row.location for row in ledger.rows()}
    assert places == {"b": "line 2", "c": "line 3", "a": "line 4"}


async def test_batch_run_keeps_max_in_flight(simulate, connect, tmp_path):
    simulator = await simulate(run_time=0.1)
    client = connect(simulator)
    most = 0

    def watch(_):
        nonlocal most
        running = [job for job in simulator.world.jobs if job.run is not None]
        now = simulator.world.clock()
        most = max(most, sum(job.status(now) != "COMPLETED" for job in running))

    with client.listening(watch):
        manifest = texts(tmp_path / "m.csv", map(str, range(60)))
        await run_batch(client, manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=7)
    assert 3 <= most <= 7


async def test_batch_resume_of_completed_batch_needs_no_network(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    nowhere = connect(simulator, base_url="http://127.0.0.1:9")
    result = await resume_batch(nowhere, tmp_path / "out")
    assert (result.ok, result.exit_code) == (True, Exit.OK)


async def test_batch_run_refuses_directory_with_ledger(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    with pytest.raises(ManifestError, match="opus-async batch resume"):
        await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")


async def test_batch_run_refuses_bad_rows_before_sending_unless_skip_invalid(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = documents(tmp_path / "in", 3)
    (tmp_path / "in" / "1.txt").unlink()
    with pytest.raises(ManifestError, match=r"1 of 3 rows .* nothing was sent[\s\S]*1\.txt"):
        await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    assert not (tmp_path / "out" / "ledger.db").exists()
    assert not simulator.world.jobs

    result = await run_batch(
        connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out", skip_invalid=True
    )
    assert result.exit_code == Exit.FAILED
    assert states(tmp_path / "out") == {"completed": 2, "failed": 1}
    [failure] = lines(tmp_path / "out" / "failures.jsonl")
    assert (failure["key"], failure["_opus"]["status"], failure["_opus"]["job_id"]) == ("K1", "FAILED", None)
    assert "1.txt" in failure["_opus"]["error"]


BAD_ROWS = "key,Text,Junk\nk1,a,\nk2,b,c,d\nk3\nk4,e,\n,,\nk5,,only junk\nkey,Text,Junk\nk6,f,\n"


async def test_batch_skip_invalid_fails_each_bad_line_alone_and_runs_the_others(simulate, connect, tmp_path):
    simulator = await simulate()
    client, out = connect(simulator), tmp_path / "out"
    manifest = tmp_path / "m.csv"
    manifest.write_text(BAD_ROWS)
    with pytest.raises(RowsRefused, match=r"4 of 7 rows") as refused:
        await run_batch(client, manifest, workflow_id=TEXT, out=out)
    told = [problem.partition(": ")[0] for problem in refused.value.problems]
    assert told == ["line 3", "line 4", "line 7", "line 8"]
    assert not simulator.world.jobs

    result = await run_batch(client, manifest, workflow_id=TEXT, out=out, skip_invalid=True)
    assert result.exit_code == Exit.FAILED
    assert sorted(line["index"] for line in lines(out / "results.jsonl")) == [0, 3, 6]
    failures = lines(out / "failures.jsonl")
    assert [line["_opus"]["index"] for line in failures] == [1, 2, 4, 5]
    assert [line["Text"] for line in failures if "Text" in line] == [None] * 3, (
        "not what stands in a wrong place"
    )
    again = tmp_path / "again"
    with pytest.raises(RowsRefused, match=r"4 of 4 rows"):
        await run_batch(client, out / "failures.jsonl", workflow_id=TEXT, out=again)

    manifest.write_text("key,Text,Junk\nk1,a,\nk2,b,c\nk3,x,\nk4,e,\nk5,y,\nk6,f,\n")
    result = await resume_batch(client, out)
    assert result.ok
    assert sorted(line["outputs"]["Text"] for line in lines(out / "results.jsonl")) == list("abefxy")
    assert len(simulator.world.jobs) == 6


async def test_batch_retry_orders_no_row_that_could_not_be_read(simulate, connect, tmp_path):
    simulator = await simulate()
    client, out = connect(simulator), tmp_path / "out"
    manifest = tmp_path / "m.csv"
    manifest.write_text(BAD_ROWS)
    await run_batch(client, manifest, workflow_id=TEXT, out=out, skip_invalid=True)
    manifest.unlink()
    result = await retry_batch(client, out)
    assert (result.counts.completed, result.counts.failed) == (3, 4)
    assert len(simulator.world.jobs) == 3


@pytest.mark.parametrize("skip", [True, False])
async def test_batch_column_left_out_makes_no_row_bad(simulate, connect, tmp_path, skip):
    simulator = await simulate()
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"Text": "a", "Junk": NaN}\n{"Text": "b"}\n')
    order = {"workflow_id": TEXT, "out": tmp_path / "out", "skip_invalid": skip}
    result = await run_batch(connect(simulator), manifest, **order, columns={"Junk": ""})
    assert result.ok
    assert len(simulator.world.jobs) == 2


async def test_batch_constants_alone_make_no_job(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = tmp_path / "m.csv"
    (tmp_path / "a.txt").write_text("a")
    order = {"workflow_id": DOCUMENT, "constants": {"Document": str(tmp_path / "a.txt")}}
    manifest.write_text("Junk\nx\ny\n")
    with pytest.raises(RowsRefused, match="no row fills any input of the workflow, which takes 'Document'"):
        await run_batch(connect(simulator), manifest, out=tmp_path / "out", **order, skip_invalid=True)
    manifest.write_text("Threshold,Junk\n0.1,x\n,y\n\u00a0,\n0.2,\n")
    await run_batch(connect(simulator), manifest, out=tmp_path / "out", **order, skip_invalid=True)
    assert states(tmp_path / "out") == {"completed": 2, "failed": 1}
    assert len(simulator.world.jobs) == 2


async def test_batch_run_reports_manifest_problems_before_row_problems(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = documents(tmp_path, 30)
    for index in range(30):
        (tmp_path / f"{index}.txt").unlink()
    manifest.write_text(manifest.read_text() + "K30,manifest.csv\n")
    order = {"workflow_id": DOCUMENT, "out": tmp_path / "out"}
    for skip in (True, False):
        with pytest.raises(RowsRefused) as refused:
            await run_batch(connect(simulator), manifest, **order, title="{Nmu}", skip_invalid=skip)
        said = refused.value.message.splitlines()
        assert said[0].startswith("The manifest cannot be run: --title names the column 'Nmu'")
        assert "--title names the column 'Nmu'" in said[1]
        assert "skip-invalid" not in refused.value.message
        assert "allow_outside=True" in refused.value.__notes__[0]
    with pytest.raises(RowsRefused, match="or let the others run") as refused:
        await run_batch(connect(simulator), manifest, **order)
    assert str(refused.value).endswith(". skip_invalid=True runs the others.")
    problems = refused.value.problems
    assert len(problems) == 21
    assert (
        problems[-1]
        == f"... and {refused.value.validation.error_count - 20} more (opus-async batch validate lists all)"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"columns": "Datei=Document"}, "pass columns={'Datei': 'Document'}"),
        ({"columns": ["Datei"]}, "pass columns={'Column': 'Input'}"),
        ({"constants": "Threshold=1"}, "pass constants={'Threshold': '1'}"),
    ],
)
async def test_batch_run_and_retry_arguments_of_wrong_type_name_the_right_form(
    simulate, connect, tmp_path, given, told
):
    client = connect(await simulate())
    with pytest.raises(ManifestError) as refused:
        await run_batch(client, tmp_path / "m.csv", workflow_id=TEXT, out=tmp_path / "out", **given)
    assert told in refused.value.message
    with pytest.raises(ManifestError, match=r"pass only=\('failed',\)"):
        await retry_batch(client, tmp_path / "out", only="failed")


async def test_batch_run_runs_identical_rows_and_reports_them(simulate, connect, tmp_path):
    simulator = await simulate()
    notes = Notes()
    manifest = texts(tmp_path / "m.csv", ["same", "other", "same", "same"])
    await run_batch(
        connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", watching=notes.watching
    )
    keys = [key for (key,) in ask(tmp_path / "out", "SELECT key FROM rows ORDER BY position")]
    assert keys[2:] == [f"{keys[0]}~2", f"{keys[0]}~3"]
    assert notes.said("2 rows are identical to earlier ones")
    assert len(lines(tmp_path / "out" / "results.jsonl")) == 4


async def test_batch_resume_accepts_grown_and_reordered_manifest(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a", "b", "c"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    before = {line["outputs"]["Text"]: line["job_id"] for line in lines(tmp_path / "out" / "results.jsonl")}
    texts(manifest, ["new", "c", "a", "b", "newer"])
    result = await resume_batch(connect(simulator), tmp_path / "out")
    assert result.ok
    after = {line["outputs"]["Text"]: line["job_id"] for line in lines(tmp_path / "out" / "results.jsonl")}
    assert set(after) == {"a", "b", "c", "new", "newer"}
    assert {text: after[text] for text in before} == before
    assert len(simulator.world.jobs) == 5


async def test_batch_resume_ignores_added_columns_that_fill_no_input(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    manifest.write_text("Remark,title,Text\nx,A,a\ny,B,b\n")
    result = await resume_batch(connect(simulator), tmp_path / "out")
    assert (result.ok, result.counts.total) == (True, 2)
    assert len(simulator.world.jobs) == 2


async def test_batch_resume_refuses_changed_row_under_same_key_without_force(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = tmp_path / "m.csv"
    manifest.write_text("key,Text\n1,a\n2,b\n")
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    manifest.write_text("key,Text\n1,a\n2,other\n3,c\n")
    with pytest.raises(ManifestError, match=r"1 row has run and asks for something else now \(2\)"):
        await resume_batch(connect(simulator), tmp_path / "out")
    result = await resume_batch(connect(simulator), tmp_path / "out", force=True)
    assert (result.ok, result.counts.total) == (True, 3)
    texts_now = {line["key"]: line["outputs"]["Text"] for line in lines(tmp_path / "out" / "results.jsonl")}
    assert texts_now == {"1": "a", "2": "b", "3": "c"}


async def test_batch_retry_works_without_manifest_file(simulate, connect, tmp_path):
    simulator = await simulate(fail_share=1.0)
    manifest = texts(tmp_path / "m.csv", ["a"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    manifest.unlink()
    result = await retry_batch(connect(simulator), tmp_path / "out")
    assert len(simulator.world.jobs) == 2
    assert result.counts.failed == 1


async def test_batch_resume_fetches_lost_result_lines_without_new_jobs(simulate, connect, tmp_path):
    simulator = await simulate()
    notes = Notes()
    manifest = texts(tmp_path / "m.csv", ["a", "b", "c"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    results = tmp_path / "out" / "results.jsonl"
    results.write_bytes(results.read_bytes().splitlines(keepends=True)[0])
    result = await resume_batch(connect(simulator), tmp_path / "out", watching=notes.watching)
    assert result.ok
    assert notes.said("Lines are missing from results.jsonl (2)")
    assert {line["outputs"]["Text"] for line in lines(results)} == {"a", "b", "c"}
    assert len(simulator.world.jobs) == 3


async def test_batch_resume_accepts_manifest_moved_with_its_files(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = documents(tmp_path / "in", 4, keys=False)
    await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    (tmp_path / "in").rename(tmp_path / "moved")
    result = await resume_batch(
        connect(simulator), tmp_path / "out", manifest=tmp_path / "moved" / "manifest.csv"
    )
    assert result.ok
    assert result.counts.total == 4
    assert len(simulator.world.jobs) == 4


async def test_batch_resume_keeps_rows_whose_files_were_deleted(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = documents(tmp_path / "in", 3, keys=False)
    await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    for index in range(3):
        (tmp_path / "in" / f"{index}.txt").unlink()
    (tmp_path / "in" / "3.txt").write_bytes(content(3))
    with manifest.open("a") as file:
        file.write("3.txt\n")
    result = await resume_batch(connect(simulator), tmp_path / "out")
    assert (result.ok, result.counts.total) == (True, 4)


async def test_batch_resume_with_changed_title_needs_force(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", title="A {Text}")
    texts(manifest, ["a", "b", "c"])
    with pytest.raises(ManifestError, match=r"title was 'A \{Text\}', and is 'B' now"):
        await resume_batch(connect(simulator), tmp_path / "out", order={"title": "B"})
    assert (await resume_batch(connect(simulator), tmp_path / "out", order={"title": "B"}, force=True)).ok
    titles = sorted(job.request["title"] for job in simulator.world.jobs)
    assert titles == ["A a", "A b", "B"]


async def test_batch_resume_accepts_other_settings(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", ["a"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=5)
    texts(manifest, ["a", "b"])
    await resume_batch(connect(simulator), tmp_path / "out", settings={"max_in_flight": 2})
    [(first,), (second,)] = ask(tmp_path / "out", "SELECT settings FROM sessions ORDER BY id")
    assert json.loads(first)["max_in_flight"] == 5
    assert json.loads(second)["max_in_flight"] == 2


async def test_batch_retry_runs_failed_rows_as_new_jobs(simulate, connect, tmp_path):
    simulator = await simulate(fail_share=0.5, seed=3)
    manifest = texts(tmp_path / "m.csv", map(str, range(20)))
    first = await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    failed = first.counts.failed
    assert 0 < failed < 20
    assert first.exit_code == Exit.FAILED
    failures = lines(tmp_path / "out" / "failures.jsonl")
    assert len(failures) == failed
    assert all(line["_opus"]["status"] == "FAILED" and line["_opus"]["job_id"] for line in failures)
    for _ in range(12):
        result = await retry_batch(connect(simulator), tmp_path / "out")
        if result.ok:
            break
    assert result.ok
    assert lines(tmp_path / "out" / "failures.jsonl") == []
    assert len(lines(tmp_path / "out" / "results.jsonl")) == 20
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_failures_jsonl_is_manifest_of_new_batch_with_allow_outside(simulate, connect, tmp_path):
    simulator = await simulate(fail_share=0.5, seed=3)
    manifest = documents(tmp_path / "in", 10)
    await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    failed = lines(tmp_path / "out" / "failures.jsonl")
    assert failed
    manifest = tmp_path / "out" / "failures.jsonl"
    options = {"workflow_id": DOCUMENT, "out": tmp_path / "again"}
    with pytest.raises(RowsRefused, match="--allow-outside"):  # its files lie where the old manifest does
        await run_batch(connect(simulator), manifest, **options)
    again = await run_batch(connect(simulator), manifest, **options, allow_outside=True)
    assert again.counts.total == len(failed)


async def test_batch_resume_refuses_directory_in_use(simulate, connect, tmp_path):
    simulator = await simulate(run_time=30)
    notes = Notes()
    manifest = texts(tmp_path / "m.csv", ["a"])
    first = asyncio.create_task(
        run_batch(
            connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", watching=notes.watching
        )
    )
    await until(lambda: (tmp_path / "out" / "ledger.db").exists() and states(tmp_path / "out").get("running"))
    with pytest.raises(LedgerBusy, match=r"process \d+"):
        await resume_batch(connect(simulator), tmp_path / "out")
    notes.control.interrupt()
    notes.control.interrupt()
    assert (await first).exit_code == Exit.INTERRUPTED


async def test_batch_resume_refuses_directory_without_batch(simulate, connect, tmp_path):
    with pytest.raises(LedgerError, match="no batch"):
        await resume_batch(connect(await simulate()), tmp_path)


async def test_trap_36_batch_resume_completes_batch_after_interrupt(simulate, connect, tmp_path):
    simulator = await simulate(run_time=0.3)
    notes = Notes()
    manifest = texts(tmp_path / "m.csv", map(str, range(30)))
    running = asyncio.create_task(
        run_batch(
            connect(simulator),
            manifest,
            workflow_id=TEXT,
            out=tmp_path / "out",
            max_in_flight=5,
            watching=notes.watching,
        )
    )
    await until(lambda: simulator.state()["counters"]["executed_jobs"] >= 8)  # some of the second five run
    notes.control.interrupt()
    result = await running
    assert (result.exit_code, result.ended_because) == (Exit.INTERRUPTED, "interrupted")
    assert result.counts.planned > 0
    assert result.counts.in_flight == 0  # those under way were near their end, and were waited for
    assert notes.said("Waiting at most 30 s for")
    assert ask(tmp_path / "out", "PRAGMA integrity_check") == [("ok",)]
    assert (await resume_batch(connect(simulator), tmp_path / "out")).ok
    counters = simulator.state()["counters"]  # a row that was given back may have left a shell, unbilled
    assert (counters["executions"], counters["executed_twice"]) == (30, [])


async def test_batch_run_second_interrupt_leaves_at_once_and_resume_collects(simulate, connect, tmp_path):
    simulator = await simulate(run_time=2)
    notes = Notes()
    manifest = texts(tmp_path / "m.csv", map(str, range(6)))
    running = asyncio.create_task(
        run_batch(
            connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", watching=notes.watching
        )
    )
    await until(
        lambda: (tmp_path / "out" / "ledger.db").exists() and states(tmp_path / "out").get("running") == 6
    )
    notes.control.interrupt()
    notes.control.interrupt()
    result = await asyncio.wait_for(running, 1.5)
    assert result.counts.in_flight == 6
    assert (await resume_batch(connect(simulator), tmp_path / "out")).ok
    assert simulator.state()["counters"]["executed_twice"] == []
    assert len(simulator.world.jobs) == 6


async def test_batch_run_cancelled_task_can_be_resumed(simulate, connect, tmp_path):
    simulator = await simulate(run_time=1)
    manifest = texts(tmp_path / "m.csv", map(str, range(4)))
    running = asyncio.create_task(
        run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    )
    await until(
        lambda: (tmp_path / "out" / "ledger.db").exists() and states(tmp_path / "out").get("running") == 4
    )
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await resume_batch(connect(simulator), tmp_path / "out")).ok
    assert len(simulator.world.jobs) == 4


@pytest.mark.parametrize(("halt", "leaves"), [("now,fail=1", True), ("soon,fail=1", False)])
async def test_batch_run_halt_policy_halts_after_failures(simulate, connect, tmp_path, halt, leaves):
    simulator = await simulate(fail_share=1.0)
    manifest = texts(tmp_path / "m.csv", map(str, range(50)))
    result = await run_batch(
        connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=5, halt=halt
    )
    assert result.exit_code == Exit.HALTED
    assert result.ended_because.startswith(f"--halt {halt}: ")
    assert result.counts.planned > 30
    if not leaves:
        assert result.counts.in_flight == 0


async def test_batch_run_rows_waiting_for_a_person_hold_no_slot(simulate, connect, tmp_path, monkeypatch):
    monkeypatch.setattr(row_runner, "PARKED_POLL_MIN", 0.5)
    simulator = await simulate(waiting_share=0.5, waiting_time=1.5, seed=5)
    manifest = texts(tmp_path / "m.csv", map(str, range(30)))
    client = connect(simulator)
    parked = set()

    def watch(event):
        if getattr(event, "stage", None) == "parked":
            parked.add(event.index)

    with client.listening(watch):
        result = await run_batch(client, manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=2)
    assert result.ok
    assert len(parked) > 5  # with two slots they would have waited for each other
    for line in lines(tmp_path / "out" / "results.jsonl"):
        if line["index"] in parked:
            assert 1 < line["timings"]["parked"] < line["timings"]["total"]


async def test_batch_run_timed_out_rows_are_unknown_and_resume_collects_them(simulate, connect, tmp_path):
    simulator = await simulate(run_time=1)
    manifest = texts(tmp_path / "m.csv", ["a", "b"])
    result = await run_batch(
        connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", timeout=0.4
    )
    assert (result.exit_code, result.counts.unknown) == (Exit.UNKNOWN, 2)
    assert {line["_opus"]["status"] for line in lines(tmp_path / "out" / "failures.jsonl")} == {"UNKNOWN"}
    with pytest.raises(ManifestError, match="--accept-second-bill"):
        await run_batch(
            connect(simulator), tmp_path / "out" / "failures.jsonl", workflow_id=TEXT, out=tmp_path / "new"
        )
    with pytest.raises(ManifestError, match="accept_second_bill=True"):
        await retry_batch(connect(simulator), tmp_path / "out", only=["unknown"])
    result = await resume_batch(connect(simulator), tmp_path / "out", settings={"timeout": 60})
    assert result.ok
    assert len(simulator.world.jobs) == 2


@pytest.mark.parametrize(
    ("decision", "becomes"),
    [
        ("done", ("completed", "completed")),
        ("failed", ("failed", "failed")),
        ("retry", ("planned", "completed")),
    ],
)
async def test_batch_resolve_decides_unknown_rows(simulate, connect, tmp_path, decision, becomes):
    state, then = becomes
    simulator = await simulate(run_time=1)
    manifest = texts(tmp_path / "m.csv", ["a"])
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", timeout=0.3)
    accept = decision != "done"  # it was started
    assert await resolve_batch(tmp_path / "out", decision, accept_second_bill=accept) == 1
    assert states(tmp_path / "out") == {state: 1}
    await resume_batch(connect(simulator), tmp_path / "out", settings={"timeout": 60})
    assert states(tmp_path / "out") == {then: 1}
    assert len(simulator.world.jobs) == 1
    with pytest.raises(ManifestError):
        await resolve_batch(tmp_path / "out", decision, keys=["no such key"])


async def test_batch_run_downloads_output_files(simulate, connect, tmp_path):
    simulator = await simulate(keep_files=tmp_path / "stored")
    source = tmp_path / "in"
    source.mkdir()
    manifest = source / "m.csv"
    (source / "a.pdf").write_bytes(b"%PDF-1.4 a")
    manifest.write_text("key,Document,Text\n../x,a.pdf,hello\n")
    result = await run_batch(
        connect(simulator), manifest, workflow_id=REPORT, out=tmp_path / "out", download_outputs=True
    )
    assert result.ok, lines(tmp_path / "out" / "failures.jsonl")
    [line] = lines(tmp_path / "out" / "results.jsonl")
    assert line["files"]
    for file in line["files"]:
        path = tmp_path / "out" / file["path"]
        assert path.resolve().is_relative_to((tmp_path / "out" / "outputs").resolve())
        assert sha256(path.read_bytes()) == file["sha256"]


async def test_batch_run_uploads_identical_content_once(simulate, connect, tmp_path):
    simulator = await simulate()
    source = tmp_path / "in"
    source.mkdir()
    for index in range(5):
        (source / f"{index}.txt").write_bytes(b"the same")
    manifest = source / "m.csv"
    manifest.write_text("Document,Note\n" + "".join(f"{index}.txt,{index}\n" for index in range(5)))
    result = await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
    assert result.ok
    assert result.summary["duplicate_uploads_saved"] == 4
