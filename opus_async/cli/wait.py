"""``opus-async wait``: the end of a job, whoever started it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli import downloads, outcomes
from opus_async.cli.job_progress import JobProgress, progress_for
from opus_async.cli.options import OneJobOptions
from opus_async.cli.platforms import opus as opus_entry
from opus_async.cli.platforms.opus import connect
from opus_async.cli.program import command_line
from opus_async.errors import DeadlineExceeded

if TYPE_CHECKING:
    from opus_async.cli.outcomes import JobEnd

_EPILOG = """\
stdout gets the outputs by display name, as 'run' prints them, stderr the progress. A job that failed exits
with 1 and names the nodes that failed. Waiting costs nothing, and a job that ended long ago is told at once.

Ask with the --api that the job was started with: v0 and v1 are not known to share their ids.

examples:
  opus-async wait 2514
  opus-async wait 2514 --timeout 15m --json > outcome.json
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
    parser.add_argument("job_id", type=opus_entry.job_id, metavar="JOB", help=opus_entry.JOB_ID)
    outcomes.configure(parser)
    opus_entry.configure(parser)


def run(options: WaitOptions) -> int:
    """Wait for one job."""
    outcomes.make_folder(options)
    story = progress_for(options, job_id=options.job_id)
    return outcomes.print_outcome(options, story, _wait(options, story))


async def _wait(options: WaitOptions, story: JobProgress) -> JobEnd:
    from opus_async.progress.display import DisplayTask

    async with connect(options, listeners=[story]) as opus, DisplayTask(story):
        try:
            outcome = await opus.jobs.outcome(options.job_id, timeout=options.timeout)
        except DeadlineExceeded as error:
            raise _overdue(error, options) from None
        return await downloads.fetch_files(
            opus, options, story, outcome, lambda: opus.jobs.get(options.job_id)
        )


def _overdue(error: DeadlineExceeded, options: WaitOptions) -> DeadlineExceeded:
    """The same error, with the option and the command that help."""
    unread = f"its status could not be read, and '{command_line('doctor', api=options.api)}' may tell why"
    known = unread if error.last_status is None else f"it is {error.last_status}"
    return DeadlineExceeded(
        f"No outcome after {options.timeout:g} s: {known}. Give it a longer --timeout if this is normal.",
        last_status=error.last_status,
        job_id=error.job_id,
        stage=error.stage,
    )
