"""Servers of many kinds refuse requests, in simulated time: each is used, and none is hammered."""

from __future__ import annotations

from itertools import pairwise

import pytest
from rate_simulation import TokenBucketServer, UnlimitedServer, WindowServer, send_all

SEEDS = [211, 212]
"""Nothing was tuned on these."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("server", "requests", "share", "refusals"),
    [
        ({"rate": 200, "burst": 200}, 3000, 0.94, 0.01),
        ({"rate": 20, "burst": 20}, 489, 0.95, 0.02),
        ({"rate": 200, "burst": 200, "later": [(5, 100)]}, 3000, 0.94, 0.01),
        ({"rate": 50, "burst": 50, "retry_after": None}, 1500, 0.95, 0.02),
        ({"rate": 50, "burst": 50, "retry_after": 0}, 1500, 0.95, 0.02),
        ({"rate": 1, "burst": 2}, 100, 0.9, 0.2),
    ],
    ids=["200/s", "20/s", "halved", "no Retry-After", "Retry-After 0", "1/s"],
)
def test_learned_limit_is_used_from_the_start_on(server, requests, share, refusals, seed):
    limited = TokenBucketServer(**server)
    send_all(limited, requests, seed=seed)
    assert limited.share >= share
    assert limited.refusals <= refusals


@pytest.mark.parametrize("seed", SEEDS)
def test_learned_limit_with_small_burst_is_met_seldom(seed):
    """A pause of a second costs nine requests, for the server saves up no more than three."""
    server = TokenBucketServer(12, 3)
    client = send_all(server, 640, offered=16, operations=["initiate"], seed=seed)
    assert client.seconds <= 1.2 * (640 - 3) / 12
    assert len(server.refused) <= 15


def test_learned_limit_of_one_operation_delays_no_other():
    server = TokenBucketServer(12, 3, operations=frozenset({"initiate"}))
    client = send_all(server, 1200, offered=64, seed=211)
    assert max(client.waited["initiate"]) > 3, "16 a second are offered"
    assert max(max(client.waited[name]) for name in ("execute", "status", "results")) < 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_learned_limit_of_all_operations_is_recognised(seed):
    server = TokenBucketServer(48, 6)
    client = send_all(server, 2000, offered=64, seed=seed)
    assert client.seconds <= 1.25 * (2000 - 6) / 48
    assert server.refusals <= 0.02


def test_learned_limit_of_fixed_windows_is_used():
    server = WindowServer(60, 60.0)
    client = send_all(server, 480, seed=211)
    assert client.seconds <= 60 * (480 / 60 + 1)
    assert server.refusals <= 0.05


def test_learned_limit_that_moves_is_followed():
    server = TokenBucketServer(100, 100, later=[(20, 30), (40, 80)])
    client = send_all(server, 4000, until=60, seed=211)
    assert client.seconds < 120
    assert server.share >= 0.7
    assert server.refusals <= 0.03
    assert max(later - earlier for earlier, later in pairwise(server.granted)) < 4, "it never freezes"


def test_learned_limit_that_rises_is_noticed():
    server = TokenBucketServer(2, 2, later=[(30, 20)])
    send_all(server, 10_000, until=150, seed=211)
    late = [moment for moment in server.granted if moment > server.granted[0] + 140]
    assert len(late) > 10 * 10


def test_learned_limit_far_below_one_request_a_second_is_kept():
    server = TokenBucketServer(0.1, 1)
    client = send_all(server, 30, seed=211)
    assert client.seconds <= 2 * 300
    assert len(server.refused) <= 2 * 30


def test_lone_refusal_slows_for_a_moment_only():
    server = UnlimitedServer(frozenset({500}))
    client = send_all(server, 6_000, latency=(0.01, 0.05), seed=211)
    undisturbed = send_all(UnlimitedServer(), 6_000, latency=(0.01, 0.05), seed=211)
    assert client.seconds < undisturbed.seconds + 5


@pytest.mark.parametrize("latency", [(0.05, 0.2), (1.0, 3.0)], ids=["usual", "slow"])
def test_storm_of_hundreds_on_the_wire_is_met_once(latency):
    server = TokenBucketServer(100, 100)
    send_all(server, 3000, slots=512, at_once=2000, start_slowly=False, latency=latency, until=60, seed=211)
    first = [moment for moment in server.refused if moment < server.refused[0] + latency[1]]
    assert len(first) >= 300, "they were on the wire"
    assert len(server.refused) <= len(first) * 3
    assert server.share >= 0.5


def test_server_without_limit_is_not_slowed_noticeably():
    slowly = send_all(UnlimitedServer(), 6000, latency=(0.01, 0.05), seed=211)
    at_once = send_all(UnlimitedServer(), 6000, latency=(0.01, 0.05), start_slowly=False, seed=211)
    assert slowly.seconds < at_once.seconds + 1.0


def test_few_requests_are_never_delayed():
    client = send_all(UnlimitedServer(), 300, offered=50, seed=211)
    assert max(max(waited) for waited in client.waited.values()) == 0
