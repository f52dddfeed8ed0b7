"""A host that is gone: everything to it waits, one at a time finds out, and no request pays for it."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_virtual
from wire import answer, read_request

from opus_async.config import RetryPolicy, Timeouts
from opus_async.errors import (
    APIError,
    HostDown,
    NotFound,
    OpusError,
    ProtocolError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TransportError,
    UploadError,
)
from opus_async.events import FailureClass, HostState, HostTroubled, RequestRetried
from opus_async.jobs.start import JobStarter
from opus_async.platform import AmbiguousStart, StartCheck
from opus_async.transport import circuit_breaker as breaker_module
from opus_async.transport import pace
from opus_async.transport.circuit_breaker import CircuitBreaker
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.failures import classify
from opus_async.transport.http import Http, Request
from opus_async.transport.limits import Priority, RequestLimiter
from opus_async.transport.retry import Retrier
from opus_async.transport.urls import without_query

FAILING, DOWN, GIVEN_UP, UP = HostState.FAILING, HostState.DOWN, HostState.GIVEN_UP, HostState.UP
HOST = "operator.opus.com"
HOUR = 3600.0
LASTING = RetryPolicy(outage=HOUR)
ONE_TRY = RetryPolicy(attempts=1)


def clock() -> float:
    return asyncio.get_running_loop().time()


async def until(condition: Callable[[], object]) -> None:
    """Let virtual time pass until a condition holds."""
    while not condition():  # noqa: ASYNC110 - the clock jumps, nothing sleeps
        await asyncio.sleep(0.1)


def unsent() -> OpusError:
    return TransportError("the name cannot be resolved", request_sent=False)


def broken() -> OpusError:
    return TransportError("the connection broke", request_sent=True)


def gateway() -> OpusError:
    return ServerError("", status=502)


def page() -> OpusError:
    return ProtocolError("an HTML page where JSON was expected")


def with_wait(error: OpusError, seconds: float) -> OpusError:
    error.retry_after = seconds
    return error


class Host:
    """One host behind a gate, a breaker and a retrier; it fails as told, and notes who asked when.

    Attributes:
        trouble: Makes the failure of every request; None while it is well.
        takes: Seconds per request.
        asked: When, and for what.
        events: What a listener was told.
    """

    def __init__(
        self,
        policy: RetryPolicy = LASTING,
        *,
        slots: int = 64,
        rate: float | None = None,
        spread: float = 0.5,
    ) -> None:
        self.trouble: Callable[[], OpusError] | None = None
        self.takes = 0.0
        self.asked: list[tuple[float, str]] = []
        self.events: list[object] = []
        self.gate = RequestLimiter(slots, rate=rate, random=lambda: 0.0)
        self.breaker = CircuitBreaker(
            HOST, self.gate, policy, notify=self.events.append, random=lambda: spread
        )
        notify = Dispatcher([self.events.append])
        self.retrier = Retrier(policy, self.gate, breaker=self.breaker, notify=notify)

    async def ask(
        self, what: str = "ask", *, fails: Callable[[], OpusError] | None = None, **options: object
    ) -> str:
        """Ask once, with retries; ``fails`` is this request's own trouble."""

        async def attempt(_: int) -> str:
            self.asked.append((clock(), what))
            await asyncio.sleep(self.takes)
            if trouble := fails or self.trouble:
                raise trouble()
            return what

        return await self.retrier.call(what, attempt, **options)

    async def row(self, name: str, requests: int = 3) -> str:
        """What a row does: a few requests, one after the other."""
        for _ in range(requests):
            await self.ask(name)
        return name

    async def go_down(self, trouble: Callable[[], OpusError] = unsent) -> list[asyncio.Task[str]]:
        """Fail until the breaker holds; returns requests that are held."""
        self.trouble = trouble
        tasks = [asyncio.create_task(self.ask(f"held {number}")) for number in range(8)]
        await until(lambda: self.breaker.is_open)
        await asyncio.sleep(0)
        return tasks

    @property
    def troubles(self) -> list[HostTroubled]:
        return [event for event in self.events if isinstance(event, HostTroubled)]

    @property
    def outages(self) -> list[HostTroubled]:
        """What was told of it being open: that it fails is told before, and may pass without an outage."""
        outages: list[HostTroubled] = []
        for event in self.troubles:
            if event.down or (outages and outages[-1].down and event.state is UP):
                outages.append(event)
        return outages

    @property
    def told(self) -> list[tuple[HostState, str]]:
        return [(event.state, event.reason) for event in self.outages]

    def since(self, moment: float) -> list[tuple[float, str]]:
        return [(when, what) for when, what in self.asked if when >= moment]

    def close(self) -> None:
        self.breaker.close()
        self.gate.close()
        assert self.gate.in_use == self.gate.waiting == 0


