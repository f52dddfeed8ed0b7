"""A process that ends at one exact step, and what the next one makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from batch_tools import DOCUMENT, ask, content, documents, lines, recover, sha256
from crash_process import CRASHED, RETRY_STEPS, STEPS
from forking import ForkingProgram

from opus_async.batch import resume_batch, run_batch
from opus_async.simulator import Simulator, SimulatorConfig

LEFT = {
    "before anything": ("planned", None, 1),
    "files are uploaded": ("planned", None, 1),
    "a shell exists, nobody knows": ("planned", None, 2),
    "a shell is known": ("planned", "an id", 1),
    "the intent is durable": ("ordering", "an id", 1),
    "the order has left": ("ordering", "an id", 1),
    "it is known to run": ("running", "an id", 1),
    "results are here": ("running", "an id", 1),
    "the row has ended": ("completed", "an id", 1),
    "the session has ended": ("completed", "an id", 1),
    "the ledger is closed": ("completed", "an id", 1),
}
"""Step -> the row's state then, its job, and how many jobs there are when all is done."""


@pytest.fixture(scope="module")
def program():
    with ForkingProgram("crash_process") as program:
        yield program


@pytest.fixture
def crashed(program, tmp_path):
    """End a process at a step of the batch in ``out``."""

    async def call(step: str, manifest: Path, simulator: Simulator) -> None:
        env = {"OPUS_SERVICE_KEY": simulator.service_key, "OPUS_BASE_URL": simulator.base_url}
        words = (step, manifest, tmp_path / "out", DOCUMENT)
        process = await asyncio.to_thread(program.call, *words, env=env, seconds=60)
        assert process.returncode == CRASHED, process.stdout + process.stderr

    return call


def test_crash_steps_of_batch_run_are_all_covered():
    assert set(LEFT) == set(STEPS)


@pytest.mark.parametrize("step", LEFT)
async def test_trap_35_batch_resume_after_crash_reuses_job_id_and_only_checks_started_jobs(
    connect, crashed, tmp_path, step
):
    state, job, jobs = LEFT[step]
    manifest = documents(tmp_path / "in", 1)
    async with Simulator(SimulatorConfig(run_time=0.3, queue_time=0)) as simulator:
        await crashed(step, manifest, simulator)
        [(found, remote_id, orders)] = ask(tmp_path / "out", "SELECT state, remote_id, orders FROM rows")
        assert (found, remote_id is not None) == (state, job is not None)
        requests = simulator.state()["counters"]["requests"]
        result = await resume_batch(connect(simulator), tmp_path / "out")
        assert result.ok
        counters = simulator.state()["counters"]
        made = len(simulator.state(jobs="1")["jobs"])
    assert counters["executed_twice"] == []
    sent = {name: number - requests.get(name, 0) for name, number in counters["requests"].items()}
    if state in {"running", "completed"}:
        assert not {name for name in ("presign", "initiate", "execute") if sent.get(name)}
    if job is not None and state == "planned":
        assert not sent.get("initiate")
    if step != "before anything":
        assert not sent.get("presign"), "what was uploaded is uploaded again"
    assert made <= jobs + (1 if state == "ordering" else 0)  # and one never executed, to compare with
    [line] = lines(tmp_path / "out" / "results.jsonl")
    assert line["outputs"]["SHA-256"] == sha256(content(0))
    assert ask(tmp_path / "out", "PRAGMA integrity_check") == [("ok",)]
    assert orders == {"planned": 0}.get(state, 1)


AFTER_A_RETRY = {
    "the row is planned anew": "the old job",
    "its job is about to be asked": "the old job",
    "its job was asked": "the old job",
    "its job gave way": "no job",
    "a new shell exists, nobody knows": "no job",
    "a new shell is known": "another job",
    "the new intent is durable": "another job",
    "the new order has left": "another job",
    "results of the old job are here": "the old job",
}
"""Step of a retry -> what the row has then."""


def test_crash_steps_of_batch_retry_are_all_covered():
    assert set(AFTER_A_RETRY) == set(RETRY_STEPS)


@pytest.mark.parametrize(
    ("step", "recovered"),
    [(step, False) for step in AFTER_A_RETRY if not step.startswith("results")]
    + [(step, True) for step, job in AFTER_A_RETRY.items() if job == "the old job"],
)
async def test_crash_during_batch_retry_keeps_job_that_was_not_yet_checked(
    connect, crashed, tmp_path, step, recovered
):
    """The first job fails, and the second would: what recovers was run again by a person meanwhile."""
    manifest = documents(tmp_path / "in", 1)
    async with Simulator(SimulatorConfig(run_time=0.1, queue_time=0, fail_share=1.0)) as simulator:
        await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")
        [(old,)] = ask(tmp_path / "out", "SELECT remote_id FROM rows")
        if recovered:
            recover(simulator, old)
        await crashed(step, manifest, simulator)
        [(job,)] = ask(tmp_path / "out", "SELECT remote_id FROM rows")
        assert {None: "no job", old: "the old job"}.get(job, "another job") == AFTER_A_RETRY[step]
        result = await resume_batch(connect(simulator), tmp_path / "out")
        executions = {job.job_id: job.executions for job in simulator.world.jobs if job.executions}
    if recovered:
        assert result.ok
        assert executions == {old: 1}
    else:
        assert result.counts.failed == 1
        assert sorted(executions.values()) == [1, 1]
