"""Listeners are told; whatever they do, the work goes on."""

from __future__ import annotations

import asyncio
import logging

import pytest
from virtual_time import run_virtual

from opus_async.events import FailureClass, HostTroubled, RequestKind, RequestRetried
from opus_async.metrics.progress import Progress
from opus_async.transport.dispatch import EVERY_EVENT, Dispatcher, Only, Relay


def event(number: int = 1) -> RequestRetried:
    return RequestRetried(
        operation="look",
        kind=RequestKind.API,
        failure=FailureClass.BROKEN,
        reason="broken",
        wait=0.1,
        attempt=number,
    )


def plainly(listener):
    """A plain function that hands back something to await."""

    def listen(event):
        return listener(event)

    return listen


def test_dispatcher_without_listeners_hears_nothing():
    assert not Dispatcher().heard
    assert RequestRetried in Dispatcher([print]).heard


async def test_dispatcher_tells_a_listener_only_the_kinds_of_events_that_it_hears():
    everything, outages, retries = [], [], []
    notifier = Dispatcher([Only(outages.append, frozenset({HostTroubled}))])
    assert notifier.heard == {HostTroubled}
    told = event()
    notifier(told)
    with notifier.listening(Only(retries.append, frozenset({RequestRetried}))):
        assert notifier.heard == {HostTroubled, RequestRetried}
        notifier(told)
        with notifier.listening(everything.append):
            assert notifier.heard == EVERY_EVENT
            notifier(told)
    notifier(told)
    assert (everything, outages, retries) == ([told], [], [told, told])
    assert notifier.heard == {HostTroubled}


async def test_dispatcher_awaits_a_coroutine_listener_that_hears_some_kinds():
    heard = Recorder()
    notifier = Dispatcher([Only(heard, frozenset({RequestRetried}))])
    notifier(event())
    await notifier.close()
    assert heard.heard == [event().attempt]


def test_dispatcher_keeps_several_meters_and_those_of_a_relay():
    notifier, first, second = Dispatcher(), Progress(), Progress()
    relay = Relay(notifier, [])
    with notifier.metering(first):
        with notifier.metering(second):
            assert relay.meters == [first, second]
        assert notifier.meters == [first]
    assert relay.meters == notifier.meters == []


async def test_dispatcher_calls_plain_listeners_at_once():
    heard = []
    notifier = Dispatcher([heard.append, heard.append])
    told = event()
    notifier(told)
    assert heard == [told, told]
    await notifier.close()


class Recorder:
    """An object whose call is a coroutine function."""

    def __init__(self):
        self.heard = []

    async def __call__(self, event):
        await asyncio.sleep(0)
        self.heard.append(event.attempt)


async def test_dispatcher_delivers_all_events_to_coroutine_listeners_in_order():
    recorder = Recorder()
    heard = []

    async def listen(event):
        await asyncio.sleep(0)
        heard.append(event.attempt)

    notifier = Dispatcher([recorder, listen, plainly(listen)])
    for number in range(100):
        notifier(event(number))
    assert not heard
    await notifier.close()
    assert recorder.heard == list(range(100))
    assert sorted(heard) == sorted([*range(100), *range(100)])


async def test_dispatcher_task_ends_when_queue_is_empty():
    recorder = Recorder()
    notifier = Dispatcher([recorder])
    for number in range(3):
        notifier(event(number))
        for _ in range(5):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert recorder.heard == [0, 1, 2]
    await notifier.close()


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
async def test_dispatcher_logs_raising_listener_once_and_keeps_calling_it(caplog, error):
    heard = []

    def bad(event):
        heard.append(event)
        raise error

    async def worse(event):
        heard.append(event)
        raise error

    notifier = Dispatcher([bad, worse])
    with caplog.at_level(logging.DEBUG, "opus_async.transport"):
        for _ in range(3):
            notifier(event())
        await notifier.close()
    assert len(heard) == 6
    loud = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert sorted("worse" in record.getMessage() for record in loud) == [False, True]
    assert len(caplog.records) == 6


def test_dispatcher_hanging_listener_delays_neither_others_nor_close():
    async def main():
        heard = []

        async def hang(_):
            await asyncio.Event().wait()

        async def listen(event):
            heard.append(event)

        notifier = Dispatcher([hang, listen], drain=1.0)
        for _ in range(5):
            notifier(event())
        began = asyncio.get_running_loop().time()
        await notifier.close()
        assert asyncio.get_running_loop().time() - began <= 1.0
        assert len(heard) == 5

    run_virtual(main())


def test_dispatcher_drops_and_counts_overflow(caplog):
    async def main():
        async def slow(_):
            await asyncio.sleep(0.001)

        async def also(_):
            await asyncio.sleep(0.001)

        notifier = Dispatcher([slow, plainly(also)], backlog=10)
        for _ in range(50):
            notifier(event())
        await notifier.close()
        notifier(event())  # too late: dropped in silence

    run_virtual(main())
    messages = [record.getMessage() for record in caplog.records]
    assert sum("is too slow" in message for message in messages) == 2
    assert sum("40 events were dropped in all" in message for message in messages) == 2


async def test_dispatcher_close_can_be_cancelled():
    async def hang(_):
        await asyncio.Event().wait()

    notifier = Dispatcher([hang, plainly(hang)])
    notifier(event())
    notifier(event())
    closing = asyncio.create_task(notifier.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing


async def test_dispatcher_can_be_closed_by_its_listener():
    closed = asyncio.Event()

    async def close(_):
        await notifier.close()
        closed.set()

    notifier = Dispatcher([close])
    notifier(event())
    await closed.wait()
