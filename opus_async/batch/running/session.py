"""One process at work on a batch: from a planned ledger to its reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opus_async.batch import report
from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.observer import BatchObserver, Notify, reason_text
from opus_async.batch.options import RunSettings
from opus_async.batch.outputs import failures, summary
from opus_async.batch.rows import Row, RowState
from opus_async.batch.running.file_changes import FileChangeCheck
from opus_async.batch.running.local_shard import LocalShardRunner
from opus_async.batch.running.output_files import Outputs
from opus_async.batch.running.runner import FailureCounter, Runner
from opus_async.errors import InvalidInputs, LedgerError, OpusError
from opus_async.exits import Exit, first_of
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.shutdown import Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.jobs.start_rate import StartRate
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.file_digests import FileDigests
from opus_async.metrics.counts import Counts
from opus_async.metrics.progress import Progress
from opus_async.metrics.samples import Sample
from opus_async.models import JobRequest
from opus_async.tasks import start
from opus_async.text import counted

log = logging.getLogger("opus_async.batch")

SAMPLE_EVERY = 5.0
"""Seconds between the samples that the charts of a report are drawn from."""
SAMPLE_EARLY = 1.0
"""Likewise in the first minute: a short batch has a chart, too."""
_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSetup:
    """What a session works with.

    Attributes:
        directory: The batch directory.
        ledger: Open, planned.
        lifecycle: How a job runs; its platform is open.
        binding: From a row to a request.
        base: The folder that relative file cells start at.
        settings: How the work is done.
        watching: Who ends it early, who counts what happens, who is told.
        world: Where its jobs are made; see :mod:`.world`.
        accept_second_bill: Whether this session may run rows again that may have been billed.
    """

    directory: Path
    ledger: SqliteLedger
    lifecycle: Lifecycle[Any, Any] = field(repr=False)
    binding: Binding
    base: Path
    settings: RunSettings
    watching: BatchObserver
    world: Mapping[str, Any]
    accept_second_bill: bool = False

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


async def work(crew: SessionSetup) -> Counts:
    """Work on the batch until nothing is left to do or the control ends it; then close the ledger.

    Returns:
        How many rows are in each state.

    Cancelling it gives everything back as it stands, and closes the ledger all the same.
    """
    ledger, control = crew.ledger, crew.control
    try:
        await ledger.begin_session(crew.settings.as_facts(), world=crew.world)
        await _run(crew)
    except LedgerError as error:
        control.fail_all(error)
    except asyncio.CancelledError:
        control.end(ShutdownMode.CANCEL, Reason(StopKind.CANCELLED, Exit.INTERRUPTED))
        raise
    finally:
        counts = await _end(crew)
    return counts


async def _run(crew: SessionSetup) -> None:
    request = _Requests(crew)
    shards = LocalShardRunner(
        crew.lifecycle,
        crew.ledger,
        request,
        crew.control,
        max_in_flight=crew.settings.max_in_flight,
        limiter=StartRate(crew.settings.start_rate) if crew.settings.start_rate else None,
        on_end=FailureCounter(crew.settings.halt, crew.control),
        outputs=_outputs(crew),
        accept_second_bill=crew.accept_second_bill,
    )
    runner = Runner(crew.ledger, shards, crew.control, on_drain=lambda going_on: _tell_drain(crew, going_on))
    sampling = start("opus_async samples", _sample, crew, shards)
    try:
        await runner.run()
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        with suppress(LedgerError):
            crew.ledger.sample(_sampled(crew, shards))


def _outputs(crew: SessionSetup) -> Outputs | None:
    if not crew.settings.download_outputs:
        return None
    return Outputs(crew.directory, crew.lifecycle.platform)


class _Requests:
    """From a row to its request; see :class:`opus_async.batch.running.local_shard.RequestFactory`."""

    def __init__(self, crew: SessionSetup) -> None:
        self._binding = crew.binding
        self._base = crew.base
        self._timeout = crew.settings.timeout
        self._freshness = FileChangeCheck(crew.ledger, FileDigests())

    async def of(self, row: Row) -> JobRequest:
        """The request of a row."""
        if row.state in {RowState.RUNNING, RowState.WAITING}:  # its inputs are with the platform, or gone
            return JobRequest({}, key=row.key, timeout=self._timeout)
        try:
            request = self._binding.request(
                row.cells, index=row.index, key=row.key, base=self._base, to_send=True
            )
        except InvalidInputs:
            if not row.asks_first:
                raise
            request = JobRequest({}, key=row.key)  # its job is asked, whatever the row says now
        if row.state is RowState.PLANNED and not row.asks_first:
            self._binding.refuse_outside(row.cells, self._base)
            await self.check(row)
        return request if self._timeout is None else replace(request, timeout=self._timeout)

    async def check(self, row: Row) -> None:
        """Raise InvalidInputs where its files are not what was planned."""
        await self._freshness.check(self._binding.files(row.cells, self._base))


def _tell_drain(crew: SessionSetup, going_on: int) -> None:
    reason = crew.control.reason
    why = reason_text(reason).capitalize() if reason else "Stopping"
    if going_on:
        jobs = counted(going_on, "job that is", "jobs that are")
        crew.notice(
            f"{why}: no more rows are begun. Waiting at most {crew.control.drain_seconds:g} s for {jobs} "
            "near the end; the others go on remotely, and a resume collects them."
        )
    else:
        crew.notice(f"{why}: no more rows are begun. What runs goes on remotely, and a resume collects it.")


# Samples


async def _sample(crew: SessionSetup, shards: LocalShardRunner) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with suppress(LedgerError):  # who orders something next finds out
        while True:
            crew.ledger.sample(_sampled(crew, shards))
            await asyncio.sleep(SAMPLE_EARLY if loop.time() - began < _MINUTE else SAMPLE_EVERY)


def _sampled(crew: SessionSetup, shards: LocalShardRunner) -> Sample:
    progress, counts = crew.progress, crew.ledger.counts()
    return Sample(
        elapsed=round(progress.elapsed, 3),
        in_flight=shards.in_flight,
        waiting=counts.waiting,
        completed=counts.completed,
        not_completed=counts.not_completed,
        inside={stage: number for stage, number in progress.inside.items() if number},
        requests=progress.requests.total(),
        retries=progress.retries.total(),
        throttled=progress.throttled,
        uploaded_bytes=progress.sent_bytes,
        bottleneck=progress.bottleneck(),
    )


# The end


async def _end(crew: SessionSetup) -> Counts:
    """Record how the session ended, let the ledger go and write the reports, whatever of it fails."""
    counts = crew.ledger.counts()
    platform = crew.lifecycle.platform
    try:
        with suppress(LedgerError):
            await crew.ledger.end_session(
                ended_because=ended_because(crew.control.reason),
                exit_code=exit_code(crew.control.reason, counts),
                stray_shells=platform.orphaned_jobs,
                uploads_saved=platform.uploads_reused,
            )
    finally:
        await crew.ledger.close()
    await asyncio.to_thread(write_reports, crew.directory, crew.notice)
    return counts


def ended_because(reason: Reason | None) -> str:
    """Why the session ended, in a few words."""
    return "finished" if reason is None else reason_text(reason)


def exit_code(reason: Reason | None, counts: Counts) -> Exit:
    """What the end means for the shell."""
    codes = [] if reason is None else [reason.exit]
    if counts.unknown:
        codes.append(Exit.UNKNOWN)
    left_over = reason is None and (counts.planned or counts.in_flight)  # nothing explains it: no good end
    if counts.not_completed > counts.unknown or left_over:
        codes.append(Exit.FAILED)
    return first_of(codes)


def write_reports(directory: Path, notice: Notify) -> None:
    """Write what is made of the ledger: all of it can be made again, so a failure is told and no more."""
    for write in (failures.write, summary.write, report.write):
        try:
            write(directory)
        except (OSError, OpusError) as error:
            notice(f"{write.__module__.rpartition('.')[2]} could not be written: {error}")
