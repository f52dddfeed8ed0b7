"""The demo: real documents, every answer verified, with and without faults."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import time

import pytest
from command_line import SECONDS, Terminal, called, command, environment
from installed_script import installed_script
from ledgers import make_ledger

from opus_async.batch.ledger.lock import DirectoryLock
from opus_async.cli import program
from opus_async.cli.demo import documents, findings, folder
from opus_async.cli.errors import WrongUse


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One demo without faults, looked at by several tests."""
    home = tmp_path_factory.mktemp("demo")
    return home / "opus-demo", called("demo", "--jobs", 20, cwd=home, env={})


def test_demo_completes_and_verifies_all_jobs(finished):
    _, done = finished
    assert done.code == 0, done.err
    assert "20 completed, 0 failed" in done.out
    assert re.search(r"executed twice +0 ", done.out)
    assert "20 of 20 digests" in done.out


def test_demo_results_have_a_line_per_document(finished):
    out, _ = finished
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(20))
    for line in lines:
        assert list(line) == ["index", "key", "job_id", "status", "outputs", "timings"]
        assert line["status"] == "COMPLETED"
        content = (out / "documents" / line["key"]).read_bytes()
        assert line["outputs"]["SHA-256"] == hashlib.sha256(content).hexdigest()
        assert line["outputs"]["Size"] == len(content)


def test_demo_leaves_batch_directory_with_report(finished, opus):
    out, done = finished
    assert "Report:  opus-demo/report.html" in done.out
    assert "<html" in (out / "report.html").read_text()
    assert json.loads((out / "summary.json").read_text())["completed"] == 20
    assert (out / "failures.jsonl").read_text() == ""
    assert opus("batch", "status", out, "--json").json["completed"] == 20
    assert (out / "manifest.csv").read_text().splitlines()[1] == (
        "contract-00001.txt,contract-00001.txt,documents/contract-00001.txt,,Demo document 1"
    )


def test_demo_prints_plain_progress_lines_without_terminal(finished):
    _, done = finished
    assert "\x1b" not in done.out + done.err
    first, *_, last = [line for line in done.err.splitlines() if " done" in line]
    assert "0/20 done" in first
    assert "20/20 done" in last