def virtual(main: Callable[[Host], object], policy: RetryPolicy = LASTING, **options: object):
    """Run a story of one host in virtual time; nothing of it may be left."""

    async def run():
        host = Host(policy, **options)
        try:
            return await main(host)
        finally:
            host.close()

    return run_virtual(run())


async def all_of(tasks) -> list[object]:
    return await asyncio.gather(*tasks, return_exceptions=True)


# An outage that is waited for


@pytest.mark.parametrize("trouble", [unsent, broken, gateway, page])
def test_breaker_holds_500_rows_through_ten_minute_outage(trouble):
    async def main(host):
        host.takes = 0.05
        rows = [asyncio.create_task(host.row(str(number))) for number in range(500)]
        await asyncio.sleep(0.2)
        host.trouble = trouble
        gone = clock()
        await asyncio.sleep(600)
        assert not any(row.done() for row in rows)
        probes = host.since(gone + 10)
        assert len(probes) <= 5 + 600 / (breaker_module.LAST_PROBE * 0.75), "nobody is hammered"
        host.trouble = None
        back = clock()
        assert await asyncio.gather(*rows) == [str(number) for number in range(500)]
        assert clock() - back <= breaker_module.LAST_PROBE * 1.25 + 60

    virtual(main)


def test_breaker_releases_waiting_requests_at_climbing_rate():
    async def main(host):
        host.takes = 0.05
        for _ in range(40):
            await asyncio.gather(*(host.ask() for _ in range(32)))
        held = await host.go_down()
        held += [asyncio.create_task(host.ask("held")) for _ in range(600)]
        await asyncio.sleep(300)
        host.trouble = None
        back = clock()
        await asyncio.gather(*held)
        times = [when for when, _ in host.since(back)][1:]
        first, *_ = times
        assert max(sum(first <= other < first + 0.01 for other in times) for first in times[:60]) <= 3
        seconds = [sum(first + n <= when < first + n + 1 for when in times) for n in range(4)]
        assert seconds == sorted(seconds)
        assert seconds[0] < seconds[3] / 1.5
        assert times[-1] - first < 15

    virtual(main)


def test_breaker_reports_begin_and_end_of_outage(caplog):
    async def main(host):
        began = clock()
        held = await host.go_down()
        await asyncio.sleep(100)
        host.trouble = None
        await asyncio.gather(*held)
        assert host.told == [
            (DOWN, "unsent: the name cannot be resolved"),
            (UP, "it answers again"),
        ]
        first, last = host.outages
        assert first.host == last.host == HOST
        assert breaker_module.MIN_DURATION <= first.seconds <= breaker_module.MIN_DURATION + 2
        assert last.seconds == pytest.approx(clock() - began, abs=2)

    with caplog.at_level(logging.WARNING, "opus_async.transport"):
        virtual(main)
    assert (
        f"{HOST} is not answering (unsent: the name cannot be resolved): requests to it wait" in caplog.text
    )
    assert f"{HOST}: it answers again, after" in caplog.text


def test_failing_host_is_told_once_and_long_before_it_is_down():
    async def main(host):
        held = await host.go_down()
        await asyncio.sleep(20)
        host.trouble = None
        await asyncio.gather(*held)
        assert [event.state for event in host.troubles] == [FAILING, DOWN, UP]
        assert host.troubles[0].seconds == pytest.approx(breaker_module.TOLD_AFTER)
        assert host.troubles[0].reason == "unsent: the name cannot be resolved"

    virtual(main)


@pytest.mark.parametrize("trouble", [unsent, gateway, page])
def test_failing_host_that_never_answered_is_told_though_one_request_alone_asks_it(trouble):
    async def main(host):
        host.trouble = trouble
        asked = asyncio.create_task(host.ask())
        await until(lambda: host.troubles)
        host.trouble = None
        await asked
        assert [event.state for event in host.troubles] == [FAILING, UP]
        assert host.troubles[-1].reason == "it answers again"

    virtual(main)


def test_host_that_answers_within_a_second_is_not_told():
    async def main(host):
        host.trouble = unsent
        asked = asyncio.create_task(host.ask())
        await until(lambda: host.breaker.failures)
        host.trouble = None
        await asked
        await asyncio.sleep(5)
        assert host.troubles == []

    virtual(main)


def test_time_that_a_connection_took_to_fail_counts_for_telling():
    async def main(host):
        host.takes, host.trouble = 10.0, unsent
        began = clock()
        asked = asyncio.create_task(host.ask())
        await until(lambda: host.troubles)
        assert clock() - began == pytest.approx(10.0, abs=0.2)
        host.takes, host.trouble = 0.0, None
        await asked

    virtual(main)


