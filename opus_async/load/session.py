"""One run of a load: opens the platform, reads the rows, runs the jobs, judges what was recorded."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from typing import Any

from opus_async.errors import LoadRefused, OpusError
from opus_async.exits import Exit
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.shutdown import Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.load.breaches import BreachWatch
from opus_async.load.client import Client
from opus_async.load.documents import Documents
from opus_async.load.health import HealthSampler
from opus_async.load.inputs import Inputs, RequestSource, check_rows, read_rows, without_rows
from opus_async.load.observer import LoadObserver
from opus_async.load.reasons import Reason as WhyNoPass
from opus_async.load.reasons import ReasonCode
from opus_async.load.recorder import Recorder
from opus_async.load.result import RunResult, figures_of, judged
from opus_async.load.runner import LoadRunner
from opus_async.load.running_load import RunningLoad
from opus_async.load.slo import Slo, parse_slo
from opus_async.load.spec import Plan
from opus_async.load.stages import LoadStages
from opus_async.manifests import FOLDERS, Manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.open import open_manifest

_NOTHING: Mapping[str, Any] = {}
_ID_BYTES = 4
clock: Callable[[], float] = time.monotonic
"""The clock of all that is recorded, in seconds: a loop's own may be coarse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSource:
    """Where the inputs of the jobs come from.

    Attributes:
        manifest: The rows; None for jobs that take constants and made documents alone.
        columns: Column -> input, where their names differ.
        constants: Input -> value for every job.
        title: A template for titles.
        version_number: Pins the workflow's version.
        version_id: Pins it by UUID.
        allow_outside: Whether rows may name files outside of the manifest's folder.
    """

    manifest: Manifest | None = None
    columns: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    constants: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    title: str | None = None
    version_number: int | None = None
    version_id: str | None = None
    allow_outside: bool = False


