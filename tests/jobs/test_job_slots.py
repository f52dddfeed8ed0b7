"""The slots of a client: one bound for all its jobs, whoever runs them, and nobody waits for a reader."""

from __future__ import annotations

import asyncio

import pytest
from fake_platform import STAGES, FakePlatform, lifecycle_on
from virtual_time import run_virtual

from opus_async.errors import DeadlineExceeded
from opus_async.jobs.job_slots import JobSlots
from opus_async.jobs.stream import JobSource, JobStream
from opus_async.models import JobRequest
from opus_async.stages import CLIENT_WAIT, REQUEST_WAIT
from opus_async.transport.limits import Priority, RequestLimiter


class CountingPlatform(FakePlatform):
    """Knows how many jobs are between their first step and their last."""

    def __init__(self, **options):
        super().__init__(**options)
        self.at_once = self.most_at_once = 0

    async def bind(self, request):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        return await super().bind(request)

    async def collect(self, remote_id, status):
        try:
            return await super().collect(remote_id, status)
        finally:
            self.at_once -= 1


def numbered(count, first=0):
    return ({"n": n} for n in range(first, first + count))


def test_slots_are_given_in_the_order_of_asking_and_the_wait_is_told():
    async def main():
        slots, order = JobSlots(2), []

        async def one(number):
            waited = await slots.acquire()
            order.append((number, waited))
            await asyncio.sleep(10)
            slots.release()

        await asyncio.gather(*(one(number) for number in range(5)))
        assert order == [(0, 0.0), (1, 0.0), (2, 10.0), (3, 10.0), (4, 20.0)]

    run_virtual(main())


def test_single_jobs_and_streams_share_the_slots():
    async def main():
        platform, slots = CountingPlatform(), JobSlots(7)
        lifecycle, watcher = lifecycle_on(platform, slots=slots)
        streams = [JobStream(JobSource(platform, lifecycle), numbered(30, 100 * n), 7) for n in (1, 2)]

        async def read(stream):
            return [outcome async for outcome in stream]

        singles = (lifecycle.run(JobRequest({"n": n})) for n in range(30))
        done = await asyncio.gather(*singles, *(read(stream) for stream in streams))
        assert all(outcome.ok for outcome in done[:30])
        assert [len(outcomes) for outcomes in done[30:]] == [30, 30]
        assert platform.most_at_once == 7
        await watcher.close()

    run_virtual(main())


def test_single_job_gets_its_slot_while_the_outcomes_of_a_stream_lie_unread():
    async def main():
        platform = CountingPlatform()
        lifecycle, watcher = lifecycle_on(platform, slots=JobSlots(3))
        async with JobStream(JobSource(platform, lifecycle), numbered(20), 3) as stream:
            read = 0
            async for _ in stream:
                read += 1
                await asyncio.sleep(60)  # all that the stream may take has ended, and nobody has read it
                inside = await lifecycle.run(JobRequest({"n": 1000 + read}))
                assert inside.ok
            assert read == 20
        assert platform.most_at_once == 3
        await watcher.close()

    run_virtual(main())


def test_rows_that_come_of_jobs_of_the_same_client_do_not_stop_it():
    async def main():
        platform = CountingPlatform()
        lifecycle, watcher = lifecycle_on(platform, slots=JobSlots(1))

        async def rows():
            for n in range(5):
                outcome = await lifecycle.run(JobRequest({"n": 100 + n}))
                yield {"n": n, "from": outcome.job_id}

        outcomes = [outcome async for outcome in JobStream(JobSource(platform, lifecycle), rows(), 1)]
        assert len(outcomes) == 5
        await watcher.close()

    run_virtual(main())


def test_job_that_is_cancelled_while_it_waits_leaves_its_place_to_the_next():
    async def main():
        platform = CountingPlatform(run_time=60)
        lifecycle, watcher = lifecycle_on(platform, slots=JobSlots(1))
        first, second, third = (
            asyncio.create_task(lifecycle.run(JobRequest({"n": number}))) for number in range(3)
        )
        await asyncio.sleep(1)
        second.cancel()
        assert (await first).ok
        assert (await third).ok
        assert second.cancelled()
        assert platform.count("bind") == 2, "nothing was done for the one that gave up"
        await watcher.close()

    run_virtual(main())


def test_wait_for_a_slot_is_a_figure_of_its_own_and_uses_up_no_timeout():
    async def main():
        platform = FakePlatform(run_time=50)
        lifecycle, watcher = lifecycle_on(platform, slots=JobSlots(1))
        first, second = await asyncio.gather(
            *(lifecycle.run(JobRequest({"n": number}, timeout=70)) for number in range(2))
        )
        assert CLIENT_WAIT not in first.timings
        assert second.timings[CLIENT_WAIT] == pytest.approx(first.timings["total"])
        parts = sum(seconds for name, seconds in second.timings.items() if name != "total")
        assert parts == pytest.approx(second.timings["total"])
        with pytest.raises(DeadlineExceeded):
            await lifecycle.run(JobRequest({"n": 9}, timeout=20))
        assert (await lifecycle.run(JobRequest({"n": 10}))).ok, "its slot is free again"
        await watcher.close()

    run_virtual(main())


# What is waited for inside of a job


class PacedPlatform(FakePlatform):
    """All its requests share one rate."""

    def __init__(self, rate, **options):
        super().__init__(step=0.0, **options)
        self.limiter = RequestLimiter(10, rate=rate)

    async def start(self, remote_id, ready, about_to_send):
        async with self.limiter.slot():
            await super().start(remote_id, ready, about_to_send)

    async def poll(self, workflow_id, remote_ids):
        async with self.limiter.slot(Priority.POLL):
            return await super().poll(workflow_id, remote_ids)

    async def collect(self, remote_id, status):
        async with self.limiter.slot(Priority.COLLECT):
            return await super().collect(remote_id, status)


def test_time_in_our_own_queues_is_never_told_as_the_platforms():
    async def main():
        platform = PacedPlatform(4.0, run_time=2.0)
        lifecycle, watcher = lifecycle_on(platform)
        outcomes = await asyncio.gather(*(lifecycle.run(JobRequest({"n": number})) for number in range(60)))
        await watcher.close()
        platform.limiter.close()
        return outcomes

    outcomes = run_virtual(main())
    assert max(outcome.timings["total"] for outcome in outcomes) > 20, "the rate holds them up"
    for outcome in outcomes:
        timings = outcome.timings
        assert timings[STAGES.watch] < 2.0 + 5.0
        assert timings.get(STAGES.start, 0.0) < 0.1
        assert timings.get(STAGES.collect, 0.0) < 0.1
        assert sum(timings.values()) == pytest.approx(2 * timings["total"])
        assert timings.get(REQUEST_WAIT, 0.0) >= timings["total"] - 7.2