def test_request_that_alone_is_refused_by_a_host_that_answers_is_no_failing_host():
    async def main(host):
        await host.ask("good")
        with pytest.raises(OpusError):
            await host.ask("bad", fails=gateway)
        assert host.troubles == []

    virtual(main)


def test_breaker_probes_at_growing_intervals():
    async def main(host):
        held = await host.go_down()
        down = clock()
        await asyncio.sleep(200)
        times = [when for when, _ in host.since(down)]
        gaps = [later - earlier for earlier, later in pairwise([down, *times])]
        assert gaps == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30, 30, 30], abs=0.2)
        host.trouble = None
        await asyncio.gather(*held)

    virtual(main)


@pytest.mark.parametrize(("spread", "expected"), [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)])
def test_breaker_probe_intervals_have_jitter(spread, expected):
    async def main(host):
        held = await host.go_down()
        down = clock()
        await until(lambda: len(host.since(down)) == 8)
        before, last = (when for when, _ in host.asked[-2:])
        assert last - before == pytest.approx(breaker_module.LAST_PROBE * expected)
        host.trouble = None
        await asyncio.gather(*held)

    virtual(main, spread=spread)


def test_breaker_failed_probe_uses_up_no_attempt_of_its_request():
    async def main(host):
        held = await host.go_down()
        await asyncio.sleep(HOUR / 2)
        [counted] = {sum(what == f"held {n}" for _, what in host.asked) > 8 for n in range(8)}
        assert counted, "each was the probe more often than it has attempts"
        host.trouble = None
        assert sorted(await asyncio.gather(*held)) == sorted(f"held {number}" for number in range(8))

    virtual(main)


def test_breaker_holds_request_without_retries_until_host_is_back():
    async def main(host):
        held = await host.go_down()
        look = asyncio.create_task(host.ask("look", priority=Priority.POLL, policy=ONE_TRY))
        await asyncio.sleep(100)
        assert not look.done()
        host.trouble = None
        assert await look == "look"
        await asyncio.gather(*held)

    virtual(main)


def test_breaker_holds_single_request_to_unreachable_host():
    async def main(host):
        host.trouble = unsent
        alone = asyncio.create_task(host.ask())
        await asyncio.sleep(HOUR / 2)
        host.trouble = None
        assert await alone == "ask"

    virtual(main)


def test_breaker_closes_on_404():
    async def main(host):
        held = await host.go_down()
        await until(lambda: host.gate.waiting == len(held))
        host.trouble = lambda: NotFound("", status=404)
        assert {type(error) for error in await all_of(held)} == {NotFound}
        assert host.told[-1] == (UP, "it answers again")

    virtual(main)


def test_breaker_keeps_no_state_from_past_outage():
    async def main(host):
        for _ in range(2):
            for lasts, ending in ((HOUR / 2, str), (HOUR + 60, HostDown)):
                held = await host.go_down()
                await asyncio.sleep(lasts)
                host.trouble = None
                ended = await all_of(held)
                assert {type(end) for end in ended} == {ending}
                await asyncio.sleep(60)
                assert await host.ask() == "ask"
                await asyncio.sleep(HOUR)
                assert host.told[-1][0] is UP
        assert [state for state, _ in host.told] == [DOWN, UP, DOWN, GIVEN_UP, UP] * 2

    virtual(main)


# What is no outage


def test_breaker_stays_closed_if_one_row_fails_and_others_succeed():
    async def main(host):
        async def others():
            while True:
                await host.ask("other")
                await asyncio.sleep(0.2)

        busy = asyncio.create_task(others())
        with pytest.raises(ServerError, match="gave up after 8 attempts"):
            await host.ask("bad", fails=gateway)
        busy.cancel()
        await asyncio.wait([busy])
        assert host.told == []

    virtual(main)


@pytest.mark.parametrize("trouble", [broken, gateway, page])
@pytest.mark.parametrize("policy", [LASTING, RetryPolicy()])
def test_breaker_stays_closed_if_single_row_always_fails(trouble, policy):
    async def main(host):
        with pytest.raises(OpusError):
            await host.ask("bad", fails=trouble)
        assert len(host.asked) == 8
        assert host.told == []

    virtual(main, policy)


