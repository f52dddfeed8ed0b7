"""Killed at random moments, again and again: no row is lost, and none is executed twice.

The faults of the simulator go on meanwhile: answers are lost, connections break, storage says no.
"""

from __future__ import annotations

import csv
import hashlib
import random
from pathlib import Path

import pytest
from killed_batch import KilledBatch
from operativus_command import leading_to_operativus

from opus_async.operativus import OperativusClient, Step
from opus_async.simulator import OperativusConfig, SimulatorConfig, SimulatorProcess

SUPPORT = Path(__file__).parents[1] / "support"
DOCUMENTS = "D0cumentWorkfl0w"
HOSTILE = {"faults": "hostile", "run_time": "0.2-1.5"}


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
    digests = documents(tmp_path / "in", rows)
    with SimulatorProcess(SimulatorConfig(seed=seed, queue_time="0-0.3", **HOSTILE)) as simulator:
        batch = KilledBatch(
            SUPPORT / "batch_process.py",
            tmp_path / "in" / "manifest.csv",
            tmp_path / "out",
            DOCUMENTS,
            {"OPUS_SERVICE_KEY": simulator.service_key, "OPUS_BASE_URL": simulator.base_url},
        )
        await batch.kill_again_and_again(kills, random.Random(seed))
        counters = simulator.state()["counters"]
    assert counters["executed_twice"] == []
    lines = batch.assert_whole(set(digests))
    assert {line["key"]: line["outputs"]["SHA-256"] for line in lines} == digests
    stored = (batch.directory / "ledger.db").read_bytes()
    assert simulator.service_key.encode() not in stored
    assert b"X-Amz-Signature" not in stored


@pytest.mark.parametrize(
    ("rows", "kills", "seed", "form"),
    [
        (40, 3, 4, "real"),
        pytest.param(150, 12, 12, "real", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
        pytest.param(150, 12, 13, "documented", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
async def test_operativus_batch_resume_after_repeated_kills_under_faults_starts_no_row_twice(
    tmp_path, rows, kills, seed, form
):
    texts = {f"K{index}": f"text {index}" for index in range(rows)}
    lines = "".join(f"{key},{text}\n" for key, text in texts.items())
    (tmp_path / "manifest.csv").write_text("key,input\n" + lines)
    server = OperativusConfig(form=form, queue_jobs=5, queue_tick=0.3)
    with SimulatorProcess(SimulatorConfig(seed=seed, **HOSTILE, operativus=server)) as simulator:
        at = {"base_url": simulator.operativus.base_url, "token": simulator.operativus.token}
        async with OperativusClient(**at) as operativus:
            agents = [Step("finance_agent", "Fetch the prices."), Step("writer_agent", "Sum them up.")]
            flow = (await operativus.workflows.create("Briefing", steps=agents)).id
        batch = KilledBatch(
            SUPPORT / "operativus_process.py",
            tmp_path / "manifest.csv",
            tmp_path / "out",
            flow,
            leading_to_operativus(simulator),
            max_in_flight=20,  # later orders are what tells of lost ones
        )
        await batch.kill_again_and_again(kills, random.Random(seed))
        counted = simulator.operativus.stats()
    assert counted["started_twice"] == []
    assert counted["inputs_started_twice"] == 0
    assert counted["starts"] == rows
    found = batch.assert_whole(set(texts))
    assert {line["key"]: line["outputs"]["output"] for line in found} == {
        key: f"[writer_agent] [finance_agent] {text}" for key, text in texts.items()
    }
    assert simulator.operativus.token.encode() not in (batch.directory / "ledger.db").read_bytes()
