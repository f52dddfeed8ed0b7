"""A batch that is not what it was, at a shell: what is told and typed then, and that nobody pays twice."""

from __future__ import annotations

import re
import shlex
import shutil
import time

import pytest
from batch_command import TEXT, beginning, texts
from command_line import leading_to
from simulator_thread import SimulatorThread

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.simulator import SimulatorConfig

ROWS = 12


@pytest.fixture
def slow():
    with SimulatorThread(SimulatorConfig(run_time=0.2, queue_time=0)) as process:
        yield process


def killed(home, process):
    """A batch in ``b`` whose process was killed when a few of its rows had completed."""
    with beginning(
        home, texts(home, ROWS, keys=True), TEXT, "--max-in-flight", 2, env=leading_to(process)
    ) as begun:
        results = home / "b" / "results.jsonl"
        while not (results.exists() and results.read_bytes().count(b"\n") >= 3):
            assert begun.poll() is None
            time.sleep(0.01)
    return results.read_bytes().count(b"\n")


def executed(process):
    return process.state(jobs="0")["counters"]


def told_command(said):
    """The command that the refusal names, as words behind the program's."""
    (command,) = re.findall(r"'opus-async (batch resume [^']+ --accept-second-bill)'", said.err)
    return shlex.split(command)


def test_batch_resume_refuses_copied_directory_until_accepted(opus, slow, tmp_path):
    killed(tmp_path, slow)
    shutil.copytree(tmp_path / "b", tmp_path / "c")
    before = slow.state()["counters"]["requests"]
    said = opus("batch", "resume", "c", env=leading_to(slow))
    assert said.code == 2
    assert "this folder is a copy: the batch was worked on in" in said.err
    assert "rows that are not begun, as far as this ledger knows: 'k" in said.err
    assert slow.state()["counters"]["requests"] == before
    for verb in (["status", "c"], ["export", "c", "--format", "jsonl"], ["report", "c"]):
        assert opus("batch", *verb, env=leading_to(slow)).code == 0, verb
    assert opus("batch", "retry", "c", "--accept-second-bill", env=leading_to(slow)).code == 2
    assert opus("batch", "resume", "b", env=leading_to(slow)).code == 0
    with LedgerReader(tmp_path / "b") as ledger:
        assert ledger.counts().completed == ROWS
    assert executed(slow)["executed_twice"] == []
    again = opus(*told_command(said), env=leading_to(slow))
    assert again.code == 0, again.err
    assert "Going on although this folder is a copy" in again.err


def test_batch_resume_refuses_lost_wal_and_keeps_rows_proven_by_results(opus, slow, tmp_path):
    proved = killed(tmp_path, slow)
    (tmp_path / "b" / "ledger.db-wal").unlink()
    said = opus("batch", "resume", "b", env=leading_to(slow))
    assert said.code == 2
    assert "ledger.db is older than what was here" in said.err
    lines = "has lines of rows whose completion the ledger does not know of: "
    told = said.err.partition(lines)[2].partition("\n")[0]
    assert "'k0'" in told, said.err  # in the order in which they ended
    assert executed(slow)["executed_twice"] == []
    with (tmp_path / "b" / "results.jsonl").open("rb") as file:
        assert sum(1 for _ in file) >= proved
    again = opus(*told_command(said), env=leading_to(slow))
    assert again.code == 0, again.err
    assert "count as completed because their lines are in results.jsonl" in again.err
    with LedgerReader(tmp_path / "b") as ledger:
        assert ledger.counts().completed == ROWS


def test_batch_resume_accepts_moved_directory(opus, slow, tmp_path):
    killed(tmp_path, slow)
    (tmp_path / "b").rename(tmp_path / "moved")
    said = opus("batch", "resume", "moved", env=leading_to(slow))
    assert said.code == 0, said.err
    assert executed(slow)["executed_twice"] == []
