"""What is shared between rows and between tasks: file objects, uploads, the client itself."""

from __future__ import annotations

import asyncio
import hashlib
import io
import warnings

import pytest

from opus_async import ConfigurationError, InvalidInputs, OpusClient, OpusError, UploadError
from opus_async.models import JobStatus
from opus_async.opus.protocol.audit import audit_of
from opus_async.opus.start_check import StartChecker
from opus_async.platform import StartCheck
from opus_async.simulator import Simulator, SimulatorConfig


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


DOCUMENT = "D0cumentWorkfl0w"
TEXT = "T3xtOnlyWorkfl0w"
LATEST = (None, None)


@pytest.fixture
async def simulator():
    async with Simulator(SimulatorConfig(run_time=0.01, queue_time=0)) as running:
        yield running


@pytest.fixture
async def opus(simulator):
    async with OpusClient(simulator.service_key, base_url=simulator.base_url) as client:
        yield client


async def test_run_many_rows_can_share_one_open_file(opus):
    content = bytes(range(256)) * 4000
    file = io.BytesIO(b"head" + content)
    file.seek(4)
    file.name = "shared.txt"
    outcomes = [o async for o in opus.run_many(DOCUMENT, ({"Document": file} for _ in range(20)))]
    assert {o.raise_for_status().outputs["SHA-256"] for o in outcomes} == {
        hashlib.sha256(content).hexdigest()
    }
    assert file.tell() == 4, "it stands where it stood"


async def test_upload_many_can_share_one_open_file(opus):
    file = io.BytesIO(b"x" * 500_000)
    uploaded = await opus.files.upload_many([file] * 10, filename="same.txt")
    assert {one.size for one in uploaded} == {500_000}
    assert len({one.sha256 for one in uploaded}) == 1


async def test_upload_failure_of_shared_content_reaches_every_waiting_row(opus, tmp_path, monkeypatch):
    path = tmp_path / "same.txt"
    path.write_text("same")
    calls = []

    async def fail(self, source, fields, *, sha256, on_progress=None):
        calls.append(source)
        await asyncio.sleep(0.05)
        raise UploadError("storage is down", filename=source.filename, status=500)

    monkeypatch.setattr("opus_async.opus.uploads.Uploader.send", fail)
    outcomes = [o async for o in opus.run_many(DOCUMENT, ({"Document": path} for _ in range(10)))]
    assert all(isinstance(o.error, UploadError) and o.error.status == 500 for o in outcomes)
    assert len({id(o.error) for o in outcomes}) == 10, "each row has an error of its own"
    assert len(calls) == 1


async def test_client_close_starts_nothing_more_and_ends_every_run(simulator):
    opus = OpusClient(simulator.service_key, base_url=simulator.base_url)
    runs = [asyncio.ensure_future(opus.run(TEXT, {"Text": str(n)})) for n in range(100)]
    await asyncio.sleep(0)
    await opus.close()
    started = simulator.state()["counters"]["executions"]
    ends = await asyncio.wait_for(asyncio.gather(*runs, return_exceptions=True), 5)
    assert all(isinstance(end, OpusError) for end in ends)
    assert simulator.state()["counters"]["executions"] == started


async def test_jobs_wait_on_closed_client_raises(simulator):
    opus = OpusClient(simulator.service_key, base_url=simulator.base_url)
    await opus.close()
    with pytest.raises(OpusError, match="closed"):
        await opus.jobs.wait("2514")


async def test_job_id_may_be_int_and_not_blank(opus):
    job_id = await opus.jobs.initiate(TEXT)
    await opus.jobs.execute(job_id, {"Text": "x"}, workflow=await opus.workflows.get(TEXT))
    assert await opus.jobs.wait(int(job_id), timeout=10) == JobStatus.COMPLETED
    with pytest.raises(InvalidInputs):
        await opus.jobs.wait(" ")


