"""A session: one process works on a planned batch until it ends, and writes the reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from opus_async.batch import report
from opus_async.batch.choices import FINISHED
from opus_async.batch.ledger.report_queries import ReportQueries
from opus_async.batch.observer import BatchObserver, Notify, ending_of, reason_text
from opus_async.batch.options import EVERYTHING, RunSettings, SessionGoal
from opus_async.batch.outputs import failures, summary
from opus_async.batch.ports import BatchStore, RowJournal, RowQueue, ShardReport, ShardRunner
from opus_async.batch.rows import RowResult, RowState
from opus_async.batch.running.local_shard import LocalShardRunner, OnEnd
from opus_async.batch.running.output_files import Outputs
from opus_async.batch.running.requests import BoundRequests, RequestFactory
from opus_async.batch.running.runner import FailureCounter, Runner
from opus_async.errors import LedgerError, OpusError
from opus_async.exits import Exit, first_of
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import WhenPaused
from opus_async.jobs.shutdown import Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.jobs.start_rate import StartRate
from opus_async.manifests.binding.binding import Binding
from opus_async.metrics.counts import Counts
from opus_async.metrics.progress import Progress
from opus_async.metrics.recent_failures import FailedRow
from opus_async.metrics.samples import Sample
from opus_async.remote_urls import Place
from opus_async.tasks import start
from opus_async.text import counted

log = logging.getLogger("opus_async.batch")

SAMPLE_EVERY = 5.0
"""Seconds between the samples that the charts of a report are drawn from."""
SAMPLE_EARLY = 1.0
"""Seconds between samples in the first minute: a short batch has a chart, too."""
_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSetup:
    """Everything a session needs: ledger, lifecycle, settings, observer.

    Attributes:
        directory: The batch directory.
        store: The memory of the batch: open, planned.
        queue: Hands out its rows.
        journal: Told of what happens to them.
        lifecycle: How a job runs; its platform is open.
        binding: From a row to a request.
        base: The folder that relative file cells start at.
        settings: How the work is done.
        watching: Who ends it early, who counts what happens, who is told.
        world: Where its jobs are made; see :mod:`opus_async.batch.world`.
        accept_second_bill: Whether this session may run rows again that may have been billed.
        goal: How far this session goes.
        engine: Makes what runs the rows.
    """

    directory: Path
    store: BatchStore = field(repr=False)
    queue: RowQueue = field(repr=False)
    journal: RowJournal = field(repr=False)
    lifecycle: Lifecycle[Any, Any] = field(repr=False)
    binding: Binding
    base: Place
    settings: RunSettings
    watching: BatchObserver
    world: Mapping[str, Any]
    accept_second_bill: bool = False
    goal: SessionGoal = EVERYTHING
    engine: Engine = field(default_factory=lambda: run_here)

    @property
    def control(self) -> ShutdownControl:
        """Ends it early."""
        return self.watching.control

    @property
    def progress(self) -> Progress:
        """Counts what happens; listens to the client."""
        return self.watching.progress

    @property
    def notice(self) -> Notify:
        """Told in a sentence what a person should know while it runs."""
        return self.watching.notice


Engine: TypeAlias = Callable[[SessionSetup, OnEnd], ShardRunner]
"""Makes what runs the rows of a session, and calls its second argument with every result that was written."""


def run_here(setup: SessionSetup, on_end: OnEnd) -> ShardRunner:
    """Make a shard runner that runs the rows in this event loop."""
    return LocalShardRunner(
        setup.lifecycle,
        setup.journal,
        requests_of(setup),
        setup.control,
        max_in_flight=setup.settings.max_in_flight,
        limiter=StartRate(setup.settings.start_rate) if setup.settings.start_rate else None,
        on_end=on_end,
        outputs=Outputs(setup.directory, setup.lifecycle.platform)
        if setup.settings.download_outputs
        else None,
        accept_second_bill=setup.accept_second_bill,
        until_ordered=setup.goal.until_ordered,
        on_paused=setup.watching.on_pause or WhenPaused.RETURN,
        tell_paused=setup.watching.paused,
    )


def requests_of(setup: SessionSetup) -> RequestFactory:
    """Make the request factory of a session."""
    return BoundRequests(binding=setup.binding, base=setup.base, timeout=setup.settings.timeout)


class _Totals:
    """What all shards of a session have reported, added up.

    Args:
        progress: Told of what happened where its own listener does not reach.
    """

    def __init__(self, progress: Progress) -> None:
        self.report = ShardReport()
        self._progress = progress

    def add(self, report: ShardReport) -> None:
        """Add a report."""
        self.report += report
        self._progress.add(report.events)


class SessionOutcome(NamedTuple):
    """How a batch stands after a session.

    Attributes:
        counts: How many rows are in each state.
        summary: What ``summary.json`` says; None where it could not be written.
    """

    counts: Counts
    summary: dict[str, Any] | None


async def work(setup: SessionSetup) -> SessionOutcome:
    """Work on the batch until nothing is left to do or the control ends it; then close the ledger.

    Cancelling it gives everything back as it stands, and closes the ledger all the same.
    """
    store, control, totals = setup.store, setup.control, _Totals(setup.progress)
    try:
        settings = setup.settings.as_facts() | setup.goal.as_facts()
        await store.begin_session(settings, world=setup.world, limit=setup.goal.limit)
        await _run(setup, totals)
    except LedgerError as error:
        control.fail_all(error)
    except asyncio.CancelledError:
        control.end(ShutdownMode.CANCEL, Reason(StopKind.CANCELLED, Exit.INTERRUPTED))
        raise
    finally:
        outcome = await _end(setup, totals.report)
    return outcome


async def _run(setup: SessionSetup, totals: _Totals) -> None:
    count = FailureCounter(setup.settings.halt, setup.control)

    def on_end(result: RowResult) -> None:
        count(result)
        if result.state is not RowState.COMPLETED:
            setup.progress.failures.add(_failed(result))

    shards = setup.engine(setup, on_end)
    runner = Runner(
        setup.queue,
        shards,
        setup.control,
        on_drain=lambda going_on: _tell_drain(setup, going_on),
        on_report=totals.add,
    )
    sampling = start("opus_async samples", _sample, setup, shards)
    try:
        await runner.run()
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        totals.add(await shards.close())
        with suppress(LedgerError):
            setup.store.sample(_sampled(setup, shards))


def _failed(result: RowResult) -> FailedRow:
    error = result.error or ""
    cause = result.cause or result.error_type or error
    return FailedRow(cause=cause, error=error, key=result.key, location=result.location)


def _tell_drain(setup: SessionSetup, going_on: int) -> None:
    reason = setup.control.reason
    why = reason_text(reason).capitalize() if reason else "Stopping"
    if going_on:
        jobs = counted(going_on, "job that is", "jobs that are")
        setup.notice(
            f"{why}: no more rows are begun. Waiting at most {setup.control.drain_seconds:g} s for {jobs} "
            "near the end; the others go on remotely, and a resume collects them."
        )
    else:
        setup.notice(f"{why}: no more rows are begun. What runs goes on remotely, and a resume collects it.")


# Samples


async def _sample(setup: SessionSetup, shards: ShardRunner) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with suppress(LedgerError):  # who orders something next finds out
        while True:
            setup.store.sample(_sampled(setup, shards))
            pause = SAMPLE_EARLY if loop.time() - began < _MINUTE else SAMPLE_EVERY
            await setup.control.wait_or_shutdown(asyncio.sleep(pause))  # others see at once that it ends


def _sampled(setup: SessionSetup, shards: ShardRunner) -> Sample:
    progress, counts = setup.progress, setup.queue.counts()
    return Sample(
        elapsed=round(progress.elapsed, 3),
        in_flight=shards.in_flight,
        waiting=counts.waiting,
        completed=counts.completed,
        not_completed=counts.not_completed,
        inside={stage: number for stage, number in progress.in_stage.items() if number},
        requests=progress.attempts,
        retries=progress.retries.total(),
        throttled=progress.throttled,
        uploaded_bytes=progress.sent_bytes,
        bottleneck=progress.bottleneck(),
        ending=ending_of(setup.control),
    )


# The end


async def _end(setup: SessionSetup, report: ShardReport) -> SessionOutcome:
    """Record how the session ended, let the ledger go and write the reports, whatever of it fails."""
    counts = setup.store.counts()
    reason = reason_of(setup, counts)
    try:
        with suppress(LedgerError):
            await setup.store.end_session(
                ended_because=ended_because(reason),
                exit_code=session_exit_code(reason, counts),
                stray_shells=report.orphaned_jobs,
                uploads_saved=report.uploads_saved,
            )
    finally:
        await setup.store.close()
    return SessionOutcome(counts, await asyncio.to_thread(write_reports, setup.directory, setup.notice))


def reason_of(setup: SessionSetup, counts: Counts) -> Reason | None:
    """Why rows are left: what ended the session early, or else that it went as far as it was to go."""
    goal, reason = setup.goal, setup.control.reason
    if reason is None and goal.limit is not None and counts.planned:
        return Reason(StopKind.LIMIT_REACHED, Exit.OK)
    if reason is None and goal.until_ordered and counts.in_flight:
        return Reason(StopKind.ALL_ORDERED, Exit.OK)
    return reason


def ended_because(reason: Reason | None) -> str:
    """Why the session ended, in a few words."""
    return FINISHED if reason is None else reason_text(reason)


def session_exit_code(reason: Reason | None, counts: Counts) -> Exit:
    """The exit code of a session that ended for this reason, with rows in these states."""
    codes = [] if reason is None else [reason.exit]
    if counts.unknown:
        codes.append(Exit.UNKNOWN)
    left_over = reason is None and (counts.planned or counts.in_flight)  # nothing explains it: no good end
    if counts.not_completed > counts.unknown or left_over:
        codes.append(Exit.FAILED)
    return first_of(codes)


def write_reports(directory: Path, notice: Notify) -> dict[str, Any] | None:
    """Write failures.jsonl, summary.json and the report; all can be made again, so a failure is only told.

    Returns:
        The summary; None where it could not be written.
    """
    writers: dict[str, Callable[[ReportQueries], Any]] = {
        "failures": failures.write_from,
        "summary": summary.write_from,
        "report": report.write_from,
    }
    written: dict[str, Any] = {}
    try:
        with ReportQueries(directory) as ledger, ledger.snapshot():  # once: opening costs more than a file
            for name, write in writers.items():
                try:
                    written[name] = write(ledger)
                except (OSError, OpusError) as error:
                    notice(f"{name} could not be written: {error}")
    except (OSError, OpusError) as error:  # of the ledger: it could not be opened or read
        for name in writers:
            notice(f"{name} could not be written: {error}")
    return written.get("summary")
