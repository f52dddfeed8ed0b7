"""``--limit`` and ``--until ordered`` at a shell, killed and gone on with."""

from __future__ import annotations

import shlex
import time

import pytest
from batch_command import TEXT, beginning, texts
from command_line import SECONDS, leading_to

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.simulator import SimulatorConfig, SimulatorProcess


@pytest.fixture
def slow():
    """Jobs of one second, one after the other long enough to be killed in between."""
    with SimulatorProcess(SimulatorConfig(run_time=1)) as process:
        yield process


def begun(simulator):
    return simulator.state(jobs="0")["counters"]


def wait_for(process, home, condition):
    """Wait until the ledger says so."""
    while not (home / "b" / "ledger.db").exists():
        assert process.poll() is None
        time.sleep(0.01)
    with LedgerReader(home / "b") as ledger:
        while not condition(ledger.counts()):
            assert process.poll() is None
            time.sleep(0.01)


def test_limit_killed_in_the_middle_loses_and_doubles_nothing(opus, slow, tmp_path):
    manifest, env = texts(tmp_path, 12), leading_to(slow)
    with beginning(tmp_path, manifest, TEXT, "--limit", 6, "--max-in-flight", 2, env=env) as process:
        wait_for(process, tmp_path, lambda counts: counts.completed >= 2 and counts.running)
        process.kill()
        process.wait(SECONDS)
    with LedgerReader(tmp_path / "b") as ledger:
        assert ledger.counts().planned >= 6
    some = opus("batch", "resume", "b", "--limit", 1, "--json", env=env)
    assert some.json["ended_because"] == "limit_reached", some.err
    assert some.json["in_flight"] == 0
    said = opus("batch", "resume", "b", "--json", env=env)
    assert (said.code, said.json["completed"], said.json["ended_because"]) == (0, 12, "finished"), said.err
    assert begun(slow)["executed_twice"] == []


def test_until_ordered_killed_in_the_middle_loses_and_doubles_nothing(opus, slow, tmp_path):
    manifest, env = texts(tmp_path, 40), leading_to(slow)
    with beginning(
        tmp_path, manifest, TEXT, "--until", "ordered", "--start-rate", "20/s", env=env
    ) as process:
        wait_for(process, tmp_path, lambda counts: counts.running >= 5)
        process.kill()
        process.wait(SECONDS)
    said = opus("batch", "resume", "b", "--until", "ordered", "--json", env=env)
    assert (said.code, said.json["ended_because"], said.json["not_started"]) == (0, "all_ordered", 0), (
        said.err
    )
    last = opus("batch", "resume", "b", "--json", env=env)
    assert (last.code, last.json["completed"]) == (0, 40), last.err
    assert begun(slow)["executed_twice"] == []


def test_limit_tells_what_is_left_and_how_to_go_on(opus, to, tmp_path):
    said = opus("batch", "run", texts(tmp_path, 4), "--workflow", TEXT, "--out", "b", "--limit", 1, env=to)
    assert said.code == 0, said.err
    assert "as many rows as the limit allowed were begun" in said.out
    assert "opus-async batch resume b" in said.out
    assert said.out.index("not started") < said.out.index("Next:")


def test_price_is_told_by_validate_run_and_status(opus, to, tmp_path):
    manifest = texts(tmp_path, 4)
    said = opus("batch", "validate", manifest, "--workflow", TEXT, "--price", "0.12", env=to)
    assert "Expected: 4 jobs for about 0.48, " in said.out
    said = opus(
        "batch", "run", manifest, "--workflow", TEXT, "--out", "b", "--price", "0.12", "--limit", 1, env=to
    )
    assert "b: 1 job to begin, about 0.12; 3 rows, about 0.36, left for a resume." in said.err
    assert "Billed so far: 0.12 for 1 completed job, at 0.12 each." in said.out
    assert "Billed so far: 0.12 for 1 completed job, at 0.12 each." in opus("batch", "status", "b").out
    said = opus("batch", "resume", "b", env=to)
    assert "b: 3 jobs to begin, about 0.36." in said.err
    assert "Billed: 0.48 for 4 completed jobs, at 0.12 each." in said.out


@pytest.mark.parametrize("price", ["0", "-1", "0,12", "EUR 1", "nan", "inf"])
def test_price_that_is_no_number_is_refused(opus, tmp_path, price):
    said = opus("batch", "validate", texts(tmp_path, 1), "--workflow", TEXT, f"--price={price}")
    assert said.code == 2
    assert f"a number like 0.12, not '{price}'" in said.err


def test_validate_proposes_a_key_that_can_be_pasted(opus, to, tmp_path):
    (tmp_path / "t.csv").write_text("Text,Invoice No\nhello,7\nhello,8\n")
    words = ("batch", "validate", "t.csv", "--workflow", TEXT, "--map", "Invoice No=")
    said = opus(*words, env=to)
    (line,) = [line for line in said.out.splitlines() if "--key" in line]
    option = line[line.index("--key") :]
    assert option == "--key 'Invoice No'"
    assert opus(*words, "--json", "-", env=to).json["proposed_key"] == "Invoice No"
    again = opus(*words[:-2], *shlex.split(option), env=to)
    assert again.code == 0, again.err
    assert "No column names the rows" not in again.out


def test_failed_rows_are_named_by_line_without_a_key(opus, tmp_path):
    with SimulatorProcess(SimulatorConfig(run_time=0.1, fail_share=1)) as failing:
        env = leading_to(failing)
        said = opus("batch", "run", texts(tmp_path, 1), "--workflow", TEXT, "--out", "b", env=env)
    assert "b: failed: line 2, key " in said.err
    assert "      e.g. line 2, key " in said.out
