"""The functions that run load tests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from opus_async.errors import LoadRefused
from opus_async.load import arrivals, directory
from opus_async.load.arrivals import Arrival
from opus_async.load.choices import MAX_IN_FLIGHT, MAX_JOBS
from opus_async.load.client import Client
from opus_async.load.observer import LoadObserver
from opus_async.load.result import summary_of, timeline_of
from opus_async.load.session import InputSource, Run, Workload, new_run, opened, prepared, work
from opus_async.load.sizes import Sizes
from opus_async.load.spec import (
    ClosedLoad,
    LoadSpec,
    OpenLoad,
    Pick,
    Plan,
    planned,
)
from opus_async.load.summary import RunSummary

_SEEDS = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What a load test came to.

    Attributes:
        directory: Where its files are.
        summary: As in ``summary.json``: ``summary.verdict``, ``.reasons``, ``.latency["e2e_intended"].p95``.
    """

    directory: Path
    summary: RunSummary

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        return self.summary.exit_code


async def run_load(
    client: Client,
    inputs: str | PathLike[str] | None,
    *,
    workflow_id: str,
    out: str | PathLike[str],
    rate: float | None = None,
    stages: str | None = None,
    concurrency: int | None = None,
    think: float = 0.0,
    duration: float | None = None,
    jobs: int | None = None,
    warm_up: float = 0.0,
    slo: Sequence[str] = (),
    abort_on_breach: bool = False,
    arrival: Arrival = "poisson",
    seed: int | None = None,
    pick: Pick = "cycle",
    file_size: str | None = None,
    reuse_uploads: bool = False,
    max_jobs: int = MAX_JOBS,
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
) -> LoadResult:
    """Run a load test: jobs that arrive as asked for, measured, with a verdict.

    Args:
        client: Of the platform: ``OpusClient(limits=load.LIMITS)`` measures closely.
        inputs: A CSV, JSONL, XLSX or Parquet with a row for each job, a folder, or a pattern; None for jobs
            that take ``constants`` and made documents alone. Rows are used again as often as needed.
        workflow_id: The workflow.
        out: The directory of the results; must not hold a run.
        rate: Jobs a second, whatever becomes of those before (an open model).
        stages: Rates over time, like ``0..50/s:2m,50/s:5m``, instead.
        concurrency: So many users instead, each of whom starts the next job when the last has ended (a closed
            model).
        think: Seconds that each of them waits in between.
        duration: Seconds of the load after the warm-up; not needed for ``stages``, which it cuts or extends.
        jobs: Jobs in all instead, those of the warm-up included.
        warm_up: Seconds at the beginning that are left out of all latency figures.
        slo: Objectives, like ``e2e.p95 < 90s`` or ``error_rate < 1%``; see :mod:`opus_async.load.slo`.
        abort_on_breach: Whether it ends, INVALID, as soon as an objective cannot be met any more.
        arrival: ``poisson`` (as independent users come) or ``uniform`` (at even distances).
        seed: Of all draws; None draws one, which the summary tells.
        pick: ``cycle`` takes the rows in turn, ``random`` draws them.
        file_size: Makes documents of this size for each input that is a file, like ``lognormal:200KB``.
        reuse_uploads: Whether the same content is uploaded once for all jobs.
        max_jobs: Jobs at most, because each costs money. A load of more is refused; a closed one that a time
            ends is stopped, and INVALID.
        max_in_flight: Jobs in flight at most; arrivals beyond are dropped, and counted.
        timeout: Seconds for one job until how it ends counts as unknown; None waits on.
        price: What one job costs that completes: the summary tells it.
        production: Whether it may run at a host of the vendor's, where jobs are real.
        columns: Column -> input, where their names differ.
        constants: Input -> value for every job that has none.
        title: A template for the titles, to which the id of the run is added.
        version_number: Pins the workflow's version.
        version_id: Pins the workflow's version by UUID.
        allow_outside: Whether the manifest may name files outside of its folder.
        watching: Told of what happens, and ends it early.

    Returns:
        What it came to; jobs that failed raise nothing.

    Raises:
        LoadRefused: It cannot be run so, or must not; nothing was sent.
        ManifestError: Rows cannot be run; no job was made.
        OpusError: The workflow cannot be read.
    """
    spec = spec_of(
        workflow_id=workflow_id,
        rate=rate,
        stages=stages,
        concurrency=concurrency,
        think=think,
        arrival=arrival,
        duration=duration,
        jobs=jobs,
        warm_up=warm_up,
        seed=seed,
        pick=pick,
        file_size=file_size,
        reuse_uploads=reuse_uploads,
        max_in_flight=max_in_flight,
    )
    plan, place = planned(spec, max_jobs=max_jobs), Path(out)
    directory.refuse_used(place)
    refuse_production(at_vendor=client.is_production, allowed=production)
    source = InputSource(
        manifest=await opened(inputs),
        columns=columns or {},
        constants=constants or {},
        title=title,
        version_number=version_number,
        version_id=version_id,
        allow_outside=allow_outside,
    )
    observer = watching or LoadObserver()
    workload = await prepared(client, plan, source, slo)
    run = new_run(plan, workload)
    try:
        await work(client, plan, workload, run, observer, timeout=timeout, abort_on_breach=abort_on_breach)
    finally:
        summary = await _written(place, plan, workload, run, price)
        await asyncio.to_thread(directory.write_report, place, observer.notice)
    return LoadResult(directory=place, summary=summary)


