"""``batch ... --platform operativus``: the same commands on another platform."""

from __future__ import annotations

import json
import re
import shlex
import time

import pytest
from batch_command import batch, heard
from command_line import SECONDS
from operativus_command import (
    APPROVAL,
    FAILING,
    asked,
    config,
    inputs,
    leading_to_operativus,
    runs,
    script,
    workflow,
)
from simulator_thread import SimulatorThread

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.cli import platforms
from opus_async.testing import quick_polls

ON = ("--platform", "operativus")


@pytest.fixture(autouse=True)
def _quick():
    with quick_polls(0.05):
        yield


def begun(opus, home, env, workflow_id, *words, rows=3):
    """A batch of so many texts in ``b``."""
    words = ("--workflow", workflow_id, "--out", "b", *words)
    return opus("batch", "run", inputs(home, rows), *ON, *words, env=env)


# The whole way


def test_operativus_batch_validate_binds_column_input(opus, agents, tmp_path):
    flow = workflow(agents)
    said = opus("batch", "validate", inputs(tmp_path, 3), *ON, "--workflow", flow, env=agents)
    assert said.code == 0
    assert re.search(r"^input +input +str +variable name$", said.out, re.MULTILINE)
    assert "3 rows: all can be run" in said.out


def test_operativus_batch_run_completes_rows_with_texts_of_steps(opus, agents, tmp_path):
    flow = workflow(agents)
    said = begun(opus, tmp_path, agents, flow, "--json")
    assert said.code == 0, said.err
    assert (said.json["total"], said.json["completed"]) == (3, 3)
    lines = [json.loads(line) for line in (tmp_path / "b" / "results.jsonl").read_text().splitlines()]
    assert {line["key"]: line["outputs"]["output"] for line in lines} == {
        f"k{number}": f"[writer_agent] [finance_agent] text {number}" for number in range(3)
    }
    assert sorted(run["sessionId"] for run in runs(agents, flow)) == sorted(line["job_id"] for line in lines)


def test_operativus_batch_maps_column_of_another_name(opus, agents, tmp_path):
    (tmp_path / "m.csv").write_text("Question\nwhy\n")
    words = ("batch", "run", "m.csv", *ON, "--workflow", workflow(agents), "--out", "b")
    refused = opus(*words, env=agents)
    assert refused.code == 2
    assert "--map Question=input" in refused.err
    assert opus(*words, "--map", "Question=input", env=agents).code == 0
    exported = opus("batch", "export", "b", "--format", "csv", "--output", "-")
    assert "[writer_agent] [finance_agent] why" in exported.out


def test_operativus_batch_later_commands_read_platform_from_ledger(opus, agents, tmp_path):
    flow = workflow(agents, *FAILING)
    said = begun(opus, tmp_path, agents, flow)
    assert said.code == 1
    assert "agent failing_agent failed" in (tmp_path / "b" / "failures.jsonl").read_text()
    status = opus("batch", "status", "b", "--json").json
    assert (status["platform"], status["workflow_id"], status["failed"]) == ("operativus", flow, 3)
    retried = opus("batch", "retry", "b", "--json", env=agents)
    assert (retried.code, retried.json["failed"]) == (1, 3), retried.err
    assert len(runs(agents, flow)) == 6
    (tmp_path / "texts.csv").write_text((tmp_path / "texts.csv").read_text() + "k3,more\n")
    assert opus("batch", "resume", "b", env=agents).code == 1
    assert len(runs(agents, flow)) == 7
    assert opus("batch", "report", "b").code == 0
    with LedgerReader(tmp_path / "b") as ledger:
        assert ledger.meta.stages == ("input", "login", "session", "run", "watch", "outputs")


def test_operativus_batch_resolve_takes_decisions_of_unknown_rows(opus, tmp_path):
    with SimulatorThread(config(run_time=60)) as process:
        agents = leading_to_operativus(process)
        flow = workflow(agents)
        said = begun(opus, tmp_path, agents, flow, "--timeout", "2s")
        assert said.code == 5, said.err
        listed = opus("batch", "resolve", "b", "--as", "done", env=agents)
        assert listed.code == 2
        assert f"What the first one has done: opus-async operativus runs {flow}\n" in listed.err
        refused = opus("batch", "resolve", "b", "--as", "failed", "--all", env=agents)
        assert (refused.code, "were started" in refused.err) == (2, True), refused.err
        assert opus("batch", "resolve", "b", "--as", "done", "--all", env=agents).code == 0
        assert opus("batch", "status", "b", "--json").json["completed"] == 3


