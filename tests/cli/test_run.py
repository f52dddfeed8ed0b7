"""One job, and one workflow, against the real simulator."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess

import pytest
from command_line import SECONDS, command, environment, leading_to
from simulator_thread import SimulatorThread

from opus_async.simulator import SimulatorConfig

DOCUMENT, TEXT, LISTS = "D0cumentWorkfl0w", "T3xtOnlyWorkfl0w", "M0dernTypesWrkfl"
STAGES = ["schema", "upload", "initiate", "execute", "watch", "results", "done"]


NEXT = """
    go on waiting:        opus-async wait {job_id}
    see what it has done: opus-async audit {job_id}
"""


def test_run_command_prints_outputs_on_stdout_and_stages_on_stderr(opus, to, tmp_path):
    content = b"one\ntwo\n"
    (tmp_path / "note.txt").write_bytes(content)
    said = opus("run", DOCUMENT, "--file", "Document=note.txt", "--input", "Threshold=0.5", env=to)
    assert said.code == 0
    assert said.json["SHA-256"] == hashlib.sha256(content).hexdigest()
    assert said.json["Lines"] == 2
    stages = [line.split()[2] for line in said.err.splitlines()]
    assert list(dict.fromkeys(stages)) == STAGES


def test_run_command_json_prints_whole_outcome(opus, to):
    said = opus("run", TEXT, "--input", "Text=hällo=x", "--json", env=to)
    assert said.code == 0
    assert said.json["outputs"]["Text"] == "hällo=x"
    assert said.json["status"] == "COMPLETED"
    assert said.json["ok"] is True
    assert said.json["job_id"].isdecimal()
    assert said.json["results"]["jobResultsPayloadSchema"]
    assert set(said.json["timings"]) >= {"schema", "watch", "total"}


def test_run_command_reads_inputs_from_stdin_file_and_options(opus, to, tmp_path):
    said = opus("run", TEXT, "--inputs", "-", env=to, stdin='{"Text": "from stdin"}')
    assert said.json["Text"] == "from stdin"
    (tmp_path / "inputs.json").write_text('{"Text": "from a file"}')
    assert opus("run", TEXT, "--inputs", "inputs.json", env=to).json["Text"] == "from a file"
    said = opus("run", TEXT, "--inputs", "inputs.json", "--input", "Text=from the option", env=to)
    assert said.json["Text"] == "from the option"


def test_run_command_makes_list_of_repeated_input_name(opus, to, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.csv").write_text("b")
    words = [
        "--file",
        "Invoices=a.txt",
        "--file",
        "Invoices=b.csv",
        "--input",
        "Labels=x",
        "--input",
        "Labels=y",
    ]
    said = opus("run", LISTS, "--input", "Profile={}", "--input", "Count=3", *words, env=to)
    assert said.code == 0, said.err
    assert len(said.json["Invoices"]) == 2
    assert said.json["Labels"] == ["x", "y"]


def test_run_command_lists_all_bad_inputs_and_starts_no_job(opus, to):
    said = opus("run", DOCUMENT, "--file", "Document=gone.pdf", "--input", "Thresh=1", env=to)
    assert said.code == 2
    assert said.err.count("\n  - ") == 2
    assert "initiate" not in said.err
    assert "done" not in said.err


@pytest.mark.parametrize(
    ("words", "stdin", "part"),
    [
        (("--input", "Text"), "", "NAME=VALUE"),
        (("--file", "=x"), "", "NAME=PATH"),
        (("--inputs", "gone.json"), "", "gone.json"),
        (("--inputs", "-"), "[1]", "object"),
        (("--inputs", "-"), "{", "no JSON"),
    ],
)
def test_run_command_exits_2_for_unreadable_input_options(opus, to, words, stdin, part):
    said = opus("run", TEXT, *words, env=to, stdin=stdin)
    assert said.code == 2
    assert part in said.err


def test_run_command_and_workflow_show_exit_2_for_unknown_workflow(opus, to):
    for words in (("run", "nope"), ("workflow", "show", "nope")):
        assert opus(*words, env=to).code == 2


def test_run_command_exits_1_for_failed_job_and_names_nodes(opus):
    with SimulatorThread(SimulatorConfig(run_time=0.1, fail_share=1)) as process:
        env = leading_to(process)
        plain = opus("run", TEXT, "--input", "Text=x", env=env)
        whole = opus("run", TEXT, "--input", "Text=x", "--json", env=env)
    assert (plain.code, whole.code) == (1, 1)
    assert not plain.out
    assert "failed nodes" in plain.err
    assert f"What each of its nodes did: opus-async audit {int(whole.json['job_id']) - 1}\n" in plain.err
    assert whole.json["status"] == "FAILED"
    assert whole.json["error"]["failed_nodes"]


def test_run_command_exits_5_at_timeout_and_names_job(opus):
    with SimulatorThread(SimulatorConfig(run_time=60)) as process:
        env = leading_to(process)
        said = opus("run", TEXT, "--input", "Text=x", "--timeout", "1", "--json", env=env)
        (job_id,) = process.state()["jobs"]
    assert said.code == 5
    assert said.err.endswith(NEXT.format(job_id=job_id))
    assert said.err.count(f"opus-async wait {job_id}") == 1, "the same advice once"
    assert f"'opus-async wait {job_id}' goes on waiting" in said.json["error"]["message"]
    assert "jobs." not in said.err + said.out
    assert said.json["job_id"] == job_id
    assert said.json["error"]["type"] == "DeadlineExceeded"


def test_timeout_option_refuses_anything_but_positive_seconds(opus):
    for word in ("run", "wait"):
        for given in ("0", "-1", "inf", "nan", "soon"):
            said = opus(word, "X", f"--timeout={given}")
            assert said.code == 2
            assert f"give a time of more than 0 like 90, 90s, 5m or 1h30m, not '{given}'" in said.err


def test_run_command_ctrl_c_exits_130_and_names_running_job(tmp_path):
    with SimulatorThread(SimulatorConfig(run_time=60)) as simulator:
        process = subprocess.Popen(
            command("run", TEXT, "--input", "Text=x"),
            cwd=tmp_path,
            env=environment(**leading_to(simulator)),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process.stderr, process.stdout:
            while "watch" not in (line := process.stderr.readline()):
                assert line, "it ended before the job ran"
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(SECONDS) == 130
            assert not process.stdout.read()
        (job_id,) = simulator.state()["jobs"]
    assert f"job {job_id} goes on remotely" in said
    assert said.endswith(NEXT.format(job_id=job_id))
    assert "jobs." not in said
    assert "Traceback" not in said


def test_workflow_show_command_prints_table(opus, to):
    said = opus("workflow", "show", LISTS, env=to)
    rows = {line.split("  ")[0]: line for line in said.out.splitlines()}
    assert said.code == 0
    assert "array of file" in rows["Invoices"]
    assert "yes" in rows["Invoices"]
    assert "PDF, TXT, CSV" in rows["Invoices"]
    assert " no" in rows["Due date"]
    assert "opus-async run" in said.err


def test_workflow_show_command_prints_json(opus, to):
    said = opus("workflow", "show", DOCUMENT, "--json", env=to)
    document, threshold, _ = said.json["inputs"]
    assert document["display_name"] == "Document"
    assert document["required"] is True
    assert threshold["required"] is False
    assert "PDF" in document["allowed_file_types"]
    assert json.loads(said.out)["workflow_id"] == DOCUMENT


def test_simulate_command_runs_child_command_with_its_environment(process):
    said = process(
        "simulate", "--run-time", "0", "--queue-time", "0", "--", *command("run", TEXT, "--input", "Text=x")
    )
    assert said.code == 0
    assert said.json["Characters"] == 1