def spec_of(
    *,
    workflow_id: str,
    rate: float | None = None,
    stages: str | None = None,
    concurrency: int | None = None,
    think: float = 0.0,
    arrival: Arrival = "poisson",
    duration: float | None = None,
    jobs: int | None = None,
    warm_up: float = 0.0,
    seed: int | None = None,
    pick: Pick = "cycle",
    file_size: str | None = None,
    reuse_uploads: bool = False,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> LoadSpec:
    """Check what is asked of a load test; arguments as in :func:`run_load`.

    Raises:
        LoadRefused: It cannot be run so.
    """
    return LoadSpec(
        workflow_id=workflow_id,
        load=load_of(rate=rate, stages=stages, concurrency=concurrency, think=think, arrival=arrival),
        warm_up=warm_up,
        duration=duration,
        jobs=jobs,
        pick=pick,
        file_size=sizes_of(file_size),
        reuse_uploads=reuse_uploads,
        max_in_flight=max_in_flight,
        seed=new_seed() if seed is None else seed,
    )


def new_seed() -> int:
    """A seed, where none was given."""
    return random.SystemRandom().randrange(_SEEDS)


def load_of(
    *, rate: float | None, stages: str | None, concurrency: int | None, think: float, arrival: Arrival
) -> OpenLoad | ClosedLoad:
    """The load that was asked for in one of three ways.

    Raises:
        LoadRefused: In none or several of them, or it cannot be read.
    """
    if sum(each is not None for each in (rate, stages, concurrency)) != 1:
        raise LoadRefused(
            "A load is given by one of three: a rate, stages, or a concurrency; nothing was sent"
        )
    if concurrency is not None:
        return ClosedLoad(concurrency=concurrency, think=think)
    if think:
        raise LoadRefused("Only users of a closed model think: give a concurrency; nothing was sent")
    if rate is not None:
        return OpenLoad(segments=arrivals.constant(rate), process=arrival, text=f"{rate:g}/s")
    assert stages is not None  # noqa: S101 - one of three is given
    try:
        return OpenLoad(segments=arrivals.parse_stages(stages), process=arrival, text=stages.replace(" ", ""))
    except ValueError as error:
        raise LoadRefused(f"Stages: {error}; nothing was sent") from None


def sizes_of(text: str | None) -> Sizes | None:
    """The sizes of documents that are made.

    Raises:
        LoadRefused: They cannot be read.
    """
    try:
        return None if text is None else Sizes.parse(text)
    except ValueError as error:
        raise LoadRefused(f"File size {error}; nothing was sent") from None


def refuse_production(*, at_vendor: bool, allowed: bool) -> None:
    """Refuse a host of the vendor's, unless that is allowed. Nothing is sent or looked up to tell.

    Raises:
        LoadRefused: It is one.
    """
    if at_vendor and not allowed:
        raise LoadRefused(
            "The jobs would run at the vendor's own host, where they are real and cost money; nothing was "
            "sent. Say --production (in Python: production=True) if that is what you want"
        )


async def _written(place: Path, plan: Plan, workload: Workload, run: Run, price: float | None) -> RunSummary:
    """Write the files of a run; returns its summary."""
    result, recorder = run.result, run.recorder
    assert result is not None  # noqa: S101 - a run that has ended, however, has one
    summary = summary_of(
        result,
        run_id=run.run_id,
        workload=plan.spec.as_json(workload.inputs.digest),
        began=recorder.epoch,
        seed=plan.spec.seed,
        price=price,
    )
    moments = timeline_of(recorder, run.health)
    await asyncio.to_thread(directory.write, place, recorder.samples, recorder.e2e, moments, summary)
    return summary