def test_operativus_batch_goes_on_where_it_was_begun_without_base_url(opus, agents, tmp_path):
    flow = workflow(agents)
    assert begun(opus, tmp_path, agents, flow, "--limit", "1").code == 0
    token = {"OPERATIVUS_TOKEN": agents["OPERATIVUS_TOKEN"]}
    said = opus("batch", "resume", "b", env=token)
    assert said.code == 0, said.err
    assert f"asking {agents['OPERATIVUS_BASE_URL']}, where the batch was begun" in said.err
    assert len(runs(agents, flow)) == 3


def test_operativus_batch_later_commands_may_name_their_platform_and_no_other(opus, agents, tmp_path):
    begun(opus, tmp_path, agents, workflow(agents), "--limit", "1")
    refused = opus("batch", "resume", "b", "--platform", "opus", env=agents)
    assert refused.code == 2
    assert "--platform: the batch was begun on operativus, and goes on there" in refused.err
    assert opus("batch", "resume", "b", *ON, env=agents).code == 0


# Wrong use


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--api", "v1"), "--api: Operativus has one generation of its API"),
        (("--title", "Row {key}"), "--title: Operativus has nothing that it is for"),
        (("--version", "3"), "--version-number: Operativus has nothing"),
        (("--download-outputs",), "--download-outputs: Operativus has nothing"),
        (("--on-pause", "no-such-program-at-all"), "there is no program 'no-such-program-at-all'"),
        (("--on-pause", "cat 'it"), "cannot be split into words"),
        (("--on-pause", " "), "give a command"),
        (("--on-pause-timeout", "0"), "give a time of more than 0"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_operativus_batch_run_refuses_options_that_mean_nothing_before_anything_is_sent(
    opus, tmp_path, words, told
):
    nowhere = {"OPERATIVUS_BASE_URL": "http://127.0.0.1:1", "OPERATIVUS_TOKEN": "t"}
    said = begun(opus, tmp_path, nowhere, "W", *words)
    assert said.code == 2
    assert told in said.err
    assert "127.0.0.1" not in said.err


def test_platform_option_names_what_there_is(opus, tmp_path):
    said = opus("batch", "validate", inputs(tmp_path, 1), "--platform", "opsu", "--workflow", "W")
    assert said.code == 2
    assert "did you mean 'opus'?" in said.err


def test_on_pause_option_is_refused_for_platform_that_answers_nothing(opus, to, tmp_path):
    (tmp_path / "t.csv").write_text("Text\na\n")
    words = ("batch", "run", "t.csv", "--workflow", "T3xtOnlyWorkfl0w", "--out", "b")
    said = opus(*words, "--on-pause", "cat", env=to)
    assert said.code == 2
    assert "--on-pause: Opus has no call that answers a job" in said.err
    assert not (tmp_path / "b").exists()


def test_batch_of_platform_from_a_newer_version_is_not_asked_anything(opus, agents, tmp_path):
    begun(opus, tmp_path, agents, workflow(agents), "--limit", "1")
    with LedgerReader(tmp_path / "b") as ledger:
        facts = {**ledger.meta.fingerprint.model_dump(), "platform": "thirdly"}
    import sqlite3

    with sqlite3.connect(tmp_path / "b" / "ledger.db") as database:
        database.execute("UPDATE meta SET value = ? WHERE name = 'fingerprint'", (json.dumps(facts),))
    database.close()
    said = opus("batch", "resume", "b", env=agents)
    assert said.code == 4
    assert "knows no platform 'thirdly', only opus, operativus" in said.err


def test_operativus_batch_with_refused_token_exits_4_and_names_its_doctor(opus, agents, tmp_path):
    said = begun(opus, tmp_path, {**agents, "OPERATIVUS_TOKEN": "wrong"}, workflow(agents))
    assert said.code == 4
    assert "'opus-async doctor --platform operativus' checks" in said.err
    assert "--api" not in said.err


# Rows that wait for a person


def test_operativus_batch_tells_paused_rows_and_every_printed_answer_works(opus, agents, tmp_path):
    flow = workflow(agents, *APPROVAL)
    words = ("run", inputs(tmp_path, 3), *ON, "--workflow", flow, "--out", "b", "--drain", "0")
    with batch(tmp_path, *words, env=agents) as process:
        told = [heard(process, "waits for a person").splitlines()[-1] for _ in range(3)]
        deadline = time.monotonic() + SECONDS
        with LedgerReader(tmp_path / "b") as ledger:
            while ledger.counts().waiting < 3:
                assert time.monotonic() < deadline
        process.terminate()
        out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    printed = re.findall(r"opus-async (operativus resume \S+ --output TEXT)$", "\n".join(told), re.MULTILINE)
    assert len(set(printed)) == 3
    assert set(re.findall(r"^ +opus-async (operativus resume .*)$", out, re.MULTILINE)) == set(printed)
    status = opus("batch", "status", "b", "--json").json
    assert {shlex.join(row["answer"]) for row in status["waiting_rows"]} == set(printed)
    assert {row["status"] for row in status["waiting_rows"]} == {"PAUSED"}
    for command in printed:
        said = opus(*shlex.split(command), env=agents)
        assert said.code == 0, said.err
    resumed = opus("batch", "resume", "b", "--json", env=agents)
    assert (resumed.code, resumed.json["completed"]) == (0, 3), resumed.err
    assert {run["status"] for run in runs(agents, flow)} == {"COMPLETED"}
    assert len(runs(agents, flow)) == 3
    assert "TEXT" in (tmp_path / "b" / "results.jsonl").read_text()


def test_operativus_batch_with_route_pause_tells_no_answer():
    words = platforms.entry("operativus").answer_words
    assert words("run-1", "AWAITING_ROUTE_SELECTION") is None
    assert words("run-1", "awaiting_human_review") == ("operativus", "resume", "run-1", "--output", "TEXT")
    assert words("run-1", None) is not None
    assert words(None, "PAUSED") is None
    assert platforms.entry("opus").answer_words("2514", "WAITING") is None


def test_operativus_batch_on_pause_answers_each_run_with_its_text(opus, agents, tmp_path):
    flow = workflow(agents, *APPROVAL)
    approve = script(
        tmp_path,
        "import json, sys\nrun = json.load(sys.stdin)\n"
        "assert run['status'] == 'PAUSED' and run['workflow_id'] and run['session_id']\n"
        "print('approved:', run['texts'][-1])\n",
    )
    said = begun(opus, tmp_path, agents, flow, "--on-pause", approve, "--json", rows=12)
    assert (said.code, said.json["completed"]) == (0, 12), said.err
    lines = [json.loads(line) for line in (tmp_path / "b" / "results.jsonl").read_text().splitlines()]
    assert {line["outputs"]["output"] for line in lines} == {
        f"[writer_agent] approved: [finance_agent] text {number}" for number in range(12)
    }


def test_operativus_batch_resume_takes_on_pause_for_rows_that_waited(opus, agents, tmp_path):
    flow = workflow(agents, *APPROVAL)
    words = ("run", inputs(tmp_path, 2), *ON, "--workflow", flow, "--out", "b", "--drain", "0")
    with batch(tmp_path, *words, "--on-pause", "false", env=agents) as process:
        for _ in range(2):
            heard(process, "stays paused: the command of --on-pause failed (exit code 1)")
        process.terminate()
        process.communicate(timeout=SECONDS)
    said = opus("batch", "resume", "b", "--on-pause", script(tmp_path, "print('go on')"), env=agents)
    assert said.code == 0, said.err
    assert {run["status"] for run in runs(agents, flow)} == {"COMPLETED"}


def test_operativus_batch_is_read_by_python_with_the_names_of_its_session(opus, agents, tmp_path):
    begun(opus, tmp_path, agents, workflow(agents), rows=1)
    with LedgerReader(tmp_path / "b") as ledger:
        (row,) = ledger.rows()
        assert row.remote_id is not None
        alias = ledger.alias_of(row)
    (run,) = asked(agents, "GET", f"/api/v1/workflows/{ledger.meta.fingerprint.workflow_id}/runs")["content"]
    assert (run["sessionId"], run["id"]) == (row.remote_id, alias)
