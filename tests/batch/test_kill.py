"""Killed at random moments, again and again: no row is lost, and none is executed twice.

The faults of the simulator go on meanwhile: answers are lost, connections break, storage says no.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from opus_async.batch import resolve_batch
from opus_async.simulator import SimulatorConfig, SimulatorProcess

PROCESS = Path(__file__).parents[1] / "support" / "batch_process.py"
DOCUMENTS = "D0cumentWorkfl0w"
LONGEST = 900
"""Seconds for the last run, which nobody kills."""


def documents(folder: Path, number: int) -> dict[str, str]:
    """A manifest of so many rows, each with a file of its own; key -> digest."""
    folder.mkdir()
    digests = {}
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "Document", "Threshold"])
        for index in range(number):
            content = f"document {index}\n".encode() * (50 + index)
            (folder / f"{index}.txt").write_bytes(content)
            writer.writerow([f"K{index}", f"{index}.txt", "0.5"])
            digests[f"K{index}"] = hashlib.sha256(content).hexdigest()
    return digests


class Batch:
    """A batch that is begun, killed and gone on with."""

    def __init__(self, manifest: Path, directory: Path, simulator: SimulatorProcess) -> None:
        self.directory = directory
        self._manifest = manifest
        self._environment = {
            **os.environ,
            "OPUS_SERVICE_KEY": simulator.service_key,
            "OPUS_BASE_URL": simulator.base_url,
        }

    def start(self) -> subprocess.Popen[str]:
        settings = json.dumps({"max_in_flight": 60})
        return subprocess.Popen(
            [sys.executable, str(PROCESS), str(self._manifest), str(self.directory), DOCUMENTS, settings],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run_to_the_end(self) -> int:
        process = self.start()
        try:
            said, complaint = process.communicate(timeout=LONGEST)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        assert process.returncode in {0, 1, 5}, said + complaint
        return process.returncode

    def kill_after(self, seconds: float) -> bool:
        """Begin or go on, and kill the whole group after so long; False when it had ended by itself."""
        process = self.start()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return process.returncode == -signal.SIGKILL

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(f"file:{self.directory / 'ledger.db'}?mode=ro", uri=True) as database:
            found = database.execute(query).fetchall()
        database.close()
        return found

    def lines(self, name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.directory / name).read_bytes().splitlines()]


async def decided(batch: Batch) -> None:
    """What nobody can tell is decided as a person would who looks: nothing of it runs."""
    while batch.run_to_the_end() == 5:
        await resolve_batch(batch.directory, "retry", keys=None)


async def killed_again_and_again(tmp_path: Path, *, rows: int, kills: int, seed: int) -> None:
    draws = random.Random(seed)
    digests = documents(tmp_path / "in", rows)
    config = SimulatorConfig(faults="hostile", seed=seed, run_time="0.2-1.5", queue_time="0-0.3")
    with SimulatorProcess(config) as simulator:
        batch = Batch(tmp_path / "in" / "manifest.csv", tmp_path / "out", simulator)
        killed = 0
        while killed < kills:
            landed = await asyncio.to_thread(batch.kill_after, draws.uniform(0.4, 2.5))
            killed += landed
            if not landed:
                break  # done before all the kills were used
        await decided(batch)
        counters = simulator.state()["counters"]
    assert killed >= kills // 2, "the batch was over before it could be killed"
    assert counters["executed_twice"] == []

    assert batch.lines("failures.jsonl") == []
    lines = batch.lines("results.jsonl")
    assert sorted(line["key"] for line in lines) == sorted(digests)
    assert {line["key"]: line["outputs"]["SHA-256"] for line in lines} == digests
    assert len({line["job_id"] for line in lines}) == rows
    assert batch.ask("PRAGMA integrity_check") == [("ok",)]
    assert batch.ask("SELECT state, count(*) FROM rows GROUP BY state") == [("completed", rows)]
    summary = json.loads((batch.directory / "summary.json").read_text())
    assert (summary["total"], summary["completed"]) == (rows, rows)
    stored = (batch.directory / "ledger.db").read_bytes()
    assert simulator.service_key.encode() not in stored
    assert b"X-Amz-Signature" not in stored


@pytest.mark.parametrize(
    ("rows", "kills", "seed"),
    [
        (60, 4, 4),
        pytest.param(250, 20, 4, marks=[pytest.mark.long, pytest.mark.timeout(400)]),
        pytest.param(2000, 200, 44, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
async def test_batch_resume_after_repeated_kills_under_faults_completes_each_row_once(
    tmp_path, rows, kills, seed
):
    await killed_again_and_again(tmp_path, rows=rows, kills=kills, seed=seed)
