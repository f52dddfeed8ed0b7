"""Cancelled anywhere, over real sockets: nothing is left here, and what goes on there is named."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re

import pytest
from client_tools import DOCUMENT, QUICK, TEXT, Remains, document, text_payload, until

from opus_async import (
    AmbiguousExecution,
    JobRequest,
    JobStageChanged,
    OpusClient,
    OpusError,
    RequestSent,
    UploadProgress,
)


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


STAGES = ("schema", "upload", "initiate", "execute", "watch", "results", "done")
NAMED = re.compile(r"Job (\d+) \(row \d+\) (?:may go on|ended as COMPLETED)")
EARLY = list(range(40))
LATER = [40 + 7 * step for step in range(40)] + [400, 700, 1000, 1500, 2000, 3000]
"""Turns of the loop after which to cancel: each of the first ones, then some of those that mostly wait."""


@pytest.fixture
async def simulator(simulate):
    return await simulate(run_time=0.01, queue_time=0.005, traits=frozenset({"results_late"}))


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.txt" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(document(number, lines=4000 if number == 0 else 4))
    return paths


def client_of(simulator, **options):
    return OpusClient(simulator.service_key, base_url=simulator.base_url, retry=QUICK, **options)


def executed(simulator):
    return {job_id for job_id, job in simulator.state()["jobs"].items() if job["executions"]}


def named_in(cancelled):
    return set(NAMED.findall(" ".join(getattr(cancelled, "__notes__", ()))))


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled_after(count, work):
    """Cancel after so many turns of the loop; what came instead of an end: a result, or the cancellation."""
    task = asyncio.ensure_future(work)
    await turns(count)
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError as cancelled:
        return cancelled


@pytest.mark.parametrize("group", range(4))
async def test_run_cancelled_at_any_loop_turn_cleans_up_and_names_job(simulator, files, group):
    ends = {"cancelled": 0, "completed": 0}
    for count in (EARLY + LATER)[group::4]:
        before = executed(simulator)
        remains = Remains()
        opus = client_of(simulator)
        ended = await cancelled_after(count, opus.run(DOCUMENT, {"Document": files[count % 3]}))
        if isinstance(ended, asyncio.CancelledError):
            ends["cancelled"] += 1
            # An order that had just left may arrive after us: what is named may start, what is not may not.
            assert len(opus._watcher) == 0
            await opus.close()
            await remains.none()
            assert executed(simulator) - before <= named_in(ended), f"cancelled after {count} turns"
        else:
            ends["completed"] += 1
            assert ended.ok
            await opus.close()
            await remains.none()
    assert ends["cancelled"] > 10
    assert simulator.state()["counters"]["executed_twice"] == []


@pytest.mark.parametrize("stage", STAGES)
async def test_run_cancelled_in_any_stage_cleans_up_and_names_job(simulator, files, stage, caplog):
    remains = Remains()
    seen = {}

    def cancel(event):
        if isinstance(event, JobStageChanged) and event.stage == stage and "job" not in seen:
            seen["job"] = event.job_id
            asyncio.get_running_loop().call_soon(task.cancel)

    caplog.set_level(logging.WARNING, logger="opus_async")
    opus = client_of(simulator, listeners=[cancel])
    task = asyncio.ensure_future(opus.run(DOCUMENT, {"Document": files[0]}))
    if stage == "done":
        assert (await task).ok
    else:
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        ordered = stage in {"execute", "watch", "results"}
        assert named_in(caught.value) == ({seen["job"]} if ordered else set())
        assert bool(NAMED.search(caplog.text)) is ordered
    await opus.close()
    await remains.none()


@pytest.mark.parametrize(
    "operation", ["workflow", "presign", "put", "initiate", "execute", "status", "results"]
)
async def test_run_cancelled_right_after_a_response_cleans_up_and_names_job(simulator, files, operation):
    remains = Remains()

    def cancel(event):
        if isinstance(event, RequestSent) and event.operation == operation:
            task.cancel()

    opus = client_of(simulator, listeners=[cancel])
    task = asyncio.ensure_future(opus.run(DOCUMENT, {"Document": files[0]}))
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    expected = executed(simulator) if operation in {"execute", "status"} else set()
    assert expected <= named_in(caught.value)
    await opus.close()
    await remains.none()


async def test_upload_cancelled_midway_closes_file_and_stores_nothing(simulator, tmp_path):
    path = tmp_path / "large.txt"
    path.write_bytes(b"x" * 8_000_000)
    remains = Remains()

    def cancel(event):
        if isinstance(event, UploadProgress) and event.sent > 1_000_000:
            asyncio.get_running_loop().call_soon(task.cancel)

    opus = client_of(simulator, listeners=[cancel])
    task = asyncio.ensure_future(opus.files.upload_many([path, path]))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert simulator.state()["counters"]["stored_files"] == 0
    await opus.close()
    await remains.none()


def rows(files, count):
    return [
        JobRequest({"Document": files[number % 3]}, title=f"row {number}", key=str(number))
        for number in range(count)
    ]


@pytest.mark.parametrize("group", range(4))
async def test_stream_closed_at_any_loop_turn_cleans_up_and_names_jobs(simulator, files, group):
    for count in (EARLY[::2] + LATER)[group::4]:
        before = executed(simulator)
        remains = Remains()
        opus = client_of(simulator)
        read = []

        async def drain(stream, read=read):
            async for outcome in stream:
                read.append(outcome)

        async with opus.run_many(DOCUMENT, rows(files, 8), max_in_flight=5) as stream:
            reader = asyncio.ensure_future(drain(stream))
            await turns(count)
            await stream.aclose()
            await reader
            assert stream.in_flight == 0
        assert stream.in_flight == 0
        await opus.close()
        await remains.none()
        ended = {outcome.job_id for outcome in read}
        started = executed(simulator) - before
        assert started <= ended | set(stream.abandoned) | _ended_unread(simulator, started)
        assert set(stream.abandoned) & ended == set()


def _ended_unread(simulator, started):
    """Jobs whose end was seen and whose results were being fetched: nothing of them goes on."""
    jobs = simulator.state()["jobs"]
    return {job_id for job_id in started if jobs[job_id]["status"] == "COMPLETED"}


@pytest.mark.parametrize("group", range(3))
async def test_stream_with_reader_cancelled_at_any_loop_turn_cleans_up(simulator, files, group):
    for count in (EARLY[::3] + LATER[::2])[group::3]:
        remains = Remains()
        opus = client_of(simulator)

        async def read(opus=opus):
            async with opus, opus.run_many(DOCUMENT, rows(files, 8), max_in_flight=5) as stream:
                async for _ in stream:
                    pass

        ended = await cancelled_after(count, read())
        assert ended is None or isinstance(ended, asyncio.CancelledError)
        await remains.none()
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_stream_left_by_break_logs_one_line_that_names_its_jobs(simulate, connect, caplog):
    simulator = await simulate(run_time="0.01-5", seed=1)
    opus = connect(simulator)
    caplog.set_level(logging.WARNING)
    async for read in opus.run_many(TEXT, ({"Text": str(number)} for number in range(100)), max_in_flight=8):
        assert read.ok
        await until(lambda: simulator.state()["counters"]["executed_jobs"] >= 8)
        break
    await until(lambda: caplog.records)
    assert len(opus._watcher) == 0
    await opus.close()
    (record,) = caplog.records
    named = re.search(r"jobs? ([\d, a-f-]+)\. jobs\.outcome\(", record.getMessage())
    assert executed(simulator) - {read.job_id} == set(named[1].split(", "))


async def test_stream_dropped_after_its_end_names_outcomes_that_nobody_read(simulate, connect, caplog):
    opus = connect(await simulate())
    stream = opus.run_many(TEXT, [{"Text": "a"}, {"Text": "b"}, {"Text": "c"}])
    assert (await anext(stream)).ok
    pool = stream.pool
    await until(lambda: pool._ended)
    del stream
    await until(lambda: caplog.records)
    (record,) = caplog.records
    assert "2 outcomes had come and were not read: jobs" in record.getMessage()


async def test_stream_read_to_its_end_logs_nothing(simulate, connect, caplog):
    opus = connect(await simulate())
    async for outcome in opus.run_many(TEXT, [{"Text": "a"}, {"Text": "b"}]):
        assert outcome.ok
    await turns(3)
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


async def test_stream_left_by_break_stops_watching_and_creating_jobs(simulate, connect):
    simulator = await simulate(run_time="0.01-5", seed=1)
    opus = connect(simulator)
    remains = Remains()
    endless = ({"Text": str(number)} for number in itertools.count())
    async for outcome in opus.run_many(TEXT, endless, max_in_flight=30):
        assert outcome.ok
        break
    await until(lambda: len(opus._watcher) == 0)
    await opus.close()
    await remains.none()
    made = simulator.state()["counters"]["jobs"]
    await turns(200)
    assert simulator.state()["counters"]["jobs"] == made < 200


async def test_stream_ends_on_exception_in_its_block(simulate, connect):
    simulator = await simulate(run_time=5)
    opus = connect(simulator)
    remains = Remains()
    with pytest.raises(RuntimeError, match="of the caller"):
        async with opus.run_many(TEXT, [{"Text": "a"}, {"Text": "b"}]) as stream:
            await until(lambda: simulator.state()["counters"]["executed_jobs"] == 2)
            raise RuntimeError("of the caller")
    await opus.close()
    await remains.none()
    assert set(stream.abandoned) == executed(simulator)


async def test_client_close_ends_open_streams_with_error_for_readers(simulate, connect):
    simulator = await simulate(run_time="0.01-5", seed=1)
    remains = Remains()
    opus = connect(simulator)
    streams = [opus.run_many(TEXT, [{"Text": str(number)} for number in range(20)]) for _ in range(3)]

    async def read(stream):
        got = []
        try:
            async for outcome in stream:
                got.append(outcome)
        except OpusError as error:
            return got, error
        return got, None

    readers = [asyncio.ensure_future(read(stream)) for stream in streams]
    await until(lambda: simulator.state()["counters"]["executed_jobs"] == 60)
    await opus.close()
    for stream, (got, error) in zip(streams, await asyncio.gather(*readers), strict=True):
        assert "closed" in str(error)
        assert len(got) < 20
        assert len(stream.abandoned) + len(got) <= 20
        assert all(outcome.ok for outcome in got)
    everything = {job_id for stream in streams for job_id in stream.abandoned}
    running = {job_id for job_id, job in simulator.state()["jobs"].items() if job["status"] == "IN_PROGRESS"}
    assert running <= everything
    await remains.none()


async def test_client_close_raises_in_waiters_instead_of_cancelling_them(simulate, connect):
    simulator = await simulate(run_time=5)
    remains = Remains()
    opus = connect(simulator)
    run = asyncio.ensure_future(opus.run(TEXT, {"Text": "x"}))
    await until(lambda: executed(simulator))
    [job_id] = executed(simulator)
    wait = asyncio.ensure_future(opus.jobs.wait(job_id))
    await until(lambda: len(opus._watcher) == 2)
    await opus.close()
    for task in (run, wait):
        with pytest.raises(OpusError, match="goes on") as caught:
            await task
        assert (caught.value.job_id, caught.value.stage) == (job_id, "watch")
    await remains.none()


@pytest.mark.parametrize("moment", STAGES[:-1])
async def test_client_close_in_any_stage_ends_run_with_error(simulator, files, moment):
    remains = Remains()
    closing = []

    def close(event):
        if isinstance(event, JobStageChanged) and event.stage == moment:
            closing.append(asyncio.ensure_future(opus.close()))

    opus = client_of(simulator, listeners=[close])
    run = asyncio.ensure_future(opus.run(DOCUMENT, {"Document": files[0]}))
    began = asyncio.get_running_loop().time()
    ended = (await asyncio.gather(run, return_exceptions=True))[0]
    assert isinstance(ended, OpusError | asyncio.CancelledError) or not ended.ok
    assert asyncio.get_running_loop().time() - began < 5
    await asyncio.gather(*closing)
    await remains.none()
    if moment == "execute":
        assert isinstance(ended, AmbiguousExecution)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 13, 40, 200])
async def test_client_close_can_be_repeated_after_it_was_cancelled(simulator, files, count):
    remains = Remains()
    opus = client_of(simulator)
    stream = opus.run_many(DOCUMENT, rows(files, 8), max_in_flight=5)
    async with asyncio.timeout(10):
        await anext(stream)
    await cancelled_after(count, opus.close())
    await opus.close()
    await remains.none()


async def test_jobs_wait_can_be_repeated_after_it_was_cancelled(simulate, connect):
    simulator = await simulate(run_time=0.3)
    opus = connect(simulator)
    job_id = await opus.jobs.initiate(TEXT)
    await opus.jobs.execute(job_id, text_payload("x"))
    for count in (0, 1, 3, 10, 100):
        assert isinstance(await cancelled_after(count, opus.jobs.wait(job_id)), asyncio.CancelledError)
        assert len(opus._watcher) == 0
    assert (await opus.jobs.wait(job_id, timeout=5)).is_terminal


async def test_client_works_after_hundreds_of_cancelled_runs(simulate, connect):
    simulator = await simulate(run_time=0.01)
    opus = connect(simulator)
    assert (await opus.run(TEXT, {"Text": "first"})).ok
    for count in range(0, 200, 2):
        await asyncio.gather(
            *(cancelled_after(count + extra, opus.run(TEXT, {"Text": f"{count}"})) for extra in range(5))
        )
    assert len(opus._watcher) == 0
    assert opus._network.limiter.in_use == 0
    assert opus._network.limiter.waiting == 0
    assert (await opus.run(TEXT, {"Text": "last"}, timeout=5)).ok
    assert simulator.state()["counters"]["executed_twice"] == []
