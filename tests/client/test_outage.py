"""The cable between a client and Opus is pulled, and put back: no row is lost, none is ordered twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from cable import Cable
from client_tools import DOCUMENT, TEXT, Remains, document, until

from opus_async import HostDown, HostState, HostTroubled, OpusError
from opus_async.transport import circuit_breaker, pace

PIECE = 65536


@pytest.fixture
async def cable_to(simulate, connect) -> AsyncIterator[Callable[..., Awaitable[Cable]]]:
    cables: list[Cable] = []

    async def lay(simulator) -> Cable:
        cables.append(Cable(simulator))
        await cables[-1].plug_in()
        return cables[-1]

    yield lay
    for cable in cables:
        await cable.pull()


@pytest.fixture(autouse=True)
def _quick_breaker(monkeypatch):
    monkeypatch.setattr(circuit_breaker, "MIN_DURATION", 0.05)
    monkeypatch.setattr(circuit_breaker, "FIRST_PROBE", 0.02)
    monkeypatch.setattr(circuit_breaker, "LAST_PROBE", 0.1)
    monkeypatch.setattr(pace, "LEAST_CLIMB", 10_000.0)


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


class Trouble:
    """A listener."""

    def __init__(self) -> None:
        self.told: list[HostTroubled] = []

    def __call__(self, event) -> None:
        if isinstance(event, HostTroubled):
            self.told.append(event)

    @property
    def down(self) -> bool:
        return bool(self.told) and self.told[-1].down


@pytest.mark.timeout(400)
async def test_outage_loses_no_row_and_starts_none_twice(simulate, connect, cable_to):
    simulator = await simulate(run_time="0.4-0.8", queue_time=0.02)
    cable, trouble = await cable_to(simulator), Trouble()
    opus = connect(
        cable,
        retry={"attempts": 3, "max_elapsed": 1, "outage": 60},
        limits={"api_concurrency": 8},
        listeners=[trouble],
    )
    rows = [{"Document": (f"{number}.txt", document(number))} for number in range(60)]

    async def run():
        return [outcome async for outcome in opus.run_many(DOCUMENT, rows, max_in_flight=30)]

    reader = asyncio.create_task(run())
    for enough in (5, 15, 35):  # rows enough are left to notice the third, however late that is seen
        await until(lambda enough=enough: simulator.state()["counters"]["executions"] >= enough, 60)
        await cable.pull()
        await until(lambda: trouble.down, 60)
        await cable.plug_in()
        await until(lambda: not trouble.down, 60)
    outcomes = await reader
    assert sorted(outcome.index for outcome in outcomes) == list(range(60))
    assert [outcome.error for outcome in outcomes] == [None] * 60
    assert {event.host for event in trouble.told} == {"127.0.0.1"}
    assert sum(event.down for event in trouble.told) >= 3
    assert simulator.state()["counters"]["executed_twice"] == []
    assert simulator.state()["counters"]["executions"] == 60


async def test_outage_beyond_limit_fails_every_row_and_client_recovers(simulate, connect, cable_to):
    simulator = await simulate(run_time=1000)
    cable, trouble = await cable_to(simulator), Trouble()
    opus = connect(cable, retry={"outage": 0.5}, listeners=[trouble])
    stream = opus.run_many(TEXT, [{"Text": str(number)} for number in range(20)])
    async with stream:
        first = asyncio.ensure_future(anext(stream))
        await until(lambda: len(opus._watcher) == 20, 30)  # every order has its answer
        await cable.pull()
        outcomes = [await first, *[outcome async for outcome in stream]]
    assert {type(outcome.error) for outcome in outcomes} == {HostDown}
    for outcome in outcomes:
        assert outcome.error.stage == "watch"
        assert outcome.error.job_id == outcome.job_id
        assert outcome.error.seconds >= 0.5
        assert "status page" in str(outcome.error)
    assert [event.state for event in trouble.told if event.down] == [HostState.DOWN, HostState.GIVEN_UP]
    await cable.plug_in()
    await until(lambda: opus._network.breaker.probe_delay == 0, 30)
    assert (await opus.workflows.get(TEXT)).inputs
    assert not trouble.down


async def test_outage_without_limit_does_not_give_up_watched_jobs(simulate, connect, cable_to):
    simulator = await simulate(run_time=0.05)
    cable, trouble = await cable_to(simulator), Trouble()
    opus = connect(cable, retry={"max_elapsed": 0.2}, listeners=[trouble])
    jobs = [await opus.jobs.initiate(TEXT) for _ in range(20)]
    waiting = [asyncio.ensure_future(opus.jobs.wait(job_id)) for job_id in jobs]
    await until(lambda: simulator.state()["counters"]["requests"].get("status", 0) >= 20, 30)
    await cable.pull()
    await until(lambda: trouble.told and trouble.told[-1].state is HostState.GIVEN_UP, 30)
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    await cable.plug_in()
    await until(lambda: not trouble.down, 30)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_outage_waiters_are_woken_by_client_close(simulate, connect, cable_to):
    cable, trouble = await cable_to(await simulate()), Trouble()
    remains = Remains()
    opus = connect(cable, retry={"outage": 3600}, listeners=[trouble])
    await opus.workflows.get(TEXT)
    await cable.pull()
    calls = [asyncio.ensure_future(opus.workflows.get(TEXT)) for _ in range(30)]
    await until(lambda: trouble.down, 30)
    await opus.close()
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, OpusError)
        assert "closed" in str(error)
    await remains.none()