@pytest.mark.parametrize("policy", [LASTING, RetryPolicy()])
def test_breaker_opens_only_if_more_than_one_subject_fails(policy):
    async def main(host):
        for _ in range(50):
            with pytest.raises(ServerError):
                await host.ask(
                    fails=gateway, priority=Priority.POLL, policy=ONE_TRY, request_key="/job/1/status"
                )
            await asyncio.sleep(5)
        assert host.told == []
        host.trouble = gateway
        other = asyncio.create_task(host.ask("other", request_key="/job/2/status"))
        await asyncio.sleep(30)
        assert host.told == [(DOWN, "server error: HTTP 502")], "two are met by the same"
        host.trouble = None
        assert await other == "other"

    virtual(main, policy)


def test_breaker_ignores_simultaneous_failures():
    async def main(host):
        host.trouble = broken
        host.takes = 1.0
        tasks = [asyncio.create_task(host.ask()) for _ in range(60)]
        await asyncio.sleep(1.0)
        host.trouble = None
        assert await asyncio.gather(*tasks) == ["ask"] * 60
        assert host.told == []

    virtual(main)


@pytest.mark.parametrize("good", [None, NotFound("", status=404), APIError("", status=501)])
def test_breaker_failure_count_is_reset_by_success_or_plain_refusal(good):
    async def main(host):
        for _ in range(20):
            for _ in range(7):
                with pytest.raises(TransportError):
                    await host.ask(fails=unsent, policy=ONE_TRY)
                await asyncio.sleep(1)
            await all_of([host.ask(fails=good and (lambda: copy.copy(good)))])
        assert host.told == []

    virtual(main, RetryPolicy())


@pytest.mark.parametrize(
    "neither",
    [
        RateLimited("", status=429),
        with_wait(ServerError("", status=503), 1),
        UploadError("the file changed", filename="a"),
        TransportError("certificate", request_sent=False, retryable=False),
    ],
)
def test_breaker_ignores_failures_that_say_nothing_about_host(neither):
    async def main(host):
        host.trouble = lambda: copy.copy(neither)
        tasks = [asyncio.create_task(host.ask(policy=RetryPolicy(max_elapsed=20))) for _ in range(5)]
        await all_of(tasks)
        assert host.told == []
        assert host.breaker.failures == 0
        for _ in range(7):
            host.breaker.record_failure("unsent", object(), unsent=True)
        await asyncio.sleep(10)
        await all_of([host.ask(policy=RetryPolicy(max_elapsed=1))])
        assert host.breaker.failures == 7, "nor that it is well"

    virtual(main, RetryPolicy())


def test_breaker_forgets_old_failures():
    async def main(host):
        with pytest.raises(TransportError):
            await host.ask(fails=unsent, policy=RetryPolicy(attempts=7))
        await asyncio.sleep(breaker_module.FAILURE_WINDOW + 1)
        with pytest.raises(TransportError):
            await host.ask(fails=unsent, policy=RetryPolicy(attempts=7))
        assert host.told == []

    virtual(main, RetryPolicy())


def test_retrier_never_retries_exhausted_quota():
    async def main(host):
        with pytest.raises(QuotaExhausted):
            await host.ask(fails=lambda: QuotaExhausted("", status=429))
        assert len(host.asked) == 1
        assert host.gate.throttling.pauses == 0

    virtual(main)
    for status in (402, 403, 429, 500):
        assert classify(QuotaExhausted("", status=status)) is FailureClass.REFUSED


# A single request, and many, without an outage to wait for


@pytest.mark.parametrize("trouble", [unsent, broken, gateway, page])
def test_breaker_without_outage_leaves_single_request_its_attempts(trouble):
    async def main(host):
        began = clock()
        with pytest.raises(OpusError, match="gave up after 8 attempts"):
            await host.ask(fails=trouble)
        assert clock() - began <= 60
        assert len(host.asked) == 8

    virtual(main, RetryPolicy())


def test_breaker_without_outage_holds_requests_for_max_elapsed_only():
    policy = RetryPolicy(attempts=50)

    async def main(host):
        held = await host.go_down()
        down = clock()
        held += [asyncio.create_task(host.ask(f"more {number}")) for number in range(200)]
        ended = await all_of(held)
        assert clock() - down == pytest.approx(policy.max_elapsed, abs=0.2)
        assert {type(error) for error in ended} == {HostDown}
        assert host.told[-1] == (GIVEN_UP, "unsent: the name cannot be resolved")
        now = clock()
        refused = await all_of(host.ask("late") for _ in range(100))
        assert {type(error) for error in refused} <= {HostDown, TransportError}
        assert clock() == now

    virtual(main, policy)


def test_breaker_without_outage_charges_failed_probe_to_its_request():
    async def main(host):
        ended = await all_of(await host.go_down())
        spent = [error for error in ended if not isinstance(error, HostDown)]
        assert spent
        assert all("gave up after 8 attempts" in str(error) for error in spent)

    virtual(main, RetryPolicy(max_elapsed=1000))


