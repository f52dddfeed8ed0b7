"""Durable batches at a shell: what is typed, told and left behind. Ctrl-C is in test_batch_signals.py."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import re
import shlex
import sqlite3
import stat
from contextlib import closing

import pytest
from batch_command import DOCUMENT, TEXT, beginning, going_on, notes, texts
from command_line import SECONDS, WRONG_KEY, Terminal, leading_to
from simulator_thread import SimulatorThread

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.cli import argument_types
from opus_async.cli.batch import spec_options, status
from opus_async.cli.errors import WrongUse
from opus_async.simulator import SimulatorConfig, SimulatorProcess


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def following(said):
    """The commands that are told as the next steps."""
    return [
        line.strip() for line in said.out.partition("Next:\n")[2].splitlines() if line.startswith("      ")
    ]


def typed(opus, told, **options):
    """Type what was told."""
    program, *words = shlex.split(told)
    assert program == "opus-async"
    return opus(*words, **options)


def executions(process):
    return process.state(jobs="0")["counters"]


@pytest.fixture(scope="module")
def failing():
    with SimulatorThread(SimulatorConfig(run_time=0.1, fail_share=1)) as process:
        yield process


@pytest.fixture(scope="module")
def endless():
    """Jobs that never end while a test looks."""
    with SimulatorProcess(SimulatorConfig(run_time=600)) as process:
        yield process


# Run


def test_batch_run_writes_result_per_row_and_promised_files(opus, to, tmp_path):
    notes(tmp_path, 5)
    said = opus("batch", "run", "notes.csv", "--workflow", DOCUMENT, "--out", "b", env=to)
    assert said.code == 0, said
    assert said.out.startswith("b: all rows are completed")
    assert "completed  5" in said.out
    assert following(said) == ["opus-async batch export b --format csv"]
    for line in lines(tmp_path / "b" / "results.jsonl"):
        assert list(line) == ["index", "key", "job_id", "status", "outputs", "timings"]
        content = (tmp_path / "docs" / f"note-{line['index']}.txt").read_bytes()
        assert line["outputs"]["SHA-256"] == hashlib.sha256(content).hexdigest()
    names = {path.name for path in (tmp_path / "b").iterdir()}
    assert names >= {"ledger.db", "results.jsonl", "failures.jsonl", "report.html", "summary.json"}
    assert stat.S_IMODE((tmp_path / "b" / "ledger.db").stat().st_mode) == 0o600


def test_batch_run_prints_plain_progress_lines_on_stderr(opus, to, tmp_path):
    texts(tmp_path, 3)
    said = opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env={**to, "CI": "true"})
    assert said.code == 0
    assert "\x1b" not in said.err + said.out
    first, begun, *_, last = said.err.splitlines()
    assert first == "b: 0 s: reading the workflow"
    assert begun.startswith("b: 0 s: 0/3 done, 0 failed, 0 in flight")
    assert "3/3 done" in last


def test_batch_run_json_prints_summary(opus, to, tmp_path):
    texts(tmp_path, 2)
    said = opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", "--json", env=to)
    assert said.code == 0
    assert said.json == json.loads((tmp_path / "b" / "summary.json").read_text())
    assert (said.json["total"], said.json["completed"], said.json["ended_because"]) == (2, 2, "finished")


def test_batch_run_accepts_quoted_glob_and_explains_unquoted_one(opus, to, tmp_path):
    notes(tmp_path, 3)
    into = ("--workflow", DOCUMENT, "--out", "b")
    said = opus("batch", "run", "docs/note-0.txt", "docs/note-1.txt", "docs/note-2.txt", *into, env=to)
    assert said.code == 2
    assert "these are 3: docs/note-0.txt, docs/note-1.txt ..." in said.err
    assert "in quotes" in said.err
    said = opus("batch", "run", "docs/note-[01].txt", *into, "--set", "Threshold=0.8", "--json", env=to)
    assert (said.code, said.json["completed"]) == (0, 2), said.err
    with LedgerReader(tmp_path / "b") as ledger:
        assert ledger.meta.constants == {"Threshold": "0.8"}


def test_batch_run_suggests_missing_out_option(opus, tmp_path):
    for manifest, out in (
        ("a/invoices.csv", "invoices-batch"),
        ("docs/*.pdf", "docs-batch"),
        ("*.x", "my-batch"),
    ):
        said = opus("batch", "run", manifest, "--workflow", "W")
        assert said.code == 2
        assert f"For example: --out {out}\n" in said.err


def test_batch_run_refuses_out_that_is_a_file(opus, tmp_path):
    texts(tmp_path, 1)
    said = opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "texts.csv")
    assert (said.code, "--out: texts.csv is there, and is no folder" in said.err) == (2, True)


def test_batch_run_refuses_directory_with_batch_and_names_resume(opus, to, tmp_path):
    texts(tmp_path, 1)
    words = ("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b")
    assert opus(*words, env=to).code == 0
    said = opus(*words, env=to)
    assert said.code == 2
    assert "'opus-async batch resume b' goes on with it" in said.err


def test_batch_run_options_reach_jobs_and_ledger(opus, to, simulator, tmp_path):
    (tmp_path / "odd.csv").write_text("Nummer;Inhalt;Rest\n17;hällo;x\n", "cp1252")
    before = set(simulator.state()["jobs"])
    said = opus(
        *(
            "batch",
            "run",
            "odd.csv",
            "--workflow",
            TEXT,
            "--out",
            "b",
            "--key",
            "Nummer",
            "--map",
            "Inhalt=Text",
        ),
        *(
            "--map",
            "Rest=",
            "--title",
            "Text {Nummer}",
            "--description",
            "of {Inhalt}",
            "--encoding",
            "cp1252",
        ),
        *("--max-in-flight", 3, "--upload-concurrency", 2, "--rate", "600/m", "--bandwidth", "5M"),
        *("--start-rate", "50/s", "--halt", "soon,fail=5%", "--timeout", 60, "--outage", 30, "--drain", 4),
        *("--on-ambiguous", "stop", "--delimiter", ";"),
        env=to,
    )
    assert said.code == 0, said.err
    (line,) = lines(tmp_path / "b" / "results.jsonl")
    assert (line["key"], line["outputs"]["Text"]) == ("17", "hällo")
    jobs = simulator.state()["jobs"]
    (job_id,) = set(jobs) - before
    assert jobs[job_id]["title"] == "Text 17"
    with LedgerReader(tmp_path / "b") as ledger:
        settings, client = ledger.meta.settings.as_facts(), ledger.meta.client.as_facts()
    assert settings == {
        "max_in_flight": 3,
        "start_rate": 50.0,
        "halt": "soon,fail=5%",
        "timeout": 60.0,
        "download_outputs": False,
        "drain_seconds": 4.0,
        "price": None,
    }
    limits, retry = client["limits"], client["retry"]
    assert (limits["upload_concurrency"], limits["api_rate"], limits["upload_bandwidth"]) == (
        2,
        10,
        5_000_000,
    )
    assert (retry["on_ambiguous"], retry["outage"]) == ("stop", 30)


def test_batch_run_exits_1_for_failed_rows_and_retry_tries_them_again(opus, failing, tmp_path):
    texts(tmp_path, 3)
    env = leading_to(failing)
    said = opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=env)
    assert said.code == 1
    assert "3 rows did not complete:" in said.out
    retry = "opus-async batch retry b --only failed"
    assert following(said) == [retry]
    failures = lines(tmp_path / "b" / "failures.jsonl")
    assert [line["Text"] for line in failures] == ["text 0", "text 1", "text 2"]
    again = typed(opus, retry + " --json", env=env)
    assert (again.code, again.json["failed"], again.json["attempts"]) == (1, 3, 6)
    assert "3 rows are tried again" in again.err


def test_batch_run_exits_3_at_halt_and_names_resume(opus, failing, tmp_path):
    texts(tmp_path, 30)
    words = ("--max-in-flight", 2, "--halt", "now,fail=2")
    said = opus(
        "batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", *words, env=leading_to(failing)
    )
    assert said.code == 3
    assert said.out.startswith("b: --halt now,fail=2: 2 of 2 rows failed")
    assert "halted: 2 of 2 rows failed; leaving" in said.err
    assert following(said)[0] == "opus-async batch resume b"


# Rows that cannot be run


def test_batch_run_exits_2_for_invalid_rows_and_sends_nothing(opus, to, simulator, tmp_path):
    notes(tmp_path, 3)
    (tmp_path / "docs" / "note-1.txt").unlink()
    before = set(simulator.state()["jobs"])
    said = opus("batch", "run", "notes.csv", "--workflow", DOCUMENT, "--out", "b", env=to)
    assert said.code == 2
    assert "1 of 3 rows cannot be run; nothing was sent" in said.err
    assert "WHAT IS WRONG" in said.err
    assert "--skip-invalid runs the others." in said.err
    assert "skip_invalid" not in said.err
    assert set(simulator.state()["jobs"]) == before
    assert not (tmp_path / "b" / "ledger.db").exists()
    told = said.err.partition("All of them, one by one: ")[2].strip()
    assert typed(opus, told, env=to).code == 2
    (problem,) = json.loads((tmp_path / "problems.json").read_text())["problems"]
    assert problem["file"] == "docs/note-1.txt"


def test_batch_run_refuses_manifest_wide_error_despite_skip_invalid(opus, to, tmp_path):
    notes(tmp_path, 3)
    words = ("--skip-invalid", "--title", "{Nmu}")
    said = opus("batch", "run", "notes.csv", "--workflow", DOCUMENT, "--out", "b", *words, env=to)
    assert said.code == 2
    assert "The manifest cannot be run: --title names the column 'Nmu'" in " ".join(said.err.split())
    assert "skip-invalid" not in said.err
    assert said.err.count("reading the workflow") <= 1


def test_batch_run_skip_invalid_runs_the_other_rows(opus, to, tmp_path):
    notes(tmp_path, 3)
    (tmp_path / "docs" / "note-1.txt").unlink()
    words = ("batch", "run", "notes.csv", "--workflow", DOCUMENT, "--out", "b", "--skip-invalid", "--json")
    said = opus(*words, env=to)
    assert (said.code, said.json["completed"], said.json["failed"]) == (1, 2, 1)


def test_batch_run_exits_2_for_missing_manifest(opus, to):
    said = opus("batch", "run", "gone.csv", "--workflow", TEXT, "--out", "b", env=to)
    assert said.code == 2
    assert "gone.csv does not exist" in said.err


def test_batch_validate_shows_column_binding_and_estimate(opus, to, tmp_path):
    notes(tmp_path, 3)
    words = ("batch", "validate", "notes.csv", "--workflow", DOCUMENT)
    said = opus(*words, env=to)
    assert said.code == 0
    assert "COLUMN" in said.out
    assert "3 rows: all can be run." in said.out
    assert "Expected: 3 jobs, 3 files" in said.out
    narrow = opus(*words, "--max-in-flight", 1, "--rate", "2/s", env=to)
    assert "1 of them at once; 2 requests a second" in narrow.out


def test_batch_validate_json_lists_every_problem(opus, to, tmp_path):
    with (tmp_path / "many.csv").open("w") as file:
        file.write("Document\n" + "".join(f"gone-{number}.txt\n" for number in range(1500)))
    words = ("batch", "validate", "many.csv", "--workflow", DOCUMENT, "--json")
    said = opus(*words, "-", env=to)
    assert said.code == 2
    assert len(said.json["problems"]) == said.json["error_count"] == 1500
    assert said.json["problems"][-1]["file"] == "gone-1499.txt"
    assert "errors" not in said.json
    filed = opus(*words, "all.json", env=to)
    assert filed.code == 2
    assert json.loads((tmp_path / "all.json").read_text()) == said.json
    assert "1,500" in filed.out
    assert opus(*words, "nowhere/all.json", env=to).code == 2
    good = texts(tmp_path, 2)
    said = opus("batch", "validate", good, "--workflow", TEXT, "--json", "-", env=to)
    assert (said.code, said.json["ok"], said.json["problems"]) == (0, True, [])


# A wrong key


def test_batch_run_exits_4_for_wrong_key_before_planning(opus, to, tmp_path):
    texts(tmp_path, 2)
    env = {**to, "OPUS_SERVICE_KEY": WRONG_KEY}
    said = opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=env)
    assert said.code == 4
    assert "'opus-async doctor' checks key" in said.err
    assert not (tmp_path / "b" / "ledger.db").exists()


# What meets every row


def test_batch_run_exits_4_for_exhausted_quota_and_fails_no_row(opus, tmp_path):
    texts(tmp_path, 5)
    with SimulatorThread(SimulatorConfig(traits=frozenset({"quota_exhausted"}))) as process:
        words = ("--workflow", TEXT, "--out", "b", "--json")
        said = opus("batch", "run", "texts.csv", *words, env=leading_to(process))
    assert said.code == 4
    assert (said.json["failed"], said.json["not_started"]) == (0, 5)
    assert "HTTP 402" in said.err
    assert said.err.rstrip().endswith("When it is mended, go on: opus-async batch resume b")


def test_batch_run_exits_3_after_host_outage_and_fails_no_row(opus, tmp_path):
    texts(tmp_path, 5)
    words = ("--max-in-flight", 2, "--outage", 1)
    with SimulatorProcess(SimulatorConfig(run_time=1)) as simulator:
        env = leading_to(simulator)
        with beginning(tmp_path, "texts.csv", TEXT, *words, env=env) as process:
            going_on(process, tmp_path)
            simulator.stop()
            said = process.stderr.read()
            assert process.wait(SECONDS) == 3
    assert "b: 127.0.0.1 does not answer (unsent: " in said
    assert re.search(r"^b: 127\.0\.0\.1 is given up, after \d+ s$", said, re.MULTILINE)
    assert "127.0.0.1 has given no good answer for" in said
    assert "opus-async wait" not in said  # the resume does that
    assert "RetryPolicy" not in said
    assert "go on: opus-async batch resume b\nWith --outage TIME (30m, 2h) it is waited for longer." in said
    status = opus("batch", "status", "b", "--json").json
    assert (status["failed"], status["unknown"]) == (0, 0)


# Going on


def test_batch_resume_uses_host_generation_and_settings_of_ledger(opus, endless, tmp_path):
    """By the generation and the host in the ledger, whatever the environment says of the generation."""
    texts(tmp_path, 3)
    env = leading_to(endless)
    words = ("--api", "v1", "--upload-concurrency", 5, "--timeout", 1)
    said = opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", *words, env=env)
    assert said.code == 5, said
    assert "unknown" in said.out
    key = {"OPUS_SERVICE_KEY": env["OPUS_SERVICE_KEY"], "OPUS_API": "v0"}
    said = opus("batch", "resume", "b", "--max-in-flight", 7, "--json", env=key)
    assert (said.code, said.json["unknown"]) == (5, 3), said.err
    assert said.err.startswith(f"opus-async: asking {env['OPUS_BASE_URL']}, where the batch was begun\n")
    with LedgerReader(tmp_path / "b") as ledger:
        assert ledger.meta.client.limits["upload_concurrency"] == 5
        assert ledger.meta.settings.max_in_flight == 7
        assert ledger.meta.settings.timeout == 1
    assert executions(endless)["executed_twice"] == []
    other = opus("batch", "resume", "b", "--api", "v0", env=key)
    assert other.code == 2
    assert "generation was 'v1', and is 'v0' now" in other.err


def test_batch_resume_and_retry_send_key_to_no_host_named_by_ledger_alone(opus, to, tmp_path):
    texts(tmp_path, 1)
    assert opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=to).code == 0
    with closing(sqlite3.connect(tmp_path / "b" / "ledger.db")) as ledger, ledger:
        there = (to["OPUS_BASE_URL"], "https://evil.test")
        ledger.execute("UPDATE meta SET value = replace(value, ?, ?)", there)
    for verb in ("resume", "retry"):
        said = opus("batch", verb, "b", env={"OPUS_SERVICE_KEY": to["OPUS_SERVICE_KEY"]})
        assert said.code == 4
        assert "evil.test" in said.err
        assert "OPUS_BASE_URL" in said.err


def test_batch_resume_needs_force_for_option_that_changes_results(opus, endless, tmp_path):
    texts(tmp_path, 1)
    env = leading_to(endless)
    words = ("--workflow", TEXT, "--out", "b", "--timeout", 1)
    assert opus("batch", "run", "texts.csv", *words, env=env).code == 5
    said = opus("batch", "resume", "b", "--title", "Text {key}", env=env)
    assert said.code == 2
    assert "--force" in said.err
    said = opus("batch", "resume", "b", "--title", "Text {key}", "--force", env=env)
    assert said.code == 5
    assert "Going on although something changed: title" in said.err


def test_batch_resume_of_finished_batch_takes_up_new_rows(opus, to, tmp_path):
    texts(tmp_path, 2)
    assert opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=to).code == 0
    assert opus("batch", "resume", "b", env=to).code == 0
    texts(tmp_path, 4, name="moved.csv")
    said = opus("batch", "resume", "b", "--manifest", "moved.csv", "--json", env=to)
    assert (said.code, said.json["completed"], said.json["attempts"]) == (0, 4, 4)


@pytest.mark.parametrize("verb", ["resume", "retry", "status", "report"])
def test_batch_command_exits_2_for_directory_without_batch(opus, to, tmp_path, verb):
    said = opus("batch", verb, "nowhere", env=to)
    assert said.code == 2
    assert "There is no batch in nowhere" in said.err
    assert not (tmp_path / "nowhere").exists()


def test_batch_resume_refuses_directory_in_use_and_names_process(opus, endless, tmp_path):
    texts(tmp_path, 1)
    env = leading_to(endless)
    with beginning(tmp_path, "texts.csv", TEXT, env=env) as first:
        going_on(first, tmp_path)
        said = opus("batch", "resume", "b", env=env)
        assert said.code == 2
        assert str(first.pid) in said.err


def test_batch_status_exits_1_for_corrupt_ledger(opus, to, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "ledger.db").write_text("this is no database, and long enough to be looked at" * 99)
    said = opus("batch", "status", "b", env=to)
    assert said.code == 1
    assert "ledger.db" in said.err


# Unknown rows


@pytest.fixture
def undecided(opus, endless, tmp_path):
    """A batch with three rows of which nobody knows how they ended; gives its environment."""
    texts(tmp_path, 3, keys=True)
    env = leading_to(endless)
    words = ("--workflow", TEXT, "--out", "b", "--timeout", 1)
    assert opus("batch", "run", "texts.csv", *words, env=env).code == 5
    return env


def test_batch_resolve_lists_and_decides_unknown_rows(opus, undecided, tmp_path):
    listed = opus("batch", "resolve", "b", "--as", "done")
    assert listed.code == 2
    assert [line.split()[0] for line in listed.out.splitlines()] == ["KEY", "k0", "k1", "k2"]
    assert "3 rows are unknown: name keys" in listed.err
    offered = [step["command"] for step in opus("batch", "status", "b", "--json").json["next"]]
    assert ["batch", "resolve", "b", "--as", "done", "--all"] in offered
    assert not [words for words in offered if words[-1] == "--all" and words[-2] != "done"]
    assert "jobs.wait" not in listed.out + opus("batch", "status", "b").out
    assert "opus-async audit " in listed.err
    assert opus("batch", "resolve", "b", "--as", "done", "k0", "--all").code == 2
    assert "done, retry or failed" in opus("batch", "resolve", "b", "--as", "well", "k0").err
    wrong = opus("batch", "resolve", "b", "--as", "done", "k9")
    assert (wrong.code, "there is no row with the key 'k9'" in wrong.err) == (2, True)
    done = opus("batch", "resolve", "b", "--as", "done", "k0")
    assert (done.code, "1 row decided: done" in done.err) == (0, True)
    for decision in ("failed", "retry"):
        started = opus("batch", "resolve", "b", "k1", "--as", decision)
        assert started.code == 2
        assert re.search(r"row 'k1': (IN_PROGRESS|accepted)", started.err), started.err
    failed = opus("batch", "resolve", "b", "k1", "--as", "failed", "--accept-second-bill")
    assert failed.code == 0
    again = opus("batch", "resolve", "b", "--as", "retry", "--all", "--accept-second-bill")
    assert again.code == 0
    status = opus("batch", "status", "b", "--json").json
    assert (status["completed"], status["failed"], status["planned"], status["unknown"]) == (1, 1, 1, 0)
    nothing = opus("batch", "resolve", "b", "--as", "done")
    assert (nothing.code, "nothing to decide" in nothing.err) == (2, True)
    summary = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert (summary["completed"], summary["not_started"]) == (1, 1)


def test_batch_retry_of_unknown_rows_needs_accept_second_bill(opus, undecided, endless):
    refused = opus("batch", "retry", "b", "--only", "failed,unknown", env=undecided)
    assert refused.code == 2
    assert "--accept-second-bill" in refused.err
    before, ordered = len(executions(endless)["executed_twice"]), executions(endless)["executions"]
    words = ("retry", "b", "--only", "unknown", "--only", "failed", "--accept-second-bill", "--json")
    said = opus("batch", *words, env=undecided)
    assert (said.code, said.json["unknown"], said.json["attempts"]) == (5, 3, 6)
    assert len(executions(endless)["executed_twice"]) == before
    assert executions(endless)["executions"] == ordered  # they run, and are waited for


def test_batch_resolve_asks_platform_and_falls_back_to_ledger(opus, undecided, tmp_path):
    with closing(sqlite3.connect(tmp_path / "b" / "ledger.db")) as database, database:
        database.execute("UPDATE rows SET status = NULL")
        database.execute("DELETE FROM history WHERE state = 'running'")  # the answer was lost
    refused = opus("batch", "resolve", "b", "--as", "retry", "k0", env=undecided)
    assert (refused.code, "row 'k0': IN_PROGRESS" in refused.err) == (2, True)
    unreachable = {**undecided, "OPUS_BASE_URL": "http://127.0.0.1:9"}
    offline = opus("batch", "resolve", "b", "--as", "retry", "k0", env=unreachable)
    assert (offline.code, "the ledger decides" in offline.err) == (0, True)
    keyless = opus("batch", "resolve", "b", "--as", "retry", "k1")
    assert (keyless.code, "the ledger decides" in keyless.err) == (0, True)


# Looking at it


def test_batch_status_shows_running_process_and_later_its_death(opus, endless, tmp_path):
    texts(tmp_path, 2)
    with beginning(tmp_path, "texts.csv", TEXT, env=leading_to(endless)) as process:
        going_on(process, tmp_path)
        said = opus("batch", "status", "b")
        assert said.code == 0
        assert f"(process {process.pid} on " in said.out
        assert "in flight" in said.out
        assert "not started" not in said.out
        machine = opus("batch", "status", "b", "--json").json
        assert machine["process"]["pid"] == process.pid
        assert machine["ended_because"] == "running"
    said = opus("batch", "status", "b")
    assert said.out.startswith("b: the process that worked on it died; nothing is lost")
    assert following(said) == ["opus-async batch resume b"]


def test_batch_status_watch_ends_with_batch(opus, to, tmp_path):
    texts(tmp_path, 2)
    opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=to)
    said = opus("batch", "status", "b", "--watch", "--json")
    assert (said.code, said.json["completed"]) == (0, 2)
    assert said.out.count("\n") == 1
    drawn, code = Terminal("batch", "status", "b", "--watch", cwd=tmp_path).read()
    assert code == 0
    assert drawn.startswith("\x1b[H\x1b[J")


def test_batch_status_watch_keeps_its_first_line_on_a_short_terminal():
    text = "\n".join(map(str, range(40)))
    assert status._cut(text, 23).splitlines() == [*map(str, range(22)), "..."]
    assert status._cut(text, 40) == text


def test_batch_export_writes_stdout_or_file(opus, to, tmp_path):
    texts(tmp_path, 3, keys=True)
    opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=to)
    said = opus("batch", "export", "b", "--format", "csv", "--output", "-")
    assert (said.code, said.err) == (0, "3 rows\n")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["key"] for row in rows] == ["k0", "k1", "k2"]
    assert [row["Text (output)"] for row in rows] == ["text 0", "text 1", "text 2"]
    for form, path in (
        ("xlsx", "b/export.xlsx"),
        ("parquet", "b/export.parquet"),
        ("jsonl", "b/export.jsonl"),
    ):
        said = opus("batch", "export", "b", "--format", form)
        assert (said.code, said.out) == (0, f"{path}\n"), said.err
        assert (tmp_path / path).stat().st_size
    assert opus("batch", "export", "b", "--format", "xlsx", "--output", "-").code == 2


def test_batch_report_rewrites_reports_and_opens_browser(opus, to, tmp_path):
    texts(tmp_path, 1)
    opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=to)
    for name in ("report.html", "summary.json", "failures.jsonl"):
        (tmp_path / "b" / name).unlink()
    shown = tmp_path / "shown"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {shown}\n')
    browser.chmod(0o755)
    said = opus("batch", "report", "b", "--open", env={"BROWSER": f"{browser} %s"})
    assert (said.code, said.out) == (0, "b/report.html\n"), said.err
    assert shown.read_text() == (tmp_path / "b" / "report.html").as_uri()
    assert json.loads((tmp_path / "b" / "summary.json").read_text())["completed"] == 1
    assert (tmp_path / "b" / "failures.jsonl").read_text() == ""


def test_batch_run_on_terminal_draws_one_bar_and_notices(to, tmp_path):
    (tmp_path / "twice.csv").write_text("Text\nsame\nsame\n")
    words = ("batch", "run", "twice.csv", "--workflow", TEXT, "--out", "b")
    drawn, code = Terminal(*words, cwd=tmp_path, **to).read()
    assert code == 0
    assert "0 of 2 done" in drawn
    assert "  2 watch" in drawn
    assert "b: 1 row is identical to an earlier one" in drawn
    assert "bottleneck: the last " in drawn
    assert drawn.rstrip().endswith("opus-async batch export b --format csv")
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h")  # the cursor is back


# Figures


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (argument_types.rate, "20", 20),
        (argument_types.rate, "20/s", 20),
        (argument_types.rate, "600/m", 10),
        (argument_types.rate, "600 / min", 10),
        (argument_types.rate, "5400/h", 1.5),
        (argument_types.bandwidth, "5M", 5_000_000),
        (argument_types.bandwidth, "500k", 500_000),
        (argument_types.bandwidth, "1.5 MB/s", 1_500_000),
        (argument_types.bandwidth, "4096", 4096),
        (argument_types.count, "7", 7),
        (argument_types.duration_from_zero, "0", 0),
        (argument_types.duration, "90", 90),
        (argument_types.duration, "0.5", 0.5),
        (argument_types.duration, "90s", 90),
        (argument_types.duration, "5m", 300),
        (argument_types.duration, "5 min", 300),
        (argument_types.duration, "1h30m", 5400),
        (argument_types.duration, "1.5h", 5400),
        (argument_types.duration, "1 hour 30 minutes", 5400),
        (argument_types.duration, "2 Days", 172_800),
        (argument_types.duration, "500ms", 0.5),
    ],
)
def test_argument_types_parse_numbers_with_units(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (argument_types.rate, "0"),
        (argument_types.rate, "fast"),
        (argument_types.rate, "20/day"),
        (argument_types.rate, "-1"),
        (argument_types.bandwidth, "5 MiB"),
        (argument_types.bandwidth, "0k"),
        (argument_types.count, "0"),
        (argument_types.count, "1.5"),
        (argument_types.count, "²"),
        (argument_types.duration_from_zero, "-1"),
        (argument_types.duration_from_zero, "inf"),
        (argument_types.duration_from_zero, "nan"),
        (argument_types.duration, "0"),
        (argument_types.duration, "0m"),
        (argument_types.duration, "5x"),
        (argument_types.duration, "5:00"),
        (argument_types.duration, "5m5m"),
        (argument_types.duration, "m"),
        (argument_types.duration, "-5m"),
        (argument_types.duration, ""),
        (argument_types.halt, "later"),
    ],
)
def test_argument_types_refuse_invalid_values_with_advice(read, text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"give|use"):
        read(text)


@pytest.mark.parametrize("text", ["Text", "=x", " =x"])
def test_map_option_refuses_pair_without_name(text):
    with pytest.raises(WrongUse, match="--map wants COLUMN=INPUT"):
        spec_options.pairs([text], "--map", "COLUMN=INPUT")


def test_set_option_splits_at_first_equals_sign_and_refuses_duplicates():
    assert spec_options.pairs(["a=b=c", "d="], "--set", "INPUT=VALUE") == {"a": "b=c", "d": ""}
    with pytest.raises(WrongUse, match="names 'a' twice"):
        spec_options.pairs(["a=1", "a=2"], "--set", "INPUT=VALUE")


# Files outside of the manifest's folder


def test_allow_outside_is_required_for_files_outside_of_manifest_folder(opus, to, simulator, tmp_path):
    before = len(simulator.state()["uploads"])
    (tmp_path / "in").mkdir()
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"not for {number}, and not for this test's neighbours")
    rows = "".join(f"../{number}.txt\n" for number in range(5))
    (tmp_path / "in" / "m.csv").write_text(f"Document\n{rows}")
    words = ("in/m.csv", "--workflow", DOCUMENT)
    told = "5 files lie outside of the manifest's folder: '../0.txt', '../1.txt', '../2.txt' and 2 more."
    validated = opus("batch", "validate", *words, env=to)
    assert (validated.code, told in validated.out) == (2, True), validated
    assert "--allow-outside, if it is meant" in validated.out
    refused = opus("batch", "run", *words, "--out", "b", env=to)
    assert (refused.code, told in refused.err) == (2, True), refused
    assert not (tmp_path / "b").exists()
    assert len(simulator.state()["uploads"]) == before
    assert opus("batch", "validate", *words, "--allow-outside", env=to).code == 0
    assert opus("batch", "run", *words, "--out", "b", "--allow-outside", env=to).code == 0
    assert len(simulator.state()["uploads"]) == before + 5


def test_allow_outside_on_retry_runs_row_refused_before(opus, to, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "a.txt").write_text("a file that lies outside of its manifest's folder")
    (tmp_path / "in" / "m.csv").write_text("key,Document\none,../a.txt\n")
    words = ("batch", "run", "in/m.csv", "--workflow", DOCUMENT, "--out", "b", "--skip-invalid")
    assert opus(*words, env=to).code == 1
    for verb in ("resume", "retry"):
        assert opus("batch", verb, "b", env=to).code == 1
    assert opus("batch", "retry", "b", "--allow-outside", env=to).code == 0