def test_demo_leaves_earlier_demos_as_they_are_and_says_where_it_is(opus, tmp_path):
    out = tmp_path / "opus-demo"
    assert opus("demo", "--jobs", 3).code == 0
    (out / "documents" / "mine.txt").write_text("mine")
    (out / "documents" / "contract-00001.txt").write_text("changed")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (tmp_path / "below").mkdir()
    for number in (2, 3):
        beside = "below/../" if number == 3 else ""
        said = opus("demo", "--jobs", 2, "--json", *(["--out", f"{beside}opus-demo"] if beside else []))
        assert said.code == 0
        assert said.json["digests_verified"] == said.json["completed"] == 2
        assert (
            f"opus-demo holds an earlier demo and stays as it is: this one is in {beside}opus-demo-{number}\n"
            in said.err
        )
        assert len((tmp_path / f"opus-demo-{number}" / "results.jsonl").read_text().splitlines()) == 2
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "names", [["mine.txt"], ["results.jsonl"], ["results.jsonl", "documents/x", "ledger.db"]]
)
def test_demo_refuses_folder_that_is_no_demo(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    with pytest.raises(WrongUse, match="nothing was touched"):
        folder.prepare(tmp_path)
    assert all((tmp_path / name).read_text() == "mine" for name in names)


@pytest.mark.parametrize(
    ("host", "manifest"),
    [("https://operator.opus.com", "manifest.csv"), ("http://127.0.0.1:8000", "invoices.csv")],
)
def test_demo_refuses_directory_of_real_batch(tmp_path, host, manifest):
    facts = {"fingerprint": {"host": host}, "manifest": {"path": str(tmp_path / manifest)}}
    make_ledger(tmp_path, facts=facts)
    (tmp_path / "documents").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    with pytest.raises(WrongUse, match="nothing was touched"):
        folder.prepare(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_demo_goes_beside_folder_of_running_demo_and_what_stands_there(tmp_path):
    out = tmp_path / "out"
    facts = {"fingerprint": {"host": "http://127.0.0.1:8000"}}
    make_ledger(out, facts={**facts, "manifest": {"path": str(out / "manifest.csv")}})
    (out / "documents").mkdir()
    (tmp_path / "out-2").write_text("a file")
    (tmp_path / "out-3").symlink_to(tmp_path / "nowhere")
    (tmp_path / "out-4").mkdir()
    lock = DirectoryLock(out)
    assert folder.prepare(out) == tmp_path / "out-4"
    lock.release()
    assert folder.prepare(out) == tmp_path / "out-5"
    assert (out / "ledger.db").exists()
    assert (tmp_path / "out-2").read_text() == "a file"


def test_demo_exits_2_for_foreign_folder_or_file(opus, tmp_path):
    (tmp_path / "opus-demo").mkdir()
    (tmp_path / "opus-demo" / "mine.txt").write_text("mine")
    said = opus("demo", "--jobs", 1)
    assert said.code == 2
    assert "--out" in said.err
    (tmp_path / "file").write_text("")
    assert opus("demo", "--jobs", 1, "--out", "file").code == 2


def test_demo_with_flaky_faults_completes_and_executes_nothing_twice(opus):
    said = opus("demo", "--jobs", 20, "--faults", "flaky", "--seed", 7, "--json")
    assert said.code == 0, said
    assert said.json["completed"] == said.json["digests_verified"] == 20
    assert said.json["executed_twice"] == 0
    assert sum(said.json["faults_injected"].values()) > 0


def test_demo_exits_1_and_names_failed_jobs(opus):
    said = opus("demo", "--jobs", 3, "--fail-share", 1)
    assert said.code == 1
    assert "0 completed, 3 failed" in said.out
    assert "failed: contract-00001.txt" in said.out


def test_demo_differences_name_document_and_both_values(tmp_path):
    document = documents.Document(tmp_path / "a.txt", "TXT", 3, "abc")
    seen = {"SHA-256": "abd", "Size": 3, "Type": "TXT"}
    assert list(findings.differences(document, seen)) == ["a.txt: SHA-256 is abc on disk, the job saw abd"]


def _children(pid):
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [int(child) for child, parent in pairs if parent == str(pid)]


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_demo_ctrl_c_exits_130_and_stops_simulator(tmp_path):
    process = subprocess.Popen(
        command("demo", "--jobs", 200),
        cwd=tmp_path,
        env=environment(),
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process.stderr, process.stdout:
        while "0/200 done" not in (line := process.stderr.readline()):
            assert line, "it ended before it began"
        (simulator,) = _children(process.pid)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(SECONDS) == 130
        assert time.monotonic() - began < 5
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not _alive(simulator)


def test_demo_draws_one_bar_at_most_four_times_a_second(tmp_path):
    began = time.monotonic()
    drawn, code = Terminal("demo", "--jobs", 10, cwd=tmp_path).read()
    spent = time.monotonic() - began
    assert code == 0
    assert "0 of 10 done" in drawn
    assert " watch" in drawn
    assert "\x1b[" in drawn
    assert "10 of 10 digests" in drawn
    assert 1 < drawn.count(" of 10 done") <= spent * 4 + 3


def test_demo_prints_plain_lines_on_terminal_without_rich(tmp_path):
    (tmp_path / "path" / "rich").mkdir(parents=True)
    (tmp_path / "path" / "rich" / "__init__.py").write_text("raise ImportError('not installed')")
    path = f"{tmp_path / 'path'}{os.pathsep}{environment()['PYTHONPATH']}"
    drawn, code = Terminal("demo", "--jobs", 2, cwd=tmp_path, PYTHONPATH=path).read()
    assert code == 0, drawn
    assert "\x1b" not in drawn
    assert "2/2 done" in drawn


def test_demo_ignores_opus_api_variable(opus, tmp_path):
    said = opus("demo", "--jobs", "2", "--out", tmp_path / "demo", env={"OPUS_API": "v9"})
    assert said.code == 0, said.err


@pytest.mark.parametrize("on_path", [True, False])
def test_demo_prints_next_commands_with_program_name_as_called(tmp_path, on_path):
    script = installed_script(tmp_path / "bin")
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}" if on_path else "/nowhere"
    name = program.NAME if on_path else "bin/opus-async"
    done = subprocess.run(
        [name, "demo", "--jobs", "1"],
        cwd=tmp_path,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    _, _, following = done.stdout.partition("Next:\n")
    export, faults, simulate, _, doctor = following.splitlines()
    assert export == f"  {name} batch export opus-demo --format csv"
    assert faults == f"  {name} demo --faults flaky"
    assert simulate == f"  {name} simulate -- opus-async run D0cumentWorkfl0w \\"
    assert doctor == f"  {name} doctor"
