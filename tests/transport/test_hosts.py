"""Storage hosts, each on its own: one that is odd holds up nobody else."""

from __future__ import annotations

import pytest
from virtual_time import run_virtual

from opus_async.config import RetryPolicy
from opus_async.errors import HostDown, TransportError
from opus_async.transport.circuit_breaker import CircuitBreaker
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.hosts import MOST, Hosts
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.retry import Retrier

POLICY = RetryPolicy(outage=600)


def refusing(_):
    raise TransportError("no such name", request_sent=False)


async def refuse(number):
    return refusing(number)


async def fine(_):
    return "stored"


def test_storage_host_that_never_answered_fails_its_request_alone():
    async def main():
        hosts = Hosts(POLICY, 4, Dispatcher())
        with pytest.raises(TransportError) as caught:
            await hosts.at("https://odd.example/a?X-Amz-Signature=s").call("put", refuse)
        assert not isinstance(caught.value, HostDown)
        assert await hosts.at("https://usual.example/b").call("put", fine) == "stored"
        hosts.close()

    run_virtual(main())


def test_storage_host_that_has_answered_is_waited_for_during_outage():
    async def main():
        hosts = Hosts(POLICY, 4, Dispatcher())
        usual = hosts.at("https://usual.example/a")
        assert await usual.call("put", fine) == "stored"
        with pytest.raises(HostDown) as caught:
            await usual.call("put", refuse)
        assert caught.value.answered
        assert caught.value.seconds >= 600
        hosts.close()

    run_virtual(main())


def test_storage_hosts_told_apart_are_bounded():
    async def main():
        hosts = Hosts(POLICY, 4, Dispatcher())
        first = hosts.at("https://0.example/a")
        assert hosts.at("https://0.EXAMPLE/b") is first
        found = {id(hosts.at(f"https://{number}.example/a")) for number in range(10 * MOST)}
        assert len(found) <= MOST + 1
        assert hosts.at("https://0.example/c") is first
        hosts.close()

    run_virtual(main())


def test_retrier_gives_up_unreachable_host_after_reach_despite_long_outage():
    async def main():
        gate = RequestLimiter(4)
        breaker = CircuitBreaker("operator.opus.com", gate, POLICY)
        retrier = Retrier(POLICY, gate, breaker=breaker)
        began = gate.now()
        with pytest.raises(TransportError, match="gave up after"):
            await retrier.call("schema", refuse, unreachable_after=25.0)
        assert gate.now() - began <= 25
        breaker.close()
        gate.close()

    run_virtual(main())