async def test_run_never_shares_job_id_with_another_run(simulator, opus, monkeypatch):
    """As behind a cache that answers every other request to make a job with what it answered before."""
    jobs, asked = simulator.world.jobs, []
    opened = jobs.open

    def cached(*args, **kwargs):
        asked.append(args)
        return list(jobs)[-1] if len(asked) % 2 == 0 else opened(*args, **kwargs)

    monkeypatch.setattr(jobs, "open", cached)
    outcomes = await asyncio.gather(*(opus.run(TEXT, {"Text": str(row)}) for row in range(4)))
    assert len({outcome.job_id for outcome in outcomes}) == 4
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_run_many_refuses_max_in_flight_zero(opus):
    with pytest.raises(ConfigurationError, match="max_in_flight=0"):
        opus.run_many(TEXT, [], max_in_flight=0)


class Asked:
    """An API whose looks are a script: (status, audit actions) for each job, the last repeated."""

    def __init__(self, **looks):
        self.looks = looks
        self.now = {}

    async def status_and_body(self, job_id):
        script = self.looks[job_id]
        self.now[job_id] = script.pop(0) if len(script) > 1 else script[0]
        status = self.now[job_id][0]
        return status, {"status": status.raw}

    async def audit(self, job_id, *, policy):
        return audit_of({"auditTrail": [{"action": action} for action in self.now[job_id][1]]})


def looks_at(api):
    async def make_shell(version):
        return "shell"

    return StartChecker(api, make_shell)


PENDING = (JobStatus.PENDING, ("job 1 created",))
OTHER = (JobStatus.PENDING, ("job 1 created", "queued"))
BLIP = (JobStatus("UNKNOWN", raw="null"), ())


async def standings(looks, job_id, count):
    return [await looks.check(job_id, LATEST) for _ in range(count)]


async def test_start_check_recovers_from_one_odd_status_of_the_job():
    api = Asked(shell=[PENDING], job=[PENDING, OTHER, PENDING, BLIP, PENDING])
    assert await standings(looks_at(api), "job", 5) == [
        StartCheck.NOT_STARTED,
        StartCheck.DIFFERENT,
        StartCheck.NOT_STARTED,
        StartCheck.INCONCLUSIVE,
        StartCheck.NOT_STARTED,
    ]


async def test_start_check_recovers_from_one_odd_status_of_unstarted_job():
    api = Asked(shell=[BLIP, PENDING, PENDING, OTHER, PENDING], job=[PENDING])
    seen = await standings(looks_at(api), "job", 6)
    assert StartCheck.RUNNING not in seen
    assert StartCheck.DIFFERENT not in seen
    assert seen[-1] is StartCheck.NOT_STARTED


async def test_start_check_persistent_difference_means_running():
    api = Asked(shell=[PENDING], job=[OTHER])
    assert await standings(looks_at(api), "job", 2) == [StartCheck.DIFFERENT, StartCheck.RUNNING]


async def test_start_check_ignores_job_ids_in_audit():
    shell = (JobStatus.PENDING, ("job shell created",))
    job_id = "00000000-0000-4000-8000-0000000000aa"
    api = Asked(shell=[shell], **{job_id: [(JobStatus.PENDING, (f"job {job_id} created",))]})
    assert await standings(looks_at(api), job_id, 1) == [StartCheck.NOT_STARTED]


async def test_start_check_job_in_progress_is_running_at_first_check():
    api = Asked(shell=[PENDING], job=[(JobStatus.IN_PROGRESS, ())])
    assert await standings(looks_at(api), "job", 1) == [StartCheck.RUNNING]


@pytest.mark.parametrize("key", ["mysecretkey", "_" + "ab" * 48])
async def test_redaction_hides_key_quoted_by_platform(key, aiohttp_reply):
    url = await aiohttp_reply(400, {"statusCode": 400, "message": [f"bad key {key}"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of the keys has an odd shape
        opus = OpusClient(key, base_url=url)
    async with opus:
        with pytest.raises(OpusError) as caught:
            await opus.workflows.get(TEXT)
    assert key not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


@pytest.fixture
async def aiohttp_reply():
    from aiohttp import web

    runners = []

    async def serve(status, body):
        app = web.Application()

        async def answer(request):
            return web.json_response(body, status=status)

        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield serve
    for runner in runners:
        await runner.cleanup()