# Given up


def test_breaker_gives_up_host_after_outage_and_keeps_probing():
    async def main(host):
        held = await host.go_down()
        down = clock()
        ended = await all_of(held)
        assert clock() - down == pytest.approx(HOUR, abs=0.2)
        for error in ended:
            assert type(error) is HostDown
            assert (error.host, error.retryable) == (HOST, False)
            assert HOUR <= error.seconds <= HOUR + 10
            assert "has given no good answer for 360" in str(error)
            assert "VPN" in str(error)
            assert "status page" in str(error)
        assert host.told == [
            (DOWN, "unsent: the name cannot be resolved"),
            (GIVEN_UP, "unsent: the name cannot be resolved"),
        ]
        probes = len(host.asked)
        for _ in range(600):
            with pytest.raises(HostDown):
                await host.ask()
            await asyncio.sleep(1)
        assert 600 / (1.25 * breaker_module.LAST_PROBE) <= len(host.asked) - probes <= 30
        host.trouble = None
        await asyncio.sleep(60)
        assert await host.ask("after") == "after"
        assert host.told[-1] == (UP, "it answers again")
        assert await asyncio.gather(*(host.ask() for _ in range(50))) == ["ask"] * 50

    virtual(main)


def test_breaker_given_up_lets_one_of_many_requests_probe():
    async def main(host):
        await all_of(await host.go_down())
        await asyncio.sleep(100)
        before = len(host.asked)
        ended = await all_of(host.ask(policy=ONE_TRY) for _ in range(50))
        assert {type(error) for error in ended} == {HostDown}
        assert len(host.asked) - before == 1

    virtual(main)


def test_breaker_given_up_does_not_retry_failed_probe_request():
    async def main(host):
        await all_of(await host.go_down(broken))
        await asyncio.sleep(100)
        host.takes = 2 * breaker_module.LAST_PROBE
        before = len(host.asked)
        retries = sum(isinstance(event, RequestRetried) for event in host.events)
        with pytest.raises(HostDown) as caught:
            await host.ask()
        assert len(host.asked) - before == 1
        assert caught.value.request_sent, "it left, and may have been obeyed"
        assert sum(isinstance(event, RequestRetried) for event in host.events) == retries

    virtual(main)


@pytest.mark.parametrize(
    ("trouble", "sent"), [(unsent, False), (broken, True), (gateway, True), (page, True)]
)
def test_breaker_error_tells_if_earlier_attempt_may_have_been_sent(trouble, sent):
    async def main(host):
        ended = await all_of(
            [
                *await host.go_down(trouble),
                asyncio.create_task(host.ask("never sent", priority=Priority.WORK)),
            ][:8]
        )
        assert {error.request_sent for error in ended} == {sent}
        said = "may have been obeyed" if sent else "nothing of this request was obeyed"
        assert all(said in str(error) for error in ended)
        now = clock()
        while True:
            with pytest.raises(HostDown) as caught:
                await host.ask("new")
            if host.since(now):
                break
            assert not caught.value.request_sent
            await asyncio.sleep(1)

    virtual(main)


def test_breaker_given_up_resets_if_nobody_asked_for_long():
    async def main(host):
        await all_of(await host.go_down())
        await asyncio.sleep(breaker_module.FAILURE_WINDOW + 60)
        once = [unsent()]

        async def attempt(_):
            if once:
                raise once.pop()
            return "value"

        assert await host.retrier.call("look", attempt) == "value", "it has its own attempts again"
        assert host.told[-1] == (UP, "nobody has asked it for a while")

    virtual(main, RetryPolicy())


# Who is the probe


def test_breaker_does_not_use_start_request_as_probe_if_others_wait():
    async def main(host):
        held = await host.go_down(broken)
        orders = [asyncio.create_task(host.ask("order", repeatable=False)) for _ in range(20)]
        looks = [asyncio.create_task(host.ask("look", priority=Priority.POLL)) for _ in range(2)]
        down = clock()
        await asyncio.sleep(HOUR / 2)
        asked = {what for _, what in host.since(down)}
        assert "order" not in asked
        assert "look" in asked
        assert any(what.startswith("held") for what in asked), "each lane in turn"
        host.trouble = None
        await asyncio.gather(*held, *looks, *orders)

    virtual(main)


def test_breaker_uses_start_request_as_probe_if_nobody_else_waits():
    async def main(host):
        await host.go_down()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        order = asyncio.create_task(host.ask("order", repeatable=False))
        host.trouble = None
        assert await order == "order"

    virtual(main)


