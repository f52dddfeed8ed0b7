"""``opus-async wait``: the end of a job, whoever started it."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli import connection, outcomes
from opus_async.cli.connection import connect
from opus_async.cli.job_progress import JobProgress, progress_for
from opus_async.cli.options import OneJobOptions
from opus_async.cli.program import command_line
from opus_async.error_codes import NextAction
from opus_async.errors import DeadlineExceeded, OpusError
from opus_async.opus.stages import RESULTS, WATCH

if TYPE_CHECKING:
    from opus_async.cli.outcomes import JobEnd
    from opus_async.models import JobStatus
    from opus_async.opus.client import OpusClient
    from opus_async.outcome import JobOutcome

_EPILOG = """\
stdout gets the outputs by display name, as 'run' prints them, stderr the progress. A job that failed exits
with 1 and names the nodes that failed. Waiting costs nothing, and a job that ended long ago is told at once.

Ask with the --api that the job was started with: v0 and v1 are not known to share their ids.

examples:
  opus-async wait 2514
  opus-async wait 2514 --timeout 900 --json > outcome.json
  opus-async wait 2514 --download results/
"""


@dataclass(frozen=True, kw_only=True)
class WaitOptions(OneJobOptions):
    """Options of ``wait``.

    Attributes:
        job_id: The job's id.
    """

    job_id: str


OPTIONS = WaitOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("job_id", type=connection.job_id, metavar="JOB", help=connection.JOB_ID)
    outcomes.configure(parser)
    connection.configure(parser)


def run(options: WaitOptions) -> int:
    """Wait for one job."""
    outcomes.make_folder(options)
    story = progress_for(options, job_id=options.job_id)
    return outcomes.print_outcome(options, story, _wait(options, story))


async def _wait(options: WaitOptions, story: JobProgress) -> JobEnd:
    from opus_async.cli.display import DisplayTask

    async with connect(options, listeners=[story]) as opus, DisplayTask(story):
        outcome = await _in_time(opus, options, story)
        return await outcomes.fetch_files(
            opus, options, story, outcome, lambda: opus.jobs.get(options.job_id)
        )


async def _in_time(opus: OpusClient, options: WaitOptions, story: JobProgress) -> JobOutcome:
    import asyncio

    from opus_async.models import JobStatus

    try:
        async with asyncio.timeout(options.timeout) as deadline:
            return await _outcome(opus, options.job_id, story)
    except TimeoutError:
        if not deadline.expired():
            raise
        unread = f"its status could not be read, and '{command_line('doctor', api=options.api)}' may tell why"
        known = f"it is {story.status}" if story.status else unread
        raise DeadlineExceeded(
            f"No outcome after {options.timeout:g} s: {known}. Give it a longer --timeout if this is normal.",
            last_status=JobStatus(story.status) if story.status else None,
            job_id=options.job_id,
            stage=story.stage,
        ) from None


async def _outcome(opus: OpusClient, job_id: str, story: JobProgress) -> JobOutcome:
    story.enter(WATCH, f"job {job_id}")
    # First a question of its own, with retries that are told: a watch bears any outage, and this may be a
    # wrong id, a wrong key or a wrong host.
    status = await opus.jobs.status(job_id)
    story.see(status)
    if not status.is_terminal:
        status = await opus.jobs.wait(job_id)
    story.enter(RESULTS)
    outcome = await _collect(opus, job_id, status)
    story.end(status)
    return outcome


async def _collect(opus: OpusClient, job_id: str, status: JobStatus) -> JobOutcome:
    from opus_async.models import JobStatus
    from opus_async.opus.protocol.hints import hint
    from opus_async.outcome import JobOutcome, failure_of

    if status == JobStatus.COMPLETED:
        try:
            results = await opus.jobs.results(job_id)
        except OpusError as error:
            located = error.advised(NextAction.FETCH_RESULTS).located(job_id=job_id, stage=RESULTS)
            return JobOutcome(job_id=job_id, status=status, error=located)
        return JobOutcome(job_id=job_id, status=status, outputs=results.outputs, results=results.raw)
    audit = None
    with suppress(OpusError):  # an audit that cannot be had must not hide the failure
        audit = await opus.jobs.audit(job_id)
    failed = failure_of(status, audit, job_id, RESULTS, hint)
    return JobOutcome(job_id=job_id, status=status, error=failed, audit=audit)
