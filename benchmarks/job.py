"""The CPU time of a whole job, next to other clients that send the same requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks.documents import documents
from benchmarks.harness.comparison import Comparison, Coroutine, Side
from benchmarks.harness.figures import Figure, Settings
from benchmarks.harness.machine import Loop
from benchmarks.serving import serving

OURS = "opus_async"
_RATIOS = (
    (OURS, "naive aiohttp"),
    (OURS, "tuned aiohttp"),
    (OURS, "raw asyncio"),
    ("httpx", OURS),
    ("opus-aaico", OURS),
    (OURS, "Locust HttpUser"),
    (OURS, "Locust FastHttpUser"),
)
_BARE = {"naive aiohttp": "naive", "tuned aiohttp": "tuned", "raw asyncio": "raw"}
"""Besides, httpx and opus-aaico: tens of milliseconds a job at 64 in flight, left out where it is more."""
_LOCUST = {"Locust HttpUser": "HttpUser", "Locust FastHttpUser": "FastHttpUser"}
"""These run on gevent, and text jobs alone."""
_COUNT = 1000
_WARM = 1500
"""Jobs that are measured; and jobs of ours before them, because a new client begins with few requests a
second, see :mod:`opus_async.transport.slow_start`. What that costs is a condition of its own."""
_FEW = 128
"""Jobs of those that take tens of milliseconds for each."""


class _Condition(NamedTuple):
    """What is compared.

    Attributes:
        kind: ``document`` or ``text``.
        loop: The event loop.
        in_flight: Jobs at once.
        first: Whether the first jobs of new clients are measured, and no later ones.
    """

    kind: str
    loop: Loop
    in_flight: int
    first: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.loop}, {self.in_flight} in flight" + ", new clients" * self.first


_CONDITIONS = (
    _Condition("document", "asyncio", 64),
    _Condition("text", "uvloop", 64),
    _Condition("text", "asyncio", 64),
    _Condition("document", "uvloop", 64),
    _Condition("document", "asyncio", 512),
    _Condition("text", "asyncio", 512),
    _Condition("document", "uvloop", 512),
    _Condition("text", "uvloop", 512),
    _Condition("text", "asyncio", 64, first=True),
    _Condition("document", "asyncio", 64, first=True),
)


def run(settings: Settings) -> Iterator[Figure]:
    """Compare whole jobs: text and documents, both loops, few and many in flight."""
    with serving() as server, documents(settings.size(_WARM, 8)) as folder:
        for condition in _CONDITIONS[: 3 if settings.smallest else None]:
            if settings.wants(condition.name):
                arguments = {
                    "url": server.url,
                    "folder": folder if condition.kind == "document" else "",
                    "in_flight": condition.in_flight,
                }
                yield from Comparison(
                    benchmark="job",
                    condition=condition.name,
                    unit="job",
                    sides=_sides(settings, condition, arguments),
                    ratios=_RATIOS,
                ).figures(settings)


def _sides(settings: Settings, condition: _Condition, arguments: Mapping[str, Any]) -> dict[str, Side]:
    clients, loop, in_flight = "benchmarks.clients", condition.loop, condition.in_flight
    if condition.first:
        count, few, warm, ours_warm = 400, _FEW, 0, 0
    else:
        count, few = settings.size(_COUNT, 8), settings.size(_FEW, 8)
        warm, ours_warm = settings.size(in_flight, 4), settings.size(_WARM, 4)
    slow = in_flight == 64 and loop == "asyncio" and not condition.first

    def side(target: str, count: int, warm: int, *needs: str, **more: str) -> Coroutine:
        return Coroutine(
            target=f"{clients}.{target}:jobs",
            count=count,
            loop=loop,
            arguments={**arguments, **more, "warm": warm},
            needs=needs,
        )

    sides: dict[str, Side] = {OURS: side("ours", count, ours_warm)}
    for name, client in _BARE.items():
        sides[name] = side("whole_job", count, warm, client=client)
    if slow:
        sides["httpx"] = side("whole_job", few, warm, "httpx", client="httpx_client")
        sides["opus-aaico"] = side("aaico", few, warm, "opus_aaico")
    if loop == "asyncio" and condition.kind == "text" and not condition.first:
        for name, user in _LOCUST.items():
            sides[name] = side("locust_users", count, warm, "locust", user=user)
    return sides
