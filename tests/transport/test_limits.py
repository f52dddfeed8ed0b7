"""Who may send next: nobody starves, nothing is lost when a waiter gives up, a storm is met once by all."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_virtual

from opus_async.errors import TransportError
from opus_async.transport.bandwidth import Bandwidth
from opus_async.transport.limits import Priority, RequestLimiter
from opus_async.transport.rates import OperationLimit

COLLECT, WORK, POLL = Priority.COLLECT, Priority.WORK, Priority.POLL


def clock() -> float:
    return asyncio.get_running_loop().time()


async def _give_away(gate, seconds):
    """Let others have a slot for a while, if at all, and wait for one again."""
    if seconds is None:
        return
    gate.release()
    await asyncio.sleep(seconds)
    await gate.reacquire()


visits = st.lists(
    st.tuples(
        st.floats(0, 2),  # arrives
        st.sampled_from(Priority),
        st.floats(0, 0.5),  # stays
        st.none() | st.floats(0, 3),  # is cancelled, after its arrival
        st.sampled_from(["", "start"]),
        st.none() | st.floats(0, 0.5),  # gives its slot to others for so long
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150)
@given(
    plan=visits,
    slots=st.integers(1, 5),
    rate=st.none() | st.floats(2, 50),
    poll_rate=st.none() | st.floats(2, 50),
    start_rate=st.none() | st.floats(2, 50),
    storm=st.floats(0, 1.9),
)
def test_request_limiter_loses_no_slot_token_or_waiter_on_cancel(
    *, plan, slots, rate, poll_rate, start_rate, storm
):
    granted: list[tuple[float, Priority, str]] = []
    limits = () if start_rate is None else (OperationLimit(operations=frozenset({"start"}), rate=start_rate),)

    async def visit(gate, entry):
        arrives, lane, stays, _, operation, away = entry
        await asyncio.sleep(arrives)
        await gate.acquire(lane, operation)
        granted.append((clock(), lane, operation))
        await _give_away(gate, away)
        try:
            assert gate.in_use <= slots
            await asyncio.sleep(stays)
        finally:
            gate.release()
        return True

    async def main():
        gate = RequestLimiter(
            slots, rate=rate, poll_rate=poll_rate, operation_limits=limits, random=lambda: 0.5
        )
        tasks = [asyncio.create_task(visit(gate, entry)) for entry in plan]
        loop = asyncio.get_running_loop()
        for task, (arrives, _, _, gives_up, _, _) in zip(tasks, plan, strict=True):
            if gives_up is not None:
                loop.call_later(arrives + gives_up, task.cancel)
        loop.call_later(storm, gate.throttling.record_throttling, 0.5)
        results = await asyncio.gather(*tasks, return_exceptions=True)  # hangs when a wake-up is lost
        for result, entry in zip(results, plan, strict=True):
            assert result is True or (entry[3] is not None and isinstance(result, asyncio.CancelledError))
        assert gate.in_use == gate.waiting == 0
        assert gate._timer is None
        began = loop.time()
        async with AsyncExitStack() as stack:
            for _ in range(slots):
                await stack.enter_async_context(gate.slot(WORK))
        assert loop.time() - began <= 6  # the slots and the tokens are all there
        gate.close()

    run_virtual(main())
    for limit, times in (
        (rate, [when for when, _, _ in granted]),
        (
            poll_rate,
            [when for when, lane, name in granted if lane is POLL and not (limits and name == "start")],
        ),
        (start_rate, [when for when, _, name in granted if name == "start"]),
    ):
        if limit is not None:
            for index, first in enumerate(times):
                count = len(times) - index
                assert count <= 1 + max(1.0, limit * 0.05) + limit * (times[-1] - first) + 1e-6


def test_request_limiter_serves_one_priority_in_order_of_arrival():
    async def main():
        gate = RequestLimiter(1)
        order = []

        async def visit(number):
            async with gate.slot():
                order.append(number)

        async with gate.slot():
            tasks = [asyncio.create_task(visit(number)) for number in range(50)]
            await asyncio.sleep(0)
            assert gate.waiting == 50
        await asyncio.gather(*tasks)
        assert order == list(range(50))

    run_virtual(main())


async def order_of(priorities, **options):
    """The order in which requests get the only slot that arrive in this one while it is in use."""
    gate = RequestLimiter(1, **options)
    order = []

    async def visit(lane):
        async with gate.slot(lane):
            order.append(lane)

    async with gate.slot():
        tasks = [asyncio.create_task(visit(lane)) for lane in priorities]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    gate.close()
    assert sorted(order) == sorted(priorities)
    return order


def test_request_limiter_lets_work_and_polls_take_turns():
    order = run_virtual(order_of([POLL] * 30 + [WORK] * 30))
    assert order == [WORK, POLL] * 30


def test_request_limiter_lets_work_and_polls_take_turns_under_a_rate():
    assert run_virtual(order_of([POLL] * 30 + [WORK] * 30, rate=10)) == [WORK, POLL] * 30


def test_request_limiter_serves_results_first():
    order = run_virtual(order_of([POLL] * 3 + [WORK] * 3 + [COLLECT] * 5))
    assert order == [COLLECT] * 5 + [WORK, POLL] * 3


def test_request_limiter_results_do_not_starve_others():
    order = run_virtual(order_of([POLL] * 5 + [WORK] * 5 + [COLLECT] * 100))
    assert order[:27] == ([COLLECT] * 8 + [WORK] + [COLLECT] * 8 + [POLL]) + [COLLECT] * 8 + [WORK]


def test_request_limiter_is_held_back_by_a_rate_and_not_by_slots():
    async def main():
        for options, held_back in (({}, False), ({"rate": 1.0}, True)):
            gate = RequestLimiter(2 if held_back else 1, **options)
            async with gate.slot():
                assert not gate.held_back
                waiting = asyncio.create_task(_pass(gate))
                await asyncio.sleep(0)
                assert gate.waiting == 1
                assert gate.held_back is held_back
            await waiting
            assert not gate.held_back
            gate.close()

    run_virtual(main())


def test_request_limiter_operation_limit_delays_no_other_operation():
    async def main():
        gate = RequestLimiter(
            1, operation_limits=[OperationLimit(operations=frozenset({"run", "resume"}), rate=1.0)]
        )
        order, began = [], clock()

        async def visit(name):
            async with gate.slot(WORK, name):
                order.append((name, round(clock() - began)))

        names = ["run", "resume", "list", "run", "list"]
        async with gate.slot():
            tasks = [asyncio.create_task(visit(name)) for name in names]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert order == [("run", 0), ("list", 0), ("list", 0), ("resume", 1), ("run", 2)]
        gate.close()

    run_virtual(main())


def test_request_limiter_polls_without_token_do_not_delay_work():
    async def main():
        gate = RequestLimiter(4, poll_rate=0.1)
        async with gate.slot(POLL):
            pass
        poll = asyncio.create_task(_pass(gate, POLL))
        await asyncio.sleep(0)
        began = clock()
        for _ in range(20):
            await _pass(gate, WORK)
        assert clock() == began
        await poll
        assert clock() - began == pytest.approx(10, rel=0.01)

    run_virtual(main())


async def _pass(gate: RequestLimiter, lane: Priority = WORK) -> float:
    async with gate.slot(lane):
        return clock()


def test_request_limiter_handles_ten_thousand_waiters_half_cancelled():
    async def main():
        gate = RequestLimiter(64)
        async with asyncio.TaskGroup() as group:
            holders = [asyncio.Event() for _ in range(64)]

            async def hold(event):
                async with gate.slot():
                    await event.wait()

            for event in holders:
                group.create_task(hold(event))
            await asyncio.sleep(0)
            tasks = [group.create_task(_pass(gate, Priority(number % 2))) for number in range(10_000)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.sleep(0)
            assert gate.waiting == 5_000
            for event in holders:
                event.set()
        assert gate.in_use == gate.waiting == 0

    run_virtual(main())


@pytest.mark.parametrize("lane", Priority)
def test_request_limiter_passes_slot_on_if_granted_waiter_is_cancelled(lane):
    async def main():
        gate = RequestLimiter(1, rate=1, poll_rate=1)
        holder = gate.slot(WORK)
        await holder.__aenter__()
        await asyncio.sleep(10)  # the tokens are back
        first = asyncio.create_task(_pass(gate, lane))
        second = asyncio.create_task(_pass(gate, lane))
        await asyncio.sleep(0)
        now = clock()
        await holder.__aexit__(None, None, None)  # grants the first its turn ...
        first.cancel()  # ... which it will not take
        assert await second == now, "the token came back too"
        assert first.cancelled() or first.done()
        assert gate.in_use == gate.waiting == 0

    run_virtual(main())


def test_request_limiter_gives_no_slot_to_task_just_cancelled():
    async def main():
        gate = RequestLimiter(1)
        holder = gate.slot()
        await holder.__aenter__()
        first = asyncio.create_task(_pass(gate))
        second = asyncio.create_task(_pass(gate))
        await asyncio.sleep(0)
        first.cancel()
        await holder.__aexit__(None, None, None)
        await second
        assert gate.in_use == gate.waiting == 0

    run_virtual(main())


def test_request_limiter_serves_who_gave_its_slot_away_before_all_that_wait():
    order = []

    async def visit(gate, name):
        async with gate.slot(COLLECT):
            order.append(name)
            await asyncio.sleep(1)

    async def main():
        gate = RequestLimiter(1, rate=0.1)
        await gate.acquire(WORK)
        gate.release()
        waiting = [asyncio.create_task(visit(gate, name)) for name in ("first", "second")]
        await asyncio.sleep(10.5)  # the first has its turn, and the slot
        began = clock()
        await gate.reacquire()
        assert clock() - began == pytest.approx(0.5), "as soon as there is a slot, whatever the rate"
        order.append("back")
        gate.release()
        await asyncio.gather(*waiting)
        assert order == ["first", "back", "second"]

    run_virtual(main())


def test_request_limiter_pause_can_be_extended_without_a_rate():
    async def main():
        gate = RequestLimiter(2)
        began = clock()
        gate.throttling.record_throttling(2)
        early = asyncio.create_task(_pass(gate))
        await asyncio.sleep(1)
        gate.throttling.record_throttling(5)
        assert await early - began >= 6

    run_virtual(main())


def test_request_limiter_counts_concurrent_429s_as_one_storm():
    async def main():
        gate = RequestLimiter(100, random=lambda: 0.0)
        for _ in range(200):
            gate.throttling.record_success()
            await asyncio.sleep(0.01)
        sent = gate.now()
        await asyncio.sleep(0.01)
        pauses = [gate.throttling.record_throttling(None, sent_at=sent) for _ in range(64)]
        assert set(pauses) == {0.5}
        await _pass(gate)
        slowed = gate.throttling.rate
        assert slowed == pytest.approx(100, rel=0.1), "what was granted, however many refusals"
        await asyncio.sleep(1.0)
        gate.throttling.record_throttling(
            None, sent_at=sent
        )  # answered late: it was on the wire before the pause
        assert (gate.throttling.rate, gate.throttling.pauses) == (slowed, 1)
        gate.throttling.record_throttling(None, sent_at=gate.now())
        assert gate.throttling.pauses == 2
        await _pass(gate)
        assert gate.throttling.rate < slowed

    run_virtual(main())


def test_request_limiter_releases_waiters_one_by_one_after_pause():
    async def main():
        gate = RequestLimiter(100, random=lambda: 0.0)
        for _ in range(200):
            gate.throttling.record_success()
            await asyncio.sleep(0.01)
        began = clock()
        assert gate.throttling.record_throttling(3) == 3
        times = sorted(await asyncio.gather(*(_pass(gate) for _ in range(100))))
        assert times[0] >= began + 3
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert sum(gap < 0.001 for gap in gaps) <= 5
        assert times[-1] - times[0] > 0.8

    run_virtual(main())


def test_request_limiter_pause_is_slightly_longer_than_asked():
    async def main():
        for share in (0.0, 0.5, 0.999):
            gate = RequestLimiter(1, random=lambda share=share: share)
            assert 2.0 <= gate.throttling.record_throttling(2.0) <= 2.2
            assert gate.throttling.record_throttling(5.0) >= 5.0, "another answer asks for more"
            assert gate.throttling.record_throttling(0.5) >= 5.0, "a pause is not cut short"
        assert 0.05 <= RequestLimiter(1).throttling.record_throttling(0) <= 0.06

    run_virtual(main())


def test_request_limiter_pauses_without_retry_after_double_up_to_cap():
    async def main():
        gate = RequestLimiter(4, random=lambda: 0.0)
        seen = []
        for _ in range(9):
            seen.append(gate.throttling.record_throttling(None))
            await asyncio.sleep(seen[-1] + 1)
        assert seen == [0.5, 1, 2, 4, 8, 16, 20, 20, 20]

    run_virtual(main())


def test_request_limiter_measures_time_of_nothing_but_throttling():
    async def main():
        gate = RequestLimiter(4)
        assert gate.throttling.lasted == 0
        gate.throttling.record_throttling(1)
        await asyncio.sleep(10)
        gate.throttling.record_throttling(1)
        assert gate.throttling.lasted == 10
        gate.throttling.record_response()
        assert gate.throttling.lasted == 0
        assert gate.throttling.pauses == 0
        gate.throttling.record_throttling(1)
        gate.throttling.record_success()
        assert gate.throttling.lasted == 0

    run_virtual(main())


def test_request_limiter_rate_is_lifted_after_long_calm():
    async def main():
        gate = RequestLimiter(10)
        gate.throttling.record_throttling(1)
        assert gate.throttling.rate is not None
        began = clock()
        while gate.throttling.rate is not None:
            await _pass(gate)
            gate.throttling.record_success()
            await asyncio.sleep(0.5)
        assert 120 <= clock() - began <= 125
        assert await _pass(gate) == await _pass(gate)

    run_virtual(main())


def test_request_limiter_close_leaves_no_timer_and_raises_in_waiters():
    async def main():
        gate = RequestLimiter(1, rate=1)
        await _pass(gate)
        waiting = [asyncio.create_task(_pass(gate)) for _ in range(3)]
        given_up = asyncio.create_task(_pass(gate))
        await asyncio.sleep(0)
        assert gate._timer is not None
        gate.block()
        waiting.append(asyncio.create_task(gate.reacquire()))
        await asyncio.sleep(0)
        given_up.cancel()
        gate.close()
        assert gate._timer is None
        results = await asyncio.gather(*waiting, given_up, return_exceptions=True)
        assert [type(result) for result in results] == [TransportError] * 4 + [asyncio.CancelledError]
        assert not results[0].request_sent
        with pytest.raises(TransportError, match="closed"):
            await _pass(gate)
        with pytest.raises(TransportError, match="closed"):
            await gate.reacquire()

    run_virtual(main())


def test_request_limiter_can_be_made_without_loop_and_with_other_clock():
    now = [5.0]
    gate = RequestLimiter(2, rate=1, time=lambda: now[0])
    run_virtual(_pass(gate))
    assert gate.now() == 5.0


def test_bandwidth_is_shared_in_order_and_refunded_on_cancel():
    async def main():
        bandwidth = Bandwidth(1_000_000)
        began = clock()
        await asyncio.gather(*(bandwidth.spend(100_000) for _ in range(10)))
        assert clock() - began == pytest.approx(0.95)
        await asyncio.sleep(1)
        now = clock()
        await bandwidth.spend(50_000)
        assert clock() == now
        given_up = asyncio.create_task(bandwidth.spend(50_000_000))
        await asyncio.sleep(0.1)
        given_up.cancel()
        await asyncio.sleep(0.1)
        now = clock()
        await bandwidth.spend(50_000)
        assert clock() == now, "what was not sent is not paid for"

    run_virtual(main())