def test_breaker_holds_start_that_was_recorded_while_host_went_down():
    async def main(host):
        recorded = asyncio.Event()
        order = asyncio.create_task(host.ask("order", repeatable=False, about_to_send=recorded.wait))
        held = await host.go_down(broken)
        recorded.set()
        down = clock()
        await asyncio.sleep(HOUR / 2)
        assert "order" not in {what for _, what in host.since(down)}, "others are asked first"
        host.trouble = None
        assert await order == "order"
        await all_of(held)

    virtual(main)


def test_breaker_uses_recorded_start_as_probe_if_nobody_else_waits():
    async def main(host):
        recorded = asyncio.Event()
        order = asyncio.create_task(host.ask("order", repeatable=False, about_to_send=recorded.wait))
        for task in await host.go_down():
            task.cancel()
        await asyncio.sleep(0)
        host.trouble = None
        recorded.set()
        assert await order == "order"

    virtual(main)


def test_breaker_given_up_sends_no_start_that_was_recorded_meanwhile():
    async def main(host):
        recorded, late = asyncio.Event(), asyncio.Event()
        orders = [
            asyncio.create_task(host.ask("order", repeatable=False, about_to_send=each.wait))
            for each in (recorded, late)
        ]
        held = await host.go_down()
        recorded.set()
        await all_of(held)
        late.set()
        ended = await all_of(orders)
        assert [type(error) for error in ended] == [HostDown, HostDown]
        assert not any(error.request_sent for error in ended)
        assert "order" not in {what for _, what in host.asked}

    virtual(main)


def test_breaker_closes_although_one_request_always_fails():
    async def main(host):
        held = await host.go_down(gateway)
        bad = asyncio.create_task(host.ask("bad", fails=gateway, priority=Priority.POLL, policy=ONE_TRY))
        await asyncio.sleep(100)
        host.trouble = None
        await asyncio.gather(*held)
        assert host.told[-1] == (UP, "it answers again")
        with pytest.raises(ServerError):
            await bad

    virtual(main)


def test_breaker_probe_respects_rate_and_pause():
    async def main(host):
        held = await host.go_down(gateway)
        down = clock()
        host.trouble = lambda: with_wait(RateLimited("", status=429), 100)
        await asyncio.sleep(99)
        [(refused, _)] = host.since(down)
        host.trouble = None
        await asyncio.gather(*held)
        assert host.since(down)[1][0] - refused == pytest.approx(100, abs=0.1)

    virtual(main)

    async def slow(host):
        held = await host.go_down()
        down = clock()
        await asyncio.sleep(60)
        assert len(host.since(down)) <= 4
        host.trouble = None
        await asyncio.gather(*held)

    virtual(slow, rate=1 / 20)


def test_breaker_sends_no_probe_while_every_slot_is_in_use():
    async def main(host):
        held = await host.go_down()
        host.takes = 50
        await until(lambda: host.gate.in_use == 2)
        down = clock()
        await asyncio.sleep(40)
        assert len(host.since(down)) == 0
        host.takes, host.trouble = 0.0, None
        await asyncio.gather(*held)

    virtual(main, slots=2)


# An uncertain start


def test_breaker_delays_start_checks_so_that_start_is_not_resent():
    async def main(host):
        orders = []

        class Platform:
            start_visible_after = 0.0

            async def start(self, remote_id, ready, about_to_send):
                orders.append(clock())
                error = broken()
                raise AmbiguousStart(error)

            async def check_started(self, remote_id):
                await host.ask("look", policy=ONE_TRY)
                return StartCheck.RUNNING

        held = await host.go_down()
        start = asyncio.create_task(JobStarter(Platform(), LASTING).start("1", None))
        await asyncio.sleep(HOUR / 2)
        assert not start.done()
        host.trouble = None
        await start
        assert len(orders) == 1
        await asyncio.gather(*held)

    virtual(main)


# 429, and 503 that ask for a wait


def test_retrier_bears_429_for_as_long_as_an_outage():
    async def main(host):
        began = clock()
        host.trouble = lambda: with_wait(RateLimited("", status=429), 10)
        with pytest.raises(RateLimited):
            await host.ask()
        assert HOUR <= clock() - began <= HOUR + 60
        assert host.told == []

    virtual(main)


def test_retrier_503_with_retry_after_uses_up_no_attempts_in_outage():
    async def main(host):
        host.trouble = lambda: with_wait(ServerError("", status=503), 30)
        rows = [asyncio.create_task(host.row(str(number))) for number in range(2)]
        await asyncio.sleep(HOUR / 2)
        assert not any(row.done() for row in rows)
        host.trouble = None
        await asyncio.gather(*rows)
        assert host.told == []

    virtual(main)


