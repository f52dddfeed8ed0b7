"""The due times of a large crowd planned anew: in turns, so that the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from opus_async.events import NO_CURRENT_JOB
from opus_async.jobs.poll_queue import PLANNED_TOGETHER, PollQueue
from opus_async.jobs.watched import NOBODY, WatchedJob

COUNT = 3 * PLANNED_TOGETHER + 7
FAR = 1000.0


class _Source:
    batch_size = 1

    async def is_well(self):
        return True

    async def poll(self, workflow_id, remote_ids):
        raise AssertionError(workflow_id, remote_ids)


@pytest.fixture
async def queue():
    made = PollQueue(10.0)
    yield made
    made.clear()
    made.close()


@pytest.fixture
async def crowd(queue):
    """Jobs of one workflow that are due in a quarter of an hour or later."""
    loop = asyncio.get_running_loop()
    workflow = queue.workflow(_Source(), "w")
    jobs = [
        WatchedJob(NOBODY, str(number), workflow, loop.time(), NO_CURRENT_JOB, started_now=True)
        for number in range(COUNT)
    ]
    workflow.of_known_start.watched = COUNT
    for number, job in enumerate(jobs):
        queue.schedule(job, loop.time() + FAR + number, loop.time())
    return jobs


def taken(queue):
    """The ids of the jobs that are due, in the order in which they are polled."""
    ids = []
    while due := queue.take_due(asyncio.get_running_loop().time()):
        ids += [job.remote_id for job in due[1]]
    return ids


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_poll_queue_crowd_is_planned_anew_in_turns_of_the_loop(queue, crowd):
    now, asked = asyncio.get_running_loop().time(), []

    def due_of(job):
        asked.append(job)
        return now - COUNT + int(job.remote_id)

    queue.plan_anew(crowd[0].workflow, due_of)
    so_far = [len(asked)]
    while len(asked) < COUNT:
        await asyncio.sleep(0)
        so_far.append(len(asked))
    assert max(after - before for before, after in itertools.pairwise([0, *so_far])) <= PLANNED_TOGETHER
    assert taken(queue) == [str(number) for number in range(COUNT)]


async def test_poll_queue_job_that_was_scheduled_meanwhile_keeps_its_due_time(queue, crowd):
    now = asyncio.get_running_loop().time()
    queue.plan_anew(crowd[0].workflow, lambda _: now + FAR)
    queue.schedule(crowd[-1], now, now)
    await turns()
    assert crowd[-1].due == now
    assert taken(queue) == [crowd[-1].remote_id]


async def test_poll_queue_jobs_that_are_polled_meanwhile_are_left_alone(queue, crowd):
    now = asyncio.get_running_loop().time()
    for job in crowd:
        queue.schedule(job, now, now)
    queue.plan_anew(crowd[0].workflow, lambda _: now + FAR)
    polled = taken(queue)
    assert polled, "it takes several turns"
    await turns()
    assert {job.due for job in crowd if job.remote_id in polled} == {now}


async def test_poll_queue_newest_plan_counts(queue, crowd):
    now = asyncio.get_running_loop().time()
    queue.plan_anew(crowd[0].workflow, lambda _: now)
    queue.plan_anew(crowd[0].workflow, lambda _: now + FAR)
    await turns()
    assert taken(queue) == []
    assert {job.due for job in crowd} == {now + FAR}


async def test_poll_queue_plans_nothing_once_it_is_closed(queue, crowd):
    now = asyncio.get_running_loop().time()
    queue.plan_anew(crowd[0].workflow, lambda _: now)
    queue.close()
    await turns()
    assert sum(job.due == now for job in crowd) == PLANNED_TOGETHER


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_queue_is_told_of_another_job_while_its_timer_ends_at_once(loop):
    async def main():
        queue = PollQueue(10.0)
        now = asyncio.get_running_loop().time()
        for number, late in enumerate((1.0, 2.0, 0.5)):
            workflow = queue.workflow(_Source(), f"w{number}")
            workflow.of_known_start.watched = 1
            job = WatchedJob(NOBODY, str(number), workflow, now, NO_CURRENT_JOB, started_now=True)
            queue.schedule(job, now - late, now)
        await asyncio.wait_for(queue.wait(), 5)
        assert sorted(taken(queue)) == ["0", "1", "2"]
        queue.clear()

    factory = None if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
