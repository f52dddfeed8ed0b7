"""A batch whose rows run in another process: it is killed, and the next one goes on with what it held."""

from __future__ import annotations

import asyncio

import pytest
from batch_tools import DOCUMENT, content, documents, lines, sha256, states, until
from worker_process import WorkerRunner

from opus_async.batch import BatchObserver, resume_batch
from opus_async.batch.options import BatchSpec, ManifestPolicy, ManifestSource, RunSettings
from opus_async.batch.planning.open_batch import start
from opus_async.exits import Exit

ROWS = 100
KILLED_AT = (5, 25, 55)
"""Rows that are completed when a worker is killed."""


class Driver:
    """A batch in this process, whose rows run in another."""

    def __init__(self, simulator, client, folder) -> None:
        self.directory = folder / "out"
        self.watching = BatchObserver()
        self.runner: WorkerRunner | None = None
        self._simulator = simulator
        self._client = client
        self._manifest = documents(folder / "in", ROWS)

    def _engine(self, setup, on_end) -> WorkerRunner:
        where = {"base_url": self._simulator.base_url, "service_key": self._simulator.service_key}
        self.runner = WorkerRunner(setup, on_end, **where)
        return self.runner

    async def run(self):
        return await start(
            self._client,
            self.directory,
            BatchSpec(workflow_id=DOCUMENT),
            ManifestSource.of(self._manifest),
            settings=RunSettings(max_in_flight=40),
            rules=ManifestPolicy(),
            watching=self.watching,
            engine=self._engine,
        )

    async def completed(self, rows: int) -> None:
        """Wait until so many rows are completed, and others are on their way."""
        await until(lambda: self.watching.progress.completed >= rows and self.at_work(), 30)

    def at_work(self) -> int:
        counts = states(self.directory)
        return counts.get("ordering", 0) + counts.get("running", 0)

    def kill(self) -> None:
        assert self.runner is not None
        assert self.runner.process is not None
        self.runner.process.kill()


def is_whole(driver: Driver, simulator) -> None:
    """Every row has its own right result, and one job alone was started for it."""
    found = lines(driver.directory / "results.jsonl")
    assert {line["key"]: line["outputs"]["SHA-256"] for line in found} == {
        f"K{index}": sha256(content(index)) for index in range(ROWS)
    }
    assert len(found) == len({line["job_id"] for line in found}) == ROWS
    assert states(driver.directory) == {"completed": ROWS}
    state = simulator.state()
    assert state["counters"]["executed_twice"] == []
    assert state["counters"]["executions"] == ROWS


@pytest.mark.timeout(60)
async def test_worker_process_kills_lose_no_row_and_start_none_twice(simulate, connect, tmp_path):
    simulator = await simulate(run_time="0.1-0.6", queue_time="0-0.2")
    driver = Driver(simulator, connect(simulator), tmp_path)
    running = asyncio.create_task(driver.run())
    for rows in KILLED_AT:
        await driver.completed(rows)
        driver.kill()
        await until(lambda: driver.runner.lost == driver.runner.workers, 10)
    result = await running

    assert (result.ok, result.exit_code) == (True, 0)
    assert (driver.runner.workers, driver.runner.lost) == (len(KILLED_AT) + 1, len(KILLED_AT))
    is_whole(driver, simulator)
    assert driver.watching.progress.requests["execute"] > 0  # as the reports tell: its client sent none


@pytest.mark.timeout(60)
async def test_worker_process_interrupted_releases_rows_that_resume_completes(simulate, connect, tmp_path):
    simulator = await simulate(run_time="0.1-0.6", queue_time="0-0.2")
    client = connect(simulator)
    driver = Driver(simulator, client, tmp_path)
    running = asyncio.create_task(driver.run())
    await driver.completed(ROWS // 8)
    driver.watching.control.interrupt()
    result = await running

    assert result.exit_code == Exit.INTERRUPTED
    assert driver.runner.lost == 0
    assert result.counts.planned > 0
    assert (await resume_batch(client, driver.directory)).ok
    is_whole(driver, simulator)
