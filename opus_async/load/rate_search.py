"""Finds the highest rate that holds: runs the steps of a search, each with a client of its own.

A new client for each step begins with a fresh poll pace, and with no rate that an earlier step was slowed
down to: neither is to be mistaken for what the platform does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from opus_async.errors import LoadRefused
from opus_async.jobs.shutdown import StopKind
from opus_async.load import arrivals, directory
from opus_async.load.api import new_seed, refuse_production, sizes_of
from opus_async.load.arrivals import Arrival
from opus_async.load.choices import MAX_IN_FLIGHT, MAX_SEARCH_JOBS, START_RATE, WINDOW
from opus_async.load.client import Client
from opus_async.load.observer import LoadObserver
from opus_async.load.reasons import Reason, ReasonCode
from opus_async.load.result import timeline_of
from opus_async.load.search import Search, SearchPlan
from opus_async.load.session import InputSource, Workload, new_run, opened, prepared, reopened, work
from opus_async.load.spec import LoadSpec, OpenLoad, Pick, Plan
from opus_async.load.steps import Step, StepResult
from opus_async.load.summary import SearchSummary
from opus_async.load.timeline import Moment
from opus_async.load.values import Sample
from opus_async.load.verdict import LATENESS
from opus_async.metrics.histogram import Histogram

_DISTURBED = 2
"""How often a step is run again because this machine was disturbed in it: others may run here, too."""
Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Client]]
"""Makes a client, to be entered and left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search came to.

    Attributes:
        directory: Where its files are.
        summary: As in ``summary.json``: ``summary.rate``, ``.limiting_stage``, ``.steps``.
    """

    directory: Path
    summary: SearchSummary

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        return self.summary.exit_code


async def find_max(
    connect: Connect,
    inputs: str | PathLike[str] | None,
    *,
    workflow_id: str,
    slo: Sequence[str],
    out: str | PathLike[str],
    start_rate: float = START_RATE,
    window: float = WINDOW,
    arrival: Arrival = "poisson",
    seed: int | None = None,
    pick: Pick = "cycle",
    file_size: str | None = None,
    reuse_uploads: bool = False,
    max_jobs: int = MAX_SEARCH_JOBS,
    max_in_flight: int = MAX_IN_FLIGHT,
    timeout: float | None = None,
    price: float | None = None,
    production: bool = False,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    title: str | None = None,
    version_number: int | None = None,
    version_id: str | None = None,
    allow_outside: bool = False,
    watching: LoadObserver | None = None,
) -> SearchResult:
    """Find the highest rate at which all objectives hold, and no backlog grows.

    The rate is doubled until it does not hold, then narrowed down, and confirmed in a longer window. Between
    two steps all jobs are waited for.

    Args:
        connect: Makes a client: ``OpusClient``, or a function that gives it ``load.LIMITS``. Each step has
            its own.
        inputs: As in :func:`~opus_async.load.run_load`, like every argument that is not named here.
        workflow_id: The workflow.
        slo: The objectives.
        out: The directory of the results; must not hold a run.
        start_rate: Jobs a second of the first step.
        window: Seconds that are measured in each step; it settles before, and confirms for longer.
        arrival: ``poisson`` or ``uniform``.
        seed: Of all draws.
        pick: ``cycle`` or ``random``.
        file_size: Makes documents.
        reuse_uploads: Whether the same content is uploaded once for all jobs of a step.
        max_jobs: Jobs of all steps together, at most.
        max_in_flight: Jobs in flight at most.
        timeout: Seconds for one job.
        price: What one job costs that completes.
        production: Whether it may run at a host of the vendor's.
        columns: Column -> input.
        constants: Input -> value.
        title: A template for the titles.
        version_number: Pins the workflow's version.
        version_id: Pins it by UUID.
        allow_outside: Whether the manifest may name files outside of its folder.
        watching: Told of what happens, and ends it early.

    Raises:
        LoadRefused: It cannot be run so, or must not; nothing was sent.
        ManifestError: Rows cannot be run; no job was made.
        OpusError: The workflow cannot be read.
    """
    if not slo:
        raise LoadRefused("What is to hold? Give an objective, like e2e.p95 < 90s; nothing was sent")
    place = Path(out)
    directory.refuse_used(place)
    spec = LoadSpec(
        workflow_id=workflow_id,
        load=OpenLoad(segments=arrivals.constant(start_rate), process=arrival, text=""),
        jobs=max_jobs,
        pick=pick,
        file_size=sizes_of(file_size),
        reuse_uploads=reuse_uploads,
        max_in_flight=max_in_flight,
        seed=new_seed() if seed is None else seed,
    )
    source = InputSource(
        manifest=await opened(inputs),
        columns=columns or {},
        constants=constants or {},
        title=title,
        version_number=version_number,
        version_id=version_id,
        allow_outside=allow_outside,
    )
    search = Search(SearchPlan(start_rate=start_rate, window=window, max_jobs=max_jobs))
    driver = _Driver(
        connect, spec, source, slo, search=search, observer=watching or LoadObserver(), timeout=timeout
    )
    async with connect() as client:
        refuse_production(at_vendor=client.is_production, allowed=production)
        whole = Plan(spec=spec, schedule=None, jobs=max_jobs, exact=False)
        driver.workload = await prepared(client, whole, source, slo)
    try:
        await driver.run()
    finally:
        summary = driver.summary(price)
        await asyncio.to_thread(directory.write, place, driver.samples, driver.e2e, driver.timeline, summary)
    await asyncio.to_thread(directory.write_report, place, driver.notice)
    return SearchResult(directory=place, summary=summary)


class _Driver:
    """Runs the steps of one search.

    Attributes:
        workload: The inputs of its jobs, and its objectives.
        samples: The jobs of all steps; their times are those of the whole search.
        e2e: The times of those that are measured.
        timeline: All steps over time.
        notice: Told what a person should know.
    """

    workload: Workload

    def __init__(
        self,
        connect: Connect,
        spec: LoadSpec,
        source: InputSource,
        slo: Sequence[str],
        *,
        search: Search,
        observer: LoadObserver,
        timeout: float | None,
    ) -> None:
        self.samples: list[Sample] = []
        self.e2e = Histogram()
        self.timeline: list[Moment] = []
        self._connect = connect
        self._spec = spec
        self._source = source
        self._slo = slo
        self._search = search
        self.notice = observer.notice
        self._observer = observer
        self._timeout = timeout
        self._began = time.time()
        self._origin = time.monotonic()
        self._run_id = ""
        self._cut_short: list[str] = []

    async def run(self) -> None:
        """Run steps until the search is done, or ended."""
        search, control, disturbed = self._search, self._observer.control, 0
        try:
            while control.admitting and (step := search.next_step()) is not None and self._left(step):
                result = await self._run_step(step, self._plan(step))
                if result is None:
                    return
                if result.unhealthy and disturbed < _DISTURBED and self._left(step):
                    disturbed += 1
                    self._observer.notice(f"once more: {result.unhealthy[0]}")
                    continue
                disturbed = 0
                search.take(result)
                self._observer.stepped(search)
        finally:
            reason = control.reason
            if reason is not None and reason.kind is StopKind.INTERRUPTED:
                self._cut_short = ["interrupted: the search came to no end"]

    def _plan(self, step: Step) -> Plan:
        spec = replace(
            self._spec,
            load=OpenLoad(
                segments=arrivals.constant(step.rate), process=_process(self._spec), text=f"{step.rate:g}/s"
            ),
            warm_up=step.settle,
            duration=step.window,
            jobs=None,
            seed=self._spec.seed + len(self.samples),
        )
        schedule = step.schedule(_process(self._spec), spec.seed)
        return Plan(spec=spec, schedule=schedule, jobs=len(schedule.times), exact=True)

    @property
    def _jobs_left(self) -> int:
        """How many jobs may still be started."""
        return self._search.plan.max_jobs - len(self.samples)

    def _left(self, step: Step) -> bool:
        """Whether enough jobs may be started to run a step that large."""
        return step.jobs <= self._jobs_left

    async def _run_step(self, step: Step, plan: Plan) -> StepResult | None:
        """Run a step; None where it was cut short: it may not even have settled."""
        times = f"{step.settle:.3g} s to settle, then {step.window:g} s that are measured"
        self._observer.notice(f"{step.kind.value}: {step.rate:.3g} jobs/s, {times}")
        async with self._connect() as client:
            workload = await reopened(client, plan, self._source, self.workload)
            run = new_run(plan, workload, run_id=self._run_id or None)
            self._run_id = run.run_id
            result = await work(
                client, plan, workload, run, self._observer, timeout=self._timeout, first=len(self.samples)
            )
        recorder, figures = run.recorder, result.figures
        offset = recorder.origin - self._origin
        self._keep(recorder.samples, offset)
        self.timeline += (
            each.model_copy(update={"at": each.at + offset}) for each in timeline_of(recorder, run.health)
        )
        self.e2e.merge(recorder.e2e)
        if not self._observer.control.admitting:
            return None
        offered = max(figures.counts.offered, 1)
        found = StepResult.of(
            step,
            recorder.samples,
            figures.window,
            dropped=figures.counts.all_dropped / offered,
            slos=workload.slos,
            throttled_share=figures.throttled.share,
            throttled=recorder.throttling.throttled,
            paused=recorder.throttling.paused,
            unhealthy=tuple(filter(_matters, result.unhealthy)),
        )
        if found.is_throttled and found.is_saturated:  # the platform says itself whose limit was met
            return replace(found, unhealthy=())
        return found

    def _keep(self, samples: Sequence[Sample], offset: float) -> None:
        """Keep the samples of a step, in the time of the search."""
        self.samples += (
            replace(
                each,
                intended=each.intended + offset,
                started=each.started + offset,
                ended=each.ended + offset,
            )
            for each in samples
        )

    def summary(self, price: float | None) -> SearchSummary:
        """The summary, however far the search has come."""
        spec = self._spec
        workload = self._search.plan.workload(spec.as_json(self.workload.inputs.digest))
        outcome = self._search.outcome(self._cut_short)
        reason = self._observer.control.reason
        more = {} if reason is None else {"exit_code": int(reason.exit)}
        found = SearchSummary.of(
            self._search,
            outcome,
            run_id=self._run_id,
            workload=workload,
            seed=spec.seed,
            began=round(self._began, 3),
            slo=list(self._slo),
            price=price,
            **more,
        )
        return found.model_copy(update={"jobs": len(self.samples)})  # those of steps that were run again, too


def _matters(reason: Reason) -> bool:
    """Whether it keeps a step from telling what the platform holds.

    Starts that are late by some share of a short job would spoil a percentile, and say nothing of a rate.
    """
    return reason.code is not ReasonCode.LATE_STARTS or reason.values["seconds"] > LATENESS


def _process(spec: LoadSpec) -> Arrival:
    assert isinstance(spec.load, OpenLoad)  # noqa: S101 - a search has no other
    return spec.load.process
