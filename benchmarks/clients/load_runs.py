"""opus_async: whole text jobs as a closed load test runs them, with its recorder or with a silent one."""

from __future__ import annotations

from benchmarks.answers import KEY, TEXT
from benchmarks.clients.ours import NO_LAG
from benchmarks.harness.meter import Meter
from opus_async import JobRequest, Limits, OpusClient
from opus_async.events import RequestKind
from opus_async.jobs.shutdown import ShutdownControl
from opus_async.load.api import spec_of
from opus_async.load.inputs import Inputs, RequestSource
from opus_async.load.job_record import JobRecord
from opus_async.load.recorder import Recorder
from opus_async.load.runner import LoadRunner
from opus_async.load.spec import planned
from opus_async.load.stages import LoadStages
from opus_async.outcome import JobOutcome
from opus_async.testing import quick_polls


async def jobs(meter: Meter, count: int, *, url: str, users: int, warm: int, recorder: str) -> None:
    """Run so many jobs, so many at once, after some to warm up.

    Args:
        meter: Measures them.
        count: Of jobs.
        url: Of the platform.
        users: Jobs at once.
        warm: Jobs before.
        recorder: ``real``, or ``silent`` for one that takes nothing down.
    """
    limits = Limits(max_in_flight=users)
    with quick_polls(NO_LAG):
        async with OpusClient(KEY, base_url=url, limits=limits) as opus:
            await _run(opus, users, warm, recorder)
            with meter.against(url):
                await _run(opus, users, count, recorder)


async def _run(opus: OpusClient, users: int, count: int, recorder: str) -> None:
    lifecycle = opus.load_lifecycle(TEXT)
    await lifecycle.platform.open()
    spec = spec_of(workflow_id=TEXT, concurrency=users, jobs=count, seed=1)
    plan = planned(spec, max_jobs=count)
    inputs = Inputs([JobRequest({"Text": "a text of some words"})], None)
    requests = RequestSource(inputs, spec, run_id="load", documents=None, timeout=None)
    kind = Recorder if recorder == "real" else _Silent
    taken = kind(LoadStages.of(lifecycle.platform.stages), warm_up=0.0)
    with opus.metering(taken):
        await LoadRunner(plan, lifecycle, requests, taken, ShutdownControl()).run()
    assert not taken.failures, taken.failures
    if recorder == "real":
        assert len(taken.samples) == count  # made of what was taken down, as at the end of a load test


class _Silent(Recorder):
    """Knows which jobs run, which the runner needs, and takes nothing down."""

    def answered(self, operation: str, kind: RequestKind, status: int, waited: float, seconds: float) -> None:
        pass

    def opened(self, key: str, index: int, intended: float) -> JobRecord:
        record = self.running[key] = JobRecord(index, intended, self._clock)
        return record

    def begun(self, record: JobRecord, *, was_due: bool = True) -> None:
        pass

    def ended(self, key: str, outcome: JobOutcome) -> None:
        assert outcome.ok, outcome.error
        del self.running[key]