async def opened(manifest: str | PathLike[str] | None) -> Manifest | None:
    """Open a manifest; raises ManifestError where it cannot be."""
    if manifest is None:
        return None
    return await asyncio.to_thread(open_manifest, manifest, allow_query=True)  # where it lies is not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workflow that is open, and what its jobs are asked to do.

    Attributes:
        lifecycle: How a job runs.
        inputs: The rows.
        documents: Makes files; None to send those of the rows.
        slos: The objectives.
    """

    lifecycle: Lifecycle[Any, Any]
    inputs: Inputs
    documents: Documents | None
    slos: Sequence[Slo]

    @property
    def stages(self) -> LoadStages:
        """The stages of its jobs."""
        return LoadStages.of(self.lifecycle.platform.stages)


async def prepared(client: Client, plan: Plan, source: InputSource, slos: Sequence[str]) -> Workload:
    """Open the workflow, and read and check the rows.

    Raises:
        LoadRefused: An objective cannot be read, or documents cannot be made.
        ManifestError: Rows cannot be run.
        OpusError: The workflow cannot be read.
    """
    spec = plan.spec
    lifecycle = _lifecycle(client, plan, source)
    platform = lifecycle.platform
    parsed = parsed_slos(slos, LoadStages.of(platform.stages))
    await _open(lifecycle)
    binding = Binding(
        platform.workflow,
        columns=source.columns,
        constants=source.constants,
        title=source.title,
        version_number=source.version_number,
        version_id=source.version_id,
        folder=source.manifest is not None and source.manifest.kind in FOLDERS,
        allow_outside=source.allow_outside,
        is_platform_file=platform.has_file,
    )
    documents = None
    if spec.file_size is not None:
        documents = Documents(
            platform.workflow, spec.file_size, seed=spec.seed, most=client.limits.max_file_bytes
        )
    inputs = await asyncio.to_thread(_rows, plan, source.manifest, binding)
    await check_rows(platform, inputs.rows, documents, from_manifest=source.manifest is not None)
    return Workload(lifecycle=lifecycle, inputs=inputs, documents=documents, slos=parsed)


async def reopened(client: Client, plan: Plan, source: InputSource, workload: Workload) -> Workload:
    """The same workload, whose jobs another client runs.

    Raises:
        OpusError: The workflow cannot be read.
    """
    lifecycle = _lifecycle(client, plan, source)
    await _open(lifecycle)
    return replace(workload, lifecycle=lifecycle)


def _lifecycle(client: Client, plan: Plan, source: InputSource) -> Lifecycle[Any, Any]:
    return client.load_lifecycle(
        plan.spec.workflow_id,
        version_number=source.version_number,
        version_id=source.version_id,
        reuse_uploads=plan.spec.reuse_uploads,
    )


async def _open(lifecycle: Lifecycle[Any, Any]) -> None:
    try:
        await lifecycle.platform.open()
    except OpusError as error:
        raise error.located(stage=lifecycle.platform.stages.bind) from None


def parsed_slos(expressions: Sequence[str], stages: LoadStages) -> list[Slo]:
    """Read objectives.

    Raises:
        LoadRefused: One of them is none.
    """
    try:
        return [parse_slo(each, stages.names) for each in expressions]
    except ValueError as error:
        raise LoadRefused(f"SLO {error}; nothing was sent") from None


def _rows(plan: Plan, manifest: Manifest | None, binding: Binding) -> Inputs:
    if manifest is None:
        return without_rows(binding)
    drawn = plan.spec.pick == "random"
    return read_rows(manifest, binding, most=10**9 if drawn else plan.jobs)


@dataclass(slots=True)
class Run:
    """A run, and what was recorded of it.

    Attributes:
        run_id: In the title of each of its jobs.
        recorder: Its jobs.
        health: This process.
        result: What it came to; None until it has ended.
    """

    run_id: str
    recorder: Recorder
    health: HealthSampler
    result: RunResult | None = None


def new_run(plan: Plan, workload: Workload, *, run_id: str | None = None) -> Run:
    """Make a run that has not begun; ``run_id`` is that of the search whose step it is."""
    recorder = Recorder(workload.stages, warm_up=plan.spec.warm_up, clock=clock)
    return Run(run_id or f"load-{secrets.token_hex(_ID_BYTES)}", recorder, HealthSampler())


async def work(
    client: Client,
    plan: Plan,
    workload: Workload,
    run: Run,
    observer: LoadObserver,
    *,
    timeout: float | None = None,
    first: int = 0,
    abort_on_breach: bool = False,
) -> RunResult:
    """Run a load to its end, and judge it.

    Args:
        client: Of the platform.
        plan: What is run.
        workload: Open.
        run: Told of all that happens.
        observer: Ends it early.
        timeout: Seconds for one job; None for no bound.
        first: The index of its first job.
        abort_on_breach: Whether it ends as soon as an objective cannot be met any more.

    Cancelling it ends it at once; what was recorded by then is judged all the same, as ``run.result``.
    """
    recorder, control = run.recorder, observer.control
    requests = RequestSource(
        workload.inputs,
        plan.spec,
        run_id=run.run_id,
        documents=workload.documents,
        timeout=timeout,
        first=first,
    )
    lost: list[Slo] = []
    runner = LoadRunner(plan, workload.lifecycle, requests, recorder, control)
    runner.notice = observer.notice
    if abort_on_breach and plan.exact:
        runner.on_ended = partial(_watch, BreachWatch(workload.slos, plan.jobs), recorder, control, lost)
    try:
        with client.metering(recorder):
            async with run.health:
                observer.begun(plan, recorder)
                observer.following(_running(plan, workload, run))
                await runner.run()
    finally:
        figures = figures_of(plan, recorder, run.health, ended_at=runner.arrivals_ended)
        cut = _cut_short(plan, control, lost, cancelled=runner.cancelled)
        if recorder.left:
            seconds = 0.0 if runner.cancelled else control.drain_seconds
            cut.append(WhyNoPass(ReasonCode.NOT_DRAINED, {"jobs": recorder.left, "seconds": seconds}))
        run.result = judged(figures, workload.slos, cut, recorder.failures)
    return run.result


def _running(plan: Plan, workload: Workload, run: Run) -> RunningLoad:
    return RunningLoad(
        plan=plan,
        run_id=run.run_id,
        workload=plan.spec.as_json(workload.inputs.digest),
        slos=workload.slos,
        recorder=run.recorder,
        health=run.health,
    )


def _watch(watch: BreachWatch, recorder: Recorder, control: ShutdownControl, lost: list[Slo]) -> None:
    """Start no more jobs once an objective is lost."""
    if control.admitting and (slo := watch.lost(recorder.samples[-1])) is not None:
        lost.append(slo)
        control.end(ShutdownMode.STOP_ADMITTING, Reason(StopKind.OBJECTIVE_LOST, Exit.INVALID_LOAD))


def _cut_short(
    plan: Plan, control: ShutdownControl, lost: Sequence[Slo], *, cancelled: bool
) -> list[WhyNoPass]:
    """Why a run did not come to its end."""
    reason = control.reason
    if cancelled or (reason is not None and reason.kind is StopKind.INTERRUPTED):
        return [WhyNoPass(ReasonCode.INTERRUPTED)]
    if reason is not None and reason.kind is StopKind.LIMIT_REACHED:
        return [WhyNoPass(ReasonCode.CAP_REACHED, {"jobs": plan.jobs})]
    return [WhyNoPass(ReasonCode.STOPPED_AT_BREACH, {"expression": slo.expression}) for slo in lost]
