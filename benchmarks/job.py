"""The CPU time of a whole job, next to other clients that send the same requests."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.comparison import Comparison, Coroutine, Side
from benchmarks.figures import Figure, Settings
from benchmarks.machine import Loop
from benchmarks.serving import Server, serving

OURS = "opus_async"
_RATIOS = (
    (OURS, "naive aiohttp"),
    (OURS, "tuned aiohttp"),
    (OURS, "raw asyncio"),
    ("httpx", OURS),
    ("opus-aaico", OURS),
)
_SLOW = {"httpx": "httpx_client", "opus-aaico": "aaico"}
"""Those that cost tens of milliseconds a job, and more with each job in flight: measured at 64, briefly."""
_CONDITIONS: tuple[tuple[str, Loop, int], ...] = (
    ("document", "asyncio", 64),
    ("text", "uvloop", 64),
    ("document", "uvloop", 64),
    ("text", "asyncio", 64),
    ("document", "asyncio", 512),
    ("text", "asyncio", 512),
    ("document", "uvloop", 512),
    ("text", "uvloop", 512),
)


def run(settings: Settings) -> Iterator[Figure]:
    """Compare whole jobs: text and documents, both loops, few and many in flight."""
    with serving() as server:
        for kind, loop, in_flight in _CONDITIONS[: 2 if settings.smallest else None]:
            yield from Comparison(
                benchmark="job",
                condition=f"{kind}, {loop}, {in_flight} in flight",
                unit="job",
                sides=_sides(server, settings, kind, loop, in_flight),
                ratios=_RATIOS,
            ).figures(settings)


def _sides(server: Server, settings: Settings, kind: str, loop: Loop, in_flight: int) -> dict[str, Side]:
    count = settings.size(400 if in_flight < 512 else 1024, 8)
    arguments = {"url": server.url, "kind": kind, "in_flight": in_flight}
    sides: dict[str, Side] = {
        OURS: Coroutine(target="benchmarks.clients.ours:jobs", count=count, loop=loop, arguments=arguments)
    }
    for name, client in (("naive aiohttp", "naive"), ("tuned aiohttp", "tuned"), ("raw asyncio", "raw")):
        sides[name] = _bare(client, count, loop, arguments)
    if in_flight == 64 and loop == "asyncio":
        few = settings.size(64, 8)
        sides["httpx"] = _bare("httpx_client", few, loop, arguments, needs=("httpx",))
        sides["opus-aaico"] = Coroutine(
            target="benchmarks.clients.aaico:jobs",
            count=few,
            loop=loop,
            arguments=arguments,
            needs=("opus_aaico",),
        )
    return sides


def _bare(
    client: str, count: int, loop: Loop, arguments: dict[str, object], needs: tuple[str, ...] = ()
) -> Coroutine:
    return Coroutine(
        target="benchmarks.clients.whole_job:jobs",
        count=count,
        loop=loop,
        arguments=arguments | {"client": client},
        needs=needs,
    )
