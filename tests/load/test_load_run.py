"""``run_load`` on a real simulator, over real sockets: figures against the truth that the simulator knows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
from datetime import datetime

import pytest

from opus_async import OpusClient
from opus_async.errors import LoadRefused, ManifestError
from opus_async.load import LIMITS, LoadObserver, Verdict, compare, run_load
from opus_async.load.sample_file import read_samples
from opus_async.operativus import OperativusClient, Step
from opus_async.simulator import OperativusConfig, Simulator, SimulatorConfig, SimulatorProcess

TEXT, DOCUMENT = "T3xtOnlyWorkfl0w", "D0cumentWorkfl0w"


@pytest.fixture
async def simulator():
    async with Simulator(SimulatorConfig(run_time=0.3, queue_time=0)) as simulator:
        yield simulator


@pytest.fixture
async def client(simulator):
    async with OpusClient(simulator.service_key, base_url=simulator.base_url, limits=LIMITS) as client:
        yield client


@pytest.fixture
def texts(tmp_path):
    manifest = tmp_path / "texts.csv"
    manifest.write_text("Text\nHello\nWorld\n")
    return manifest


async def test_run_tells_each_job_and_writes_its_files(client, simulator, texts, tmp_path):
    out = tmp_path / "out"
    result = await run_load(client, texts, workflow_id=TEXT, out=out, rate=40, jobs=30, seed=1)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["counts"] == {
        "offered": 30,
        "started": 30,
        "completed": 30,
        "failed": 0,
        "unknown": 0,
        "dropped": {},
    }
    assert set(summary["latency"]) == {
        "e2e_intended",
        "e2e_service",
        "client_wait",
        "presign",
        "upload",
        "initiate",
        "execute",
        "queue_run",
        "results",
    }
    lines = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    assert len(lines) == 30
    assert result.summary.run_id == summary["run_id"]
    jobs = simulator.state()["jobs"]
    assert set(jobs) == {line["job_id"] for line in lines}
    assert all(summary["run_id"] in job["title"] for job in jobs.values())
    assert {job["inputs"]["workflow_input_t3xtinput"] for job in jobs.values()} == {"Hello", "World"}
    assert re.search(r"#\[Mean +=", (out / "latency.hgrm").read_text())


async def test_run_tells_queue_and_run_between_the_truth_and_the_bound(client, simulator, texts, tmp_path):
    await run_load(client, texts, workflow_id=TEXT, out=tmp_path / "out", rate=40, jobs=40, seed=1)
    for sample in read_samples(tmp_path / "out"):
        run = simulator.world.jobs.find(sample.job_id).run
        truth = run.ends_at - run.accepted_at
        late_answer = sample.stages["execute"]  # it was accepted before that was known here
        assert truth - late_answer <= sample.stages["queue_run"] <= truth + sample.detect_lag
        assert sum(sample.stages.values()) == pytest.approx(sample.e2e_intended, abs=1e-5)


async def test_run_of_documents_tells_presign_and_upload_apart(client, simulator, tmp_path):
    result = await run_load(
        client,
        None,
        workflow_id=DOCUMENT,
        out=tmp_path / "out",
        concurrency=3,
        jobs=9,
        file_size="lognormal:20KB",
        seed=1,
    )
    latency = result.summary.latency
    assert latency["presign"].p50 > 0
    assert latency["upload"].p50 > 0
    assert result.summary.counts.completed == 9
    assert simulator.state(jobs="0")["counters"]["stored_files"] == 9


@pytest.mark.parametrize(("reuse", "uploads"), [(False, 6), (True, 1)])
async def test_run_uploads_for_each_job_unless_told_otherwise(client, simulator, tmp_path, reuse, uploads):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "one.txt").write_text("one")
    await run_load(
        client,
        tmp_path / "scans",
        workflow_id=DOCUMENT,
        out=tmp_path / "out",
        concurrency=2,
        jobs=6,
        reuse_uploads=reuse,
    )
    assert simulator.state(jobs="0")["counters"]["stored_files"] == uploads


async def test_run_counts_429_and_the_time_paused(texts, tmp_path):
    config = SimulatorConfig(run_time=0.1, queue_time=0, rate_limit=20)
    async with (
        Simulator(config) as simulator,
        OpusClient(simulator.service_key, base_url=simulator.base_url, limits=LIMITS) as client,
    ):
        result = await run_load(client, texts, workflow_id=TEXT, out=tmp_path / "out", rate=30, jobs=20)
    throttled = result.summary.throttled
    assert throttled.responses > 0
    assert 0 < throttled.share < 1
    assert throttled.paused_seconds > 0


async def test_run_on_operativus_has_its_stages(tmp_path):
    operativus = OperativusConfig(queue_tick=0.02, queue_jobs=100, rate_limit=None, login_limit=None)
    manifest = tmp_path / "questions.csv"
    manifest.write_text("input\nHow is NVDA doing?\n")
    async with Simulator(SimulatorConfig(run_time=0.1, operativus=operativus)) as simulator:
        access = simulator.operativus
        async with OperativusClient(access.base_url, token=access.token, limits=LIMITS) as client:
            steps = [Step("finance_agent", "Answer.")]
            workflow = await client.workflows.create("Load", steps=steps)
            result = await run_load(
                client, manifest, workflow_id=workflow.id, out=tmp_path / "out", rate=20, jobs=10
            )
    assert result.summary.counts.completed == 10
    assert result.summary.stages == ("client_wait", "login", "session", "run", "queue_run", "outputs")


async def test_runs_of_the_same_workload_compare_and_others_do_not(client, texts, tmp_path):
    for name, rate in (("one", 40), ("two", 40), ("three", 41)):
        await run_load(client, texts, workflow_id=TEXT, out=tmp_path / name, rate=rate, jobs=40, seed=1)
        summary = tmp_path / name / "summary.json"  # PASS, however busy the machine is that the test runs on
        summary.write_text(json.dumps(json.loads(summary.read_text()) | {"verdict": "PASS"}))
    found = await compare(tmp_path / "one", tmp_path / "two", fail_if=["e2e.p50 > 400%"])
    assert (found.comparison.same_workload, found.exit_code) == (True, 0)
    with pytest.raises(LoadRefused, match="rate"):
        await compare(tmp_path / "one", tmp_path / "three")


# What is refused


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"rate": 10, "jobs": 1001}, "1,001 jobs"),
        ({"rate": 100, "duration": 60}, "--max-jobs"),
        ({"concurrency": 5, "jobs": 2000}, "--max-jobs"),
        ({"rate": 10}, "When does the load end"),
        ({"rate": 10, "jobs": 5, "duration": 5}, "one of them"),
        ({"jobs": 5}, "one of three"),
        ({"rate": 10, "concurrency": 5, "jobs": 5}, "one of three"),
        ({"rate": 10, "think": 2, "jobs": 5}, "closed model"),
        ({"stages": "5/s"}, "Stages"),
        ({"rate": 10, "jobs": 5, "warm_up": 60}, "nothing would be measured"),
        ({"rate": 10, "jobs": 5, "slo": ["e2e.p59 < 1s"]}, "p59"),
        ({"rate": 10, "jobs": 5, "file_size": "large"}, "File size"),
    ],
)
async def test_load_that_cannot_be_is_refused_before_anything_is_sent(client, simulator, texts, asked, why):
    with pytest.raises(LoadRefused, match=re.escape(why)):
        await run_load(client, texts, workflow_id=TEXT, out=texts.parent / "out", **asked)
    assert simulator.state(jobs="0")["counters"]["requests"] == {}
    assert not (texts.parent / "out").exists()


async def test_directory_that_holds_a_run_is_refused(client, texts, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.json").write_text("{}")
    with pytest.raises(LoadRefused, match="holds the results"):
        await run_load(client, texts, workflow_id=TEXT, out=tmp_path / "out", rate=10, jobs=5)


@pytest.mark.parametrize(
    "url", ["https://operator.opus.com", "https://OPERATOR.opus.com.", "https://eu.opus.com:443"]
)
async def test_production_host_is_refused_without_a_look_up(texts, tmp_path, url, monkeypatch):
    import socket

    def look_up(*_arguments, **_options):
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with OpusClient("_" + "5e" * 48, base_url=url) as client:
        with pytest.raises(LoadRefused, match="--production"):
            await run_load(client, texts, workflow_id=TEXT, out=tmp_path / "out", rate=10, jobs=5)


@pytest.mark.parametrize("url", ["https://opus.com.example.org", "https://notopus.com", "http://127.0.0.1:1"])
async def test_other_hosts_are_no_production(url):
    async with OpusClient("_" + "5e" * 48, base_url=url) as client:
        assert not client.is_production


async def test_rows_that_cannot_be_run_are_refused_before_a_job_is_made(client, simulator, tmp_path):
    manifest = tmp_path / "texts.csv"
    manifest.write_text("Other\n1\n")
    with pytest.raises(ManifestError, match="Text"):
        await run_load(client, manifest, workflow_id=TEXT, out=tmp_path / "out", rate=10, jobs=5)
    assert set(simulator.state(jobs="0")["counters"]["requests"]) <= {"workflow"}


# What takes longer


@pytest.mark.long
async def test_stall_of_the_server_is_in_the_latency_from_the_intended_start(texts, tmp_path):
    """The server stands still for 10 s: a job that was to start meanwhile waits for the rest of that."""
    config = SimulatorConfig(run_time=0.5, queue_time=0)
    with SimulatorProcess(config) as process:

        async def stall():
            await asyncio.sleep(10)
            os.kill(process.pid, signal.SIGSTOP)
            await asyncio.sleep(10)
            os.kill(process.pid, signal.SIGCONT)

        async with OpusClient(process.service_key, base_url=process.base_url, limits=LIMITS) as client:
            beside = asyncio.ensure_future(stall())
            result = await run_load(
                client, texts, workflow_id=TEXT, out=tmp_path / "out", rate=10, duration=30, arrival="uniform"
            )
            await beside
        jobs = process.state()["jobs"]
    hit = [each for each in read_samples(tmp_path / "out") if 11 <= each.intended < 19]
    ends = [datetime.fromisoformat(jobs[each.job_id]["accepted_at"]).timestamp() + 0.5 for each in hit]
    truth = [end - result.summary.began - each.intended for end, each in zip(ends, hit, strict=True)]
    assert statistics.fmean(truth) > 4
    seen = [each.e2e_intended for each in hit]
    assert statistics.fmean(seen) == pytest.approx(statistics.fmean(truth), rel=0.1)


@pytest.mark.long
async def test_two_thousand_jobs_in_flight_on_one_core(texts, tmp_path):
    before = os.sched_getaffinity(0)
    cores = sorted(before)
    with SimulatorProcess(SimulatorConfig(run_time=30, queue_time=0)) as process:
        os.sched_setaffinity(process.pid, {cores[-1]})
        os.sched_setaffinity(0, {cores[0]})
        try:
            async with OpusClient(process.service_key, base_url=process.base_url, limits=LIMITS) as client:
                result = await run_load(
                    client,
                    texts,
                    workflow_id=TEXT,
                    out=tmp_path / "out",
                    rate=75,
                    jobs=3000,
                    max_jobs=3000,
                    watching=LoadObserver(),
                )
        finally:
            os.sched_setaffinity(0, before)
    assert result.summary.in_flight.max >= 2000
    assert result.summary.counts.completed == 3000
    assert result.summary.health.cpu_share < 0.9


@pytest.mark.long
async def test_generator_that_has_too_little_of_its_core_is_invalid(texts, tmp_path):
    """Others burn the core that it runs on: what it measures is its own waiting."""
    before = os.sched_getaffinity(0)
    core, *others = sorted(before)
    burn = [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"]
    burners = [subprocess.Popen(burn) for _ in range(4)]  # noqa: ASYNC220 - before anything runs in the loop
    try:
        with SimulatorProcess(SimulatorConfig(run_time=0.5, queue_time=0)) as process:
            os.sched_setaffinity(process.pid, set(others) or {core})
            os.sched_setaffinity(0, {core})
            async with OpusClient(process.service_key, base_url=process.base_url, limits=LIMITS) as client:
                result = await run_load(
                    client, texts, workflow_id=TEXT, out=tmp_path / "out", rate=150, jobs=600, max_jobs=600
                )
    finally:
        os.sched_setaffinity(0, before)
        for burner in burners:
            burner.kill()
            burner.wait()
    assert result.summary.verdict is Verdict.INVALID
    assert any("this machine was the bottleneck" in reason for reason in result.summary.reasons)