@pytest.mark.parametrize("policy", [LASTING, RetryPolicy()])
def test_retrier_gives_up_503_of_one_row_while_others_are_answered(policy):
    async def main(host):
        async def others():
            while True:
                await host.ask("other")
                await asyncio.sleep(0.2)

        began = clock()
        busy = asyncio.create_task(others())
        with pytest.raises(ServerError, match="gave up after"):
            await host.ask("bad", fails=lambda: with_wait(ServerError("", status=503), 1))
        assert clock() - began <= 60
        busy.cancel()
        await asyncio.wait([busy])

    virtual(main, policy)


# Cancelling and closing


def test_breaker_held_requests_can_be_cancelled():
    async def main(host):
        held = await host.go_down()
        for task in held[:4]:
            task.cancel()
        await asyncio.sleep(100)
        assert [task.cancelled() for task in held] == [True] * 4 + [False] * 4
        assert host.gate.waiting == 4
        for task in held[4:]:
            task.cancel()
        await asyncio.sleep(100)
        host.trouble = None
        assert await host.ask("new") == "new", "a probe is due, and this is it"

    virtual(main)


def test_breaker_probe_turn_skips_tasks_just_cancelled():
    async def main(host):
        held = await host.go_down()
        await until(lambda: host.gate.waiting == len(held))
        for task in held:
            task.cancel()
        assert host.gate.admit_one() > 0
        await all_of(held)

    virtual(main)


def test_breaker_replaces_cancelled_probe():
    async def main(host):
        held = await host.go_down()
        host.takes = 1000
        await until(lambda: host.gate.in_use)
        host.trouble, host.takes = None, 0.0
        [probe] = {what for _, what in host.asked[-1:]}
        held.pop(int(probe.removeprefix("held "))).cancel()
        await asyncio.wait_for(asyncio.gather(*held), 30)

    virtual(main)


def test_breaker_close_wakes_held_requests_and_leaves_no_timer():
    async def main(host):
        held = await host.go_down()
        host.breaker.close()
        host.gate.close()
        ended = await all_of(held)
        assert {type(error) for error in ended} == {TransportError}
        assert all("closed" in str(error) for error in ended)
        assert host.breaker._probe_timer is host.breaker._patience_timer is None
        with pytest.raises(TransportError, match="closed"):
            await host.ask()
        host.breaker.record_failure("broken", "late", unsent=True)
        assert host.breaker._probe_timer is host.breaker._patience_timer is None

    virtual(main)


def test_breaker_after_close_holds_nothing():
    async def main(host):
        host.breaker.close()
        host.trouble = unsent
        ended = await all_of(host.ask(policy=ONE_TRY) for _ in range(20))
        await asyncio.sleep(10)
        ended += await all_of(host.ask(policy=ONE_TRY) for _ in range(20))
        assert not host.breaker.is_open
        assert host.told == []

    virtual(main, RetryPolicy())


