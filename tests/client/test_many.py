"""Ten thousand jobs through one client: all end, memory follows those in flight, nobody holds the loop.

python -m pytest tests/client/test_many.py -m long -s
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from client_tools import DOCUMENT, TEXT, document, sha256

from opus_async import JobRequest


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


STATM = Path("/proc/self/statm")
PAGE = os.sysconf("SC_PAGE_SIZE")
COLLECTION = "(a garbage collection)"
LONGEST = 0.050
"""Seconds of CPU that one callback may take: longer, and everything else in the caller's process stutters."""


def say(text: str) -> None:
    """A figure, for those who run with -s."""
    sys.stdout.write(f"{text}\n")


def resident() -> float:
    """Megabytes."""
    if not STATM.exists():
        pytest.skip("needs /proc")
    return int(STATM.read_text().split()[1]) * PAGE / 2**20


def name_of(callback):
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return getattr(task.get_coro(), "__qualname__", str(task.get_coro()))
    return getattr(callback, "__qualname__", repr(callback))


@pytest.fixture
def slowest(monkeypatch):
    """The CPU time of the slowest callbacks of the loop's thread, by name; garbage collection apart.

    When to collect is the application's choice, and what there is to look through here is mostly pytest's.
    """
    found: dict[str, float] = {}
    run = asyncio.events.Handle._run
    clock = time.thread_time
    collecting = since = 0.0

    def note(name, took):
        found[name] = max(found.get(name, 0.0), took)

    def collect(phase, _):
        nonlocal collecting, since
        if phase == "start":
            since = clock()
        else:
            collecting += clock() - since
            note(COLLECTION, clock() - since)

    def timed(handle):
        collected, began = collecting, clock()
        name = handle._callback
        run(handle)
        took = clock() - began - (collecting - collected)
        if took > 0.0005:
            note(name_of(name), took)

    gc.callbacks.append(collect)
    monkeypatch.setattr(asyncio.events.Handle, "_run", timed)
    yield found
    gc.callbacks.remove(collect)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_run_many_of_ten_thousand_jobs_bounds_memory_and_loop_blocking(
    simulate_apart, connect, slowest
):
    jobs, in_flight = 10_000, 2_000
    simulator = await simulate_apart(run_time="0.5-1.5", queue_time=0.05)
    opus = connect(simulator)
    marks: dict[int, float] = {}
    statuses: Counter[str] = Counter()
    taken = most = 0

    def rows():
        nonlocal taken
        for number in range(jobs):
            taken += 1
            yield {"Text": f"text {number}"}

    gc.collect()
    start, began, cpu = resident(), time.monotonic(), time.process_time()
    done = 0
    async with opus.run_many(TEXT, rows(), max_in_flight=in_flight) as stream:
        async for outcome in stream:
            done += 1
            most = max(most, taken - done)
            statuses[outcome.status] += 1
            assert outcome.outputs["SHA-256"] == sha256(f"text {outcome.index}".encode())
            if done in {2_000, 5_000, 10_000}:
                marks[done] = resident()
    wall, cpu = time.monotonic() - began, time.process_time() - cpu
    counters = (await asyncio.to_thread(simulator.state, jobs="0"))["counters"]
    say(f"\n{jobs} jobs, {in_flight} in flight: {wall:.1f} s, {cpu / jobs * 1e6:.0f} us of CPU a job")
    say(f"RSS {start:.0f} MB before, then {', '.join(f'{mb:.0f} MB at {n:,}' for n, mb in marks.items())}")
    say(f"requests: {counters['requests']}")
    longest = sorted(((round(seconds * 1000, 1), name) for name, seconds in slowest.items()), reverse=True)
    say(f"CPU of the slowest callbacks, ms: {longest[:6]}")
    assert statuses == {"COMPLETED": jobs}
    assert most <= in_flight
    assert counters["executions"] == counters["executed_jobs"] == jobs
    assert counters["executed_twice"] == []
    assert marks[10_000] - marks[2_000] < 20, "memory follows what is in flight, not what is done"
    slowest.pop(COLLECTION, None)
    assert max(slowest.values(), default=0.0) < LONGEST, slowest


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_run_many_of_thousand_jobs_under_hostile_faults_runs_each_once(simulate_apart, connect):
    jobs = 1_000
    simulator = await simulate_apart(
        faults="hostile", seed=23, run_time="0.2-1", queue_time=0.05, sign_content_type="alternate"
    )
    opus = connect(simulator, retry={"attempts": 24, "execute_grace": 2.0, "max_elapsed": 120, "cap": 1.0})
    rows = (
        JobRequest({"Document": (f"{n}.txt", document(n))}, title=f"row {n}", key=str(n)) for n in range(jobs)
    )
    began = time.monotonic()
    stream = opus.run_many(DOCUMENT, rows, max_in_flight=500)
    outcomes = [outcome async for outcome in stream]
    state = await asyncio.to_thread(simulator.state)
    counters = state["counters"]
    say(f"\n{jobs} jobs: {time.monotonic() - began:.1f} s, stray shells {stream.stray_shells}")
    say(f"requests {counters['requests']}, faults {sum(counters['faults'].values())}")
    failed = [f"{outcome.key}: {outcome.error}" for outcome in outcomes if not outcome.ok]
    assert failed == []
    assert sorted(outcome.index for outcome in outcomes) == list(range(jobs))
    for outcome in outcomes:
        assert outcome.outputs["SHA-256"] == sha256(document(outcome.index))
        assert state["jobs"][outcome.job_id]["executions"] == 1
    assert counters["executed_twice"] == []
    assert counters["executed_jobs"] == counters["executions"] == jobs
    assert counters["jobs"] - jobs <= stream.stray_shells
    assert state["leaks"] == []
