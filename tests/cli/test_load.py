"""``opus-async load``: what it prints, what it refuses, Ctrl-C, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time

import pytest
from command_line import SECONDS, Terminal, command, environment, leading_to

from opus_async.simulator import SimulatorConfig, SimulatorProcess

TEXT = "T3xtOnlyWorkfl0w"


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "texts.csv").write_text("Text\nHello\nWorld\n")
    return "texts.csv"


@pytest.fixture
def load(opus, to, texts):
    """``load run`` with what every run has."""

    def call(*words, verb="run", env=to):
        return opus("load", verb, "--workflow", TEXT, "--inputs", texts, *words, env=env)

    return call


def requests(simulator):
    return sum(simulator.state(jobs="0")["counters"]["requests"].values())


def test_load_run_prints_its_summary_and_exits_by_its_verdict(load, tmp_path):
    said = load("--rate", "20/s", "--jobs", 20, "--yes", "--out", "a", "--slo", "error_rate < 50%", "--json")
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert said.json == summary, said.err
    assert said.code == summary["exit_code"]
    assert summary["counts"]["completed"] == 20


def test_load_run_whose_objective_is_not_met_exits_6_or_tells_that_it_is_invalid(load):
    said = load("--rate", "20/s", "--jobs", 80, "--yes", "--out", "a", "--slo", "e2e.p50 < 1ms", "--json")
    assert any("e2e.p50 < 1ms" in reason for reason in said.json["reasons"]), said.err
    assert said.code == {"FAIL": 6, "INVALID": 7}[said.json["verdict"]]


def test_load_run_text_has_stages_and_objectives(load):
    said = load("--concurrency", 2, "--jobs", 6, "--yes", "--out", "a", "--slo", "e2e.p50 < 10s")
    assert "queue_run" in said.out
    assert "e2e.p50 < 10s" in said.out
    assert "a/report.html" in said.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--rate", "5/s", "--jobs", "1001", "--yes"], "--max-jobs"),
        (["--rate", "5/s", "--jobs", "5"], "say --yes"),
        (["--jobs", "5", "--yes"], "--rate"),
        (["--rate", "5/s", "--yes"], "When does the load end"),
        (["--rate", "5/s", "--jobs", "5", "--duration", "5s", "--yes"], "not allowed with"),
        (["--rate", "5/s", "--jobs", "5", "--yes", "--slo", "e2e.p59 < 1s"], "p59"),
    ],
)
def test_load_run_refuses_before_anything_is_sent(load, simulator, words, why):
    before = requests(simulator)
    said = load(*words, "--out", "a")
    assert said.code == 2
    assert why in said.err
    assert requests(simulator) == before


@pytest.mark.parametrize("verb", ["run", "find-max"])
def test_load_without_inputs_names_every_way_to_give_some(opus, to, verb):
    much = ("--rate", "5/s", "--jobs", 5) if verb == "run" else ("--slo", "e2e.p95 < 9s")
    said = opus("load", verb, "--workflow", TEXT, *much, "--yes", "--out", "a", env=to)
    assert said.code == 2
    for option in ("--inputs MANIFEST", "--set INPUT=VALUE", "--file-size SIZE"):
        assert option in said.err


def test_load_run_names_options_for_inputs_that_are_missing(opus, to):
    words = ("load", "run", "--workflow", "D0cumentWorkfl0w", "--set", "Note=x", "--rate", "5/s", "--jobs", 1)
    said = opus(*words, "--yes", "--out", "a", env=to)
    assert said.code == 2
    assert "row 1" not in said.err  # there is no manifest that it could stand in
    assert (
        "'Document' (workflow_input_d0cument1) is missing; --set Document=VALUE, --file-size SIZE" in said.err
    )
    assert "a column of --inputs" in said.err


def test_load_run_refuses_production_host_without_a_look_up(load, monkeypatch):
    def look_up(*_arguments, **_options):
        raise AssertionError("a name was looked up")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    said = load(
        "--rate", "5/s", "--jobs", 5, "--yes", "--out", "a", env={"OPUS_SERVICE_KEY": "_" + "5e" * 48}
    )
    assert said.code == 2
    assert "--production" in said.err


def test_load_run_refuses_directory_that_holds_a_run(load, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "summary.json").write_text("{}")
    said = load("--rate", "5/s", "--jobs", 5, "--yes", "--out", "a")
    assert (said.code, "holds the results" in said.err) == (2, True)


@pytest.mark.parametrize(("answer", "runs"), [("y", True), ("yes", True), ("n", False), ("", False)])
def test_load_run_asks_what_it_may_cost(simulator, tmp_path, texts, answer, runs):
    words = (
        "load",
        "run",
        "--workflow",
        TEXT,
        "--inputs",
        texts,
        "--rate",
        "20/s",
        "--jobs",
        4,
        "--price",
        0.5,
    )
    terminal = Terminal(*words, "--out", "a", cwd=tmp_path, **leading_to(simulator))
    os.write(terminal.parent, f"{answer}\n".encode())
    drawn, code = terminal.read()
    assert "this starts 4 jobs" in drawn
    assert "2.00 at 0.5 each. Go on? [y/N]" in drawn
    assert (tmp_path / "a" / "summary.json").exists() is runs
    assert (code != 2) is runs


def test_load_compare_of_other_workloads_is_refused(load, opus):
    for name, rate in (("a", 20), ("b", 30)):
        load("--rate", rate, "--jobs", 20, "--yes", "--out", name)
    said = opus("load", "compare", "a", "b")
    assert said.code == 2
    assert "rate" in said.err


def _judge(directory, verdict, *reasons):
    """Give a run another verdict."""
    file = directory / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"verdict": verdict, "reasons": reasons}))


def test_load_compare_of_invalid_run_says_that_it_is_not_to_be_relied_on(load, opus, tmp_path):
    for name in ("a", "b"):
        load("--rate", 40, "--jobs", 40, "--seed", 1, "--yes", "--out", name)
        _judge(tmp_path / name, "PASS")
    _judge(tmp_path / "b", "INVALID", "75 % of the arrivals were not started")
    said = opus("load", "compare", "a", "b")
    assert said.code == 0
    assert "not to be relied on" in said.out.splitlines()[0]
    assert "'b' is INVALID: 75 % of the arrivals were not started" in said.out
    assert "Run it again" in said.out
    assert opus("load", "report", "b", "--base", "a").code == 0
    assert "Not to be relied on" in (tmp_path / "b" / "report.html").read_text()


def test_load_compare_tells_metrics_and_fails_where_asked(load, opus, tmp_path):
    for name in ("a", "b"):
        load("--rate", 40, "--jobs", 40, "--seed", 1, "--yes", "--out", name)
        _judge(tmp_path / name, "PASS")  # however busy the machine is that the test runs on
    said = opus("load", "compare", "a", "b", "--json")
    assert (said.code, said.json["same_workload"]) == (0, True), said.err
    assert {"name", "base", "new", "change", "low", "high", "verdict"} == set(said.json["metrics"][0])
    failed = opus("load", "compare", "a", "b", "--fail-if", "e2e.p50 > 1ms")
    assert (failed.code, "--fail-if" in failed.err) == (6, True)


@pytest.fixture(scope="module")
def slow():
    with SimulatorProcess(SimulatorConfig(run_time=3)) as process:
        yield process


@pytest.fixture(scope="module")
def endless():
    with SimulatorProcess(SimulatorConfig(run_time=600)) as process:
        yield process


def interrupted(simulator, tmp_path, texts, *words, times=1):
    """What a run says that is interrupted once jobs are under way."""
    words = command(
        "load", "run", "--workflow", TEXT, "--inputs", texts, "--rate", "20/s", "--jobs", 900, "--yes",
        "--out", "a", "--json", *words,
    )  # fmt: skip
    before = simulator.state(jobs="0")["counters"]["executions"]
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment(**leading_to(simulator)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while simulator.state(jobs="0")["counters"]["executions"] < before + 10:
            assert process.poll() is None
            time.sleep(0.05)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        out, err = process.communicate(timeout=SECONDS)
    assert "Traceback" not in err
    return process.returncode, json.loads(out), err


def test_load_run_first_ctrl_c_waits_for_jobs_that_are_ordered(slow, tmp_path, texts):
    code, summary, _ = interrupted(slow, tmp_path, texts)
    assert (code, summary["verdict"], summary["exit_code"]) == (130, "INVALID", 130)
    counts = summary["counts"]
    assert 10 <= counts["completed"] == counts["started"] < 900
    assert json.loads((tmp_path / "a" / "summary.json").read_text()) == summary


def test_load_run_second_ctrl_c_leaves_at_once(endless, tmp_path, texts):
    code, summary, _ = interrupted(endless, tmp_path, texts, times=2)
    assert (code, summary["verdict"]) == (130, "INVALID")
    assert summary["counts"]["unknown"] == summary["counts"]["started"] >= 10


def test_load_run_drains_no_longer_than_asked_for(endless, tmp_path, texts):
    began = time.monotonic()
    code, summary, _ = interrupted(endless, tmp_path, texts, "--drain", "1s")
    assert (code, summary["verdict"]) == (130, "INVALID")
    assert time.monotonic() - began < 30


def test_load_find_max_prints_its_steps(load, tmp_path):
    said = load(
        "--slo", "e2e.p95 < 10s", "--start-rate", "5/s", "--window", "2s", "--max-jobs", 40, "--yes",
        "--out", "a", "--json", verb="find-max",
    )  # fmt: skip
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert said.json == summary, said.err
    assert re.search(r"double: 5 jobs/s, [\d.]+ s to settle, then 2 s that are measured\n", said.err)
    assert {"rate", "completed_rate", "p95", "in_flight", "ok", "why"} <= set(summary["steps"][0])
    assert said.code == summary["exit_code"] == 7


def test_load_find_max_tells_what_it_may_cost(load):
    said = load("--slo", "e2e.p95 < 10s", "--price", 0.1, "--out", "a", verb="find-max")
    assert said.code == 2
    assert "at most 20,000 jobs" in said.err
    assert "2,000.00 at 0.1 each" in said.err
