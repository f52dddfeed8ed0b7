"""Rows that only wait: what is kept of them, how many are begun at once, and where they are gone on with."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from contextvars import ContextVar

import pytest
from fake_platform import FakePlatform, lifecycle_on
from job_streams import stream_of
from virtual_time import run_virtual

from opus_async.errors import AuthenticationError
from opus_async.jobs.stream import JobSource, JobStream
from opus_async.jobs.worker_pool import BEGUN_AT_ONCE, WorkerPool

REQUEST: ContextVar[str] = ContextVar("of the application", default="nobody's")


def numbered(count):
    return ({"n": n} for n in range(count))


def alive():
    """How many of the objects are alive that a task for each job would keep."""
    gc.collect()
    kinds = Counter(type(each).__name__ for each in gc.get_objects())
    return sum(kinds[name] for name in ("Task", "coroutine", "Future", "Context", "method"))


def test_pool_keeps_no_task_for_jobs_that_are_watched():
    async def main():
        before = alive()
        stream, watcher = stream_of(FakePlatform(run_time=3600), numbered(1000), slots=1000)
        async with stream:
            await asyncio.sleep(60)
            assert (stream.in_flight, len(watcher)) == (1000, 1000)
            assert alive() - before < 500  # those of the poller, however many jobs
        await watcher.close()

    run_virtual(main())


def test_pool_begins_no_more_rows_at_once_than_its_bound():
    async def main():
        stream, _ = stream_of(FakePlatform(step=10), numbered(BEGUN_AT_ONCE + 100), slots=BEGUN_AT_ONCE + 100)
        async with stream:
            await asyncio.sleep(15)  # what all rows need is loaded, and the first ones are checked
            assert stream.in_flight == BEGUN_AT_ONCE
            assert len([outcome async for outcome in stream]) == BEGUN_AT_ONCE + 100

    run_virtual(main())


def test_pool_of_work_that_is_never_suspended_is_bounded_by_its_slots_alone():
    async def main():
        async def work(index, _):
            await asyncio.sleep(3600)
            return index

        pool = WorkerPool(range(BEGUN_AT_ONCE + 100), work, concurrency=BEGUN_AT_ONCE + 50)
        pool.start()
        await asyncio.sleep(60)
        assert pool.in_flight == BEGUN_AT_ONCE + 50
        await pool.close()

    run_virtual(main())


def test_pool_goes_on_with_a_row_in_the_context_in_which_it_began():
    class Recording(FakePlatform):
        async def collect(self, remote_id, status):
            seen.append(REQUEST.get())
            REQUEST.set("the next job's")
            return await super().collect(remote_id, status)

    seen: list[str] = []

    async def main():
        lifecycle, watcher = lifecycle_on(platform := Recording())
        somebody_elses = asyncio.ensure_future(watcher.wait(platform, "another"))  # it starts the poller
        await asyncio.sleep(0)
        REQUEST.set("mine")
        stream = JobStream(JobSource(platform, lifecycle), numbered(3), 3)
        assert len([outcome async for outcome in stream]) == 3
        assert REQUEST.get() == "mine"
        somebody_elses.cancel()
        await asyncio.gather(somebody_elses, return_exceptions=True)

    run_virtual(main())
    assert seen == ["mine"] * 3


def test_pool_that_fails_leaves_the_jobs_that_are_watched():
    async def main():
        platform = FakePlatform(step=0.1, run_time=5)
        refused = AuthenticationError("expired", status=401)
        platform.fail["create"] = lambda inputs: refused if inputs["n"] == 35 else None
        stream, watcher = stream_of(platform, numbered(100), slots=30)
        with pytest.raises(AuthenticationError):
            async for _ in stream:
                pass
        assert stream.abandoned
        assert (len(watcher), stream.in_flight) == (0, 0)

    run_virtual(main())


def test_pool_drops_a_stream_with_watched_jobs_and_leaves_nothing():
    async def main():
        stream, watcher = stream_of(FakePlatform(run_time=3600), numbered(20), slots=20)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(60)
        assert len(watcher) == 20
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        del stream, reader
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(watcher) == 0
        await watcher.close()

    run_virtual(main())
