"""Searches for the highest rate against theory: an M/M/c queue, and what ends a search early."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import pytest
from load_platform import FakeClient, QueueingPlatform
from virtual_time import run_virtual

from opus_async.config import Limits
from opus_async.errors import LoadRefused
from opus_async.load import LoadObserver, find_max
from opus_async.models import Workflow

RARE_POLLS = Limits(detect_lag=0.05)
"""Simulated polls take real time."""
pytestmark = pytest.mark.usefixtures("virtual_clock")


@dataclass
class Searched:
    summary: object
    clients: int


def search(platform, out, *, observer=None, **options):
    """Search in virtual time; each step gets a client of its own."""
    clients = []
    platform.workflow = Workflow(workflow_id="fake")

    def connect():
        clients.append(FakeClient(platform, limits=RARE_POLLS))
        return clients[-1]

    async def main():
        return await find_max(
            connect,
            None,
            workflow_id="fake",
            out=out,
            seed=1,
            max_jobs=options.pop("max_jobs", 200_000),
            watching=observer or LoadObserver(),
            **options,
        )

    return Searched(run_virtual(main()).summary, len(clients))


@pytest.mark.long
@pytest.mark.parametrize(("servers", "run_time"), [(8, 1.0), (20, 2.0)])
def test_find_max_is_within_ten_percent_of_the_capacity_of_a_queue(servers, run_time, tmp_path):
    platform = QueueingPlatform(servers=servers, run_time=run_time)
    found = search(platform, tmp_path, slo=["e2e.p95 < 1m"], start_rate=1.0, window=120.0).summary
    assert found.rate == pytest.approx(servers / run_time, rel=0.1)
    assert found.confirmed
    assert found.limiting_stage == "queue_run"


def test_find_max_gives_each_step_a_client_and_writes_its_files(tmp_path):
    platform = QueueingPlatform(servers=4, run_time=1.0)
    found = search(platform, tmp_path, slo=["e2e.p95 < 10s"], start_rate=1.0, window=20.0)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert found.clients == len(summary["steps"]) + 1
    assert summary["rate"] == pytest.approx(4, rel=0.3)
    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert len(lines) == summary["jobs"] == sum(step["jobs"] for step in summary["steps"])
    assert [line["index"] for line in sorted(lines, key=lambda each: each["index"])] == list(
        range(len(lines))
    )


def test_find_max_ends_at_its_cap_and_is_invalid(tmp_path):
    platform = QueueingPlatform(servers=1000, run_time=1.0)
    found = search(platform, tmp_path, slo=["e2e.p95 < 20s"], start_rate=4.0, window=10.0, max_jobs=300)
    assert (found.summary.verdict, found.summary.exit_code) == ("INVALID", 7)
    assert found.summary.jobs <= 300
    assert "--max-jobs" in found.summary.reasons[0]


def test_find_max_interrupted_while_it_settles_is_invalid(tmp_path):
    observer = LoadObserver(begun=lambda _plan, _recorder: observer.control.interrupt())
    platform = QueueingPlatform(servers=4, run_time=1.0)
    found = search(platform, tmp_path, slo=["e2e.p95 < 10s"], start_rate=1.0, window=20.0, observer=observer)
    assert (found.summary.verdict, found.summary.exit_code) == ("INVALID", 130)
    assert found.summary.steps == []


def test_find_max_interrupted_tells_what_held(tmp_path):
    platform = QueueingPlatform(servers=1000, run_time=1.0)
    observer = LoadObserver(stepped=lambda search: len(search.results) == 2 and observer.control.interrupt())
    found = search(platform, tmp_path, slo=["e2e.p95 < 20s"], start_rate=4.0, window=10.0, observer=observer)
    assert (found.summary.verdict, found.summary.exit_code) == ("INVALID", 130)
    assert len(found.summary.steps) == 2
    assert found.summary.rate == pytest.approx(8, rel=0.3)


def test_find_max_without_an_objective_is_refused(tmp_path):
    with pytest.raises(LoadRefused, match="objective"):
        search(QueueingPlatform(), tmp_path, slo=[])


def test_find_max_refuses_production(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeClient, "is_production", True)
    platform = QueueingPlatform()
    platform.open = asyncio.Event().wait  # whoever asks the platform waits for ever
    with pytest.raises(LoadRefused, match="--production"):
        search(platform, tmp_path, slo=["e2e.p95 < 1s"])
