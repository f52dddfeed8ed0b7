"""The CPU time of a whole job, next to other clients that send the same requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
_CONDITIONS: tuple[tuple[str, Loop, int], ...] = (
    ("document", "asyncio", 64),
    ("text", "uvloop", 64),
    ("text", "asyncio", 64),
    ("document", "uvloop", 64),
    ("document", "asyncio", 512),
    ("text", "asyncio", 512),
    ("document", "uvloop", 512),
    ("text", "uvloop", 512),
)


def run(settings: Settings) -> Iterator[Figure]:
    """Compare whole jobs: text and documents, both loops, few and many in flight."""
    with serving() as server, documents(settings.size(1024, 8)) as folder:
        for kind, loop, in_flight in _CONDITIONS[: 3 if settings.smallest else None]:
            condition = f"{kind}, {loop}, {in_flight} in flight"
            if not settings.wants(condition):
                continue
            arguments = {
                "url": server.url,
                "folder": folder if kind == "document" else "",
                "in_flight": in_flight,
                "warm": settings.size(in_flight, 4),
            }
            yield from Comparison(
                benchmark="job",
                condition=condition,
                unit="job",
                sides=_sides(settings, loop, arguments, slow=in_flight == 64 and loop == "asyncio"),
                ratios=_RATIOS,
            ).figures(settings)


def _sides(settings: Settings, loop: Loop, arguments: Mapping[str, Any], *, slow: bool) -> dict[str, Side]:
    count, few = settings.size(max(400, 2 * arguments["in_flight"]), 8), settings.size(128, 8)
    clients = "benchmarks.clients"
    sides: dict[str, Side] = {
        OURS: Coroutine(target=f"{clients}.ours:jobs", count=count, loop=loop, arguments=arguments)
    }
    for name, client in _BARE.items():
        sides[name] = Coroutine(
            target=f"{clients}.whole_job:jobs",
            count=count,
            loop=loop,
            arguments={**arguments, "client": client},
        )
    if slow:
        sides["httpx"] = Coroutine(
            target=f"{clients}.whole_job:jobs",
            count=few,
            loop=loop,
            arguments={**arguments, "client": "httpx_client"},
            needs=("httpx",),
        )
        sides["opus-aaico"] = Coroutine(
            target=f"{clients}.aaico:jobs", count=few, loop=loop, arguments=arguments, needs=("opus_aaico",)
        )
    if loop == "asyncio" and not arguments["folder"]:
        users = {name: value for name, value in arguments.items() if name != "folder"}
        for name, user in _LOCUST.items():
            sides[name] = Coroutine(
                target=f"{clients}.locust_users:jobs",
                count=count,
                arguments={**users, "user": user},
                needs=("locust",),
            )
    return sides
