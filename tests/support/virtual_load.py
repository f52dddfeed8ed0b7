"""Load tests in virtual time, on a platform of plain Python: exact, and over in no time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from load_platform import FakeClient, QueueingPlatform
from virtual_time import run_virtual

from opus_async.config import Limits
from opus_async.jobs.shutdown import ShutdownControl
from opus_async.load import health, session
from opus_async.load.api import spec_of
from opus_async.load.inputs import Inputs
from opus_async.load.observer import LoadObserver
from opus_async.load.session import Run, Workload, new_run, parsed_slos, work
from opus_async.load.spec import Plan, planned
from opus_async.load.stages import LoadStages
from opus_async.models import JobRequest


def loop_time() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a load test records is told by the clock of the loop, and its process is never busy."""
    monkeypatch.setattr(session, "clock", loop_time)
    monkeypatch.setattr(health, "clock", loop_time)
    monkeypatch.setattr(health, "_used", lambda: (loop_time(), 0.0))
    monkeypatch.setattr(asyncio, "to_thread", _at_once)


async def _at_once(function, *arguments):
    """No thread: the clock would jump while it works."""
    return function(*arguments)


@dataclass
class VirtualLoad:
    """A load that was run.

    Attributes:
        run: With its recorder, and what it came to.
        platform: Where it ran.
        plan: What was to be run.
    """

    run: Run
    platform: QueueingPlatform
    plan: Plan

    @property
    def result(self):
        assert self.run.result is not None
        return self.run.result

    @property
    def figures(self):
        return self.result.figures

    @property
    def samples(self):
        return self.run.recorder.samples


@dataclass
class Setup:
    """What a load is run with, besides the load itself."""

    platform: QueueingPlatform
    slos: tuple[str, ...] = ()
    control: ShutdownControl = field(default_factory=ShutdownControl)
    max_jobs: int = 100_000
    limits: Limits = Limits(detect_lag=0.02)  # noqa: RUF009 - frozen; each simulated poll takes real time
    options: dict[str, Any] = field(default_factory=dict)
    meanwhile: Any = None
    following: Any = lambda _: None
    task: asyncio.Task[Any] | None = None
    """The task that runs it, once it does."""


def run_load_virtually(setup: Setup, **load: Any) -> VirtualLoad:
    """Run a load to its end.

    Args:
        setup: Where, and how it is ended.
        load: As for ``run_load``.
    """

    async def main() -> VirtualLoad:
        plan = planned(spec_of(workflow_id="fake", seed=load.pop("seed", 1), **load), max_jobs=setup.max_jobs)
        async with FakeClient(setup.platform, limits=setup.limits) as client:
            lifecycle = client.load_lifecycle("fake")
            stages = LoadStages.of(setup.platform.stages)
            workload = Workload(
                lifecycle=lifecycle,
                inputs=Inputs([JobRequest({})], "rows"),
                documents=None,
                slos=parsed_slos(setup.slos, stages),
            )
            run = new_run(plan, workload)
            observer = LoadObserver(control=setup.control, following=setup.following)
            setup.task = asyncio.current_task()
            beside = asyncio.ensure_future(setup.meanwhile(run)) if setup.meanwhile else None
            await work(client, plan, workload, run, observer, **setup.options)
            if beside is not None:
                await beside
        return VirtualLoad(run, setup.platform, plan)

    return run_virtual(main())
