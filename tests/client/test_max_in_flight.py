"""``Limits.max_in_flight`` bounds one client, whoever runs its jobs."""

from __future__ import annotations

import asyncio
import logging

from client_tools import TEXT, until

from opus_async import Limits
from opus_async.events import JobStageChanged


class InFlight:
    """Counts jobs between their first stage and their end."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __call__(self, event) -> None:
        if isinstance(event, JobStageChanged):
            self.now += (event.stage == "schema") - (event.stage == "done")
            self.most = max(self.most, self.now)


async def test_run_and_run_many_share_one_bound(simulate, connect):
    opus, in_flight = connect(await simulate(run_time=0.05), limits=Limits(max_in_flight=4)), InFlight()

    async def stream(count):
        return [outcome async for outcome in opus.run_many(TEXT, ({"Text": str(n)} for n in range(count)))]

    with opus.listening(in_flight):
        singles = (opus.run(TEXT, {"Text": "alone"}) for _ in range(20))
        done = await asyncio.gather(stream(20), stream(20), *singles)
    assert [len(outcomes) for outcomes in done[:2]] == [20, 20]
    assert all(outcome.ok for outcome in done[2:])
    assert in_flight.most == 4
    assert max(outcome.timings.get("client_wait", 0.0) for outcome in done[2:]) > 0.05


async def test_run_between_two_outcomes_of_a_full_stream(simulate, connect):
    opus = connect(await simulate(), limits=Limits(max_in_flight=2))
    outcomes = []
    async for outcome in opus.run_many(TEXT, ({"Text": str(n)} for n in range(10))):
        outcomes.append(outcome)
        assert (await opus.run(TEXT, {"Text": "inside"})).ok
    assert len(outcomes) == 10


async def test_stream_that_asks_for_more_than_the_client_allows_is_told_so(simulate, connect, caplog):
    opus, in_flight = connect(await simulate(run_time=0.05), limits=Limits(max_in_flight=3)), InFlight()
    with opus.listening(in_flight), caplog.at_level(logging.WARNING, "opus_async"):
        rows = ({"Text": str(n)} for n in range(12))
        assert len([outcome async for outcome in opus.run_many(TEXT, rows, max_in_flight=50)]) == 12
    assert in_flight.most == 3
    assert "Limits(max_in_flight=...)" in caplog.text


async def test_job_that_waits_for_a_slot_when_the_client_is_closed_ends(simulate, connect):
    opus = connect(await simulate(run_time=3600), limits=Limits(max_in_flight=1))
    jobs = [asyncio.create_task(opus.run(TEXT, {"Text": str(n)})) for n in range(3)]
    await until(lambda: len(opus._watcher) == 1)
    await opus.close()
    ended = await asyncio.wait_for(asyncio.gather(*jobs, return_exceptions=True), 10)
    assert all("closed" in str(error) for error in ended)