visits = st.lists(
    st.tuples(
        st.floats(0, 40),  # arrives
        st.sampled_from(Priority),
        st.booleans(),  # repeatable
        st.none() | st.floats(0, 40),  # is cancelled, after its arrival
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150)
@given(
    plan=visits,
    gate=st.fixed_dictionaries({"slots": st.integers(1, 4), "rate": st.none() | st.floats(2, 50)}),
    trouble=st.sampled_from([unsent, broken, gateway, page]),
    window=st.tuples(st.floats(0, 30), st.floats(0.1, 200)),
    policy=st.sampled_from([RetryPolicy(), RetryPolicy(outage=20), RetryPolicy(outage=HOUR)]),
)
def test_breaker_loses_no_waiter_whoever_comes_or_is_cancelled(plan, gate, trouble, window, policy):
    async def main(host):
        loop = asyncio.get_running_loop()

        async def visit(arrives, lane, repeatable):
            await asyncio.sleep(arrives)
            return await host.ask(priority=lane, repeatable=repeatable)

        host.takes = 0.1
        begins, lasts = window
        loop.call_later(begins, setattr, host, "trouble", trouble)
        loop.call_later(begins + lasts, setattr, host, "trouble", None)
        tasks = [asyncio.create_task(visit(*entry[:3])) for entry in plan]
        for task, (arrives, *_, gives_up) in zip(tasks, plan, strict=True):
            if gives_up is not None:
                loop.call_later(arrives + gives_up, task.cancel)
        for result in await all_of(tasks):  # hangs when a wake-up is lost
            assert result == "ask" or isinstance(result, OpusError | asyncio.CancelledError)
        await asyncio.sleep(begins + lasts + 100)
        assert await host.ask("last") == "last"
        assert not host.breaker.is_open
        assert host.gate.in_use == host.gate.waiting == 0

    virtual(main, policy, **gate)


# Real sockets


class Cable:
    """A server that can be unplugged: its port refuses, its connections are reset."""

    def __init__(self) -> None:
        self.port = 0
        self.answered = 0
        self.busy = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def plug_in(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer(200, b"{}"))
                await writer.drain()
                self.answered += 1
                if self.answered == 20:
                    self.busy.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


@pytest.fixture
def quick(monkeypatch):
    """Trouble is noticed and probed at once, and the rate climbs back at once."""
    monkeypatch.setattr(breaker_module, "MIN_DURATION", 0.05)
    monkeypatch.setattr(breaker_module, "FIRST_PROBE", 0.01)
    monkeypatch.setattr(breaker_module, "LAST_PROBE", 0.05)
    monkeypatch.setattr(pace, "LEAST_CLIMB", 10_000.0)


async def test_breaker_over_sockets_fails_no_request_if_server_returns(quick):
    cable, events, http = Cable(), [], Http(Timeouts())
    changed = asyncio.Event()

    def notify(event):
        if isinstance(event, HostTroubled):
            events.append(event)
            changed.set()

    policy = RetryPolicy(attempts=3, base=0.01, cap=0.02, outage=60)
    gate = RequestLimiter(16)
    breaker = CircuitBreaker("127.0.0.1", gate, policy, notify=notify)
    retrier = Retrier(policy, gate, breaker=breaker, notify=Dispatcher([notify]))
    await cable.plug_in()
    url = f"http://127.0.0.1:{cable.port}/a"

    async def attempt(_):
        return (await http.send(Request("look", "GET", url, {}))).status

    async def row():
        return [await retrier.call("look", attempt) for _ in range(4)]

    rows = [asyncio.create_task(row()) for _ in range(30)]
    await cable.busy.wait()
    await cable.unplug()
    await changed.wait()
    answered = cable.answered
    assert not any(row.done() for row in rows)
    changed.clear()
    await cable.plug_in()
    await changed.wait()
    assert cable.answered == answered + 1
    assert await asyncio.gather(*rows) == [[200] * 4] * 30
    assert [event.state for event in events] == [DOWN, UP]
    assert events[0].reason.startswith(("unsent: ", "broken: "))
    await http.close()
    breaker.close()
    gate.close()
    await cable.unplug()


async def test_breaker_over_sockets_gives_up_port_without_listener(quick):
    cable, http = Cable(), Http(Timeouts())
    await cable.plug_in()
    await cable.unplug()
    policy = RetryPolicy(base=0.01, cap=0.02, outage=0.3)
    gate = RequestLimiter(16)
    breaker = CircuitBreaker("127.0.0.1", gate, policy)
    retrier = Retrier(policy, gate, breaker=breaker)
    url = f"http://127.0.0.1:{cable.port}/a?X-Amz-Signature=f00d"

    async def attempt(_):
        return await http.send(Request("look", "GET", url, {}))

    ended = await all_of(retrier.call("look", attempt) for _ in range(40))
    assert {type(error) for error in ended} == {HostDown}
    for error in ended:
        assert not error.request_sent
        assert f"unsent: GET {without_query(url)}: no connection to 127.0.0.1 (ECONNREFUSED" in str(error)
        assert "f00d" not in str(error)
    await http.close()
    breaker.close()
    gate.close()


async def test_breaker_over_sockets_opens_on_502_pages_and_closes_on_json(quick, serve, http):
    well, troubled = asyncio.Event(), asyncio.Event()

    async def reply(served, reader, writer):
        while True:
            await read_request(served, reader)
            writer.write(answer(200, b"{}") if well.is_set() else answer(502, b"<html>502</html>"))
            await writer.drain()

    served = await serve(reply)
    policy = RetryPolicy(attempts=2, base=0.01, cap=0.02, outage=60)
    gate = RequestLimiter(16)
    breaker = CircuitBreaker("127.0.0.1", gate, policy, notify=lambda _: troubled.set())
    retrier = Retrier(policy, gate, breaker=breaker)

    async def attempt(_):
        response = await http.send(Request("look", "GET", served.url, {}))
        if response.status != 200:
            raise ServerError("", status=response.status)
        return response.body

    tasks = [asyncio.create_task(retrier.call("look", attempt)) for _ in range(20)]
    await troubled.wait()
    assert breaker.is_open
    well.set()
    assert await asyncio.gather(*tasks) == [b"{}"] * 20
    assert not breaker.is_open
    breaker.close()
    gate.close()
