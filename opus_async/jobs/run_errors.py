"""The errors that end the run of a job: where it happened, what became of the job, what to do next."""

from __future__ import annotations

from collections.abc import Callable

from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import AmbiguousExecution, DeadlineExceeded, OpusError, with_hint
from opus_async.gaps import gapped, literal
from opus_async.jobs.job_run import JobRun
from opus_async.models import JobStatus
from opus_async.platform import NOT_LISTED, Stages
from opus_async.stages import PAUSED

Hint = Callable[[NextStep], str]
"""Says how a next step is taken, by calls of the library that is in use; empty for nothing."""


def located(error: OpusError, run: JobRun, stages: Stages, hint: Hint) -> OpusError:
    """The error with job and stage; once the job was started, the next step is about that job.

    A job that is not known to exist is in no stage.
    """
    if not run.exists:
        return error.located(job_id=run.job_id)
    if run.stage == stages.collect:
        error.advised(NextAction.FETCH_RESULTS)
    elif run.stage == stages.watch:
        error.advised(NextAction.WAIT_FOR_JOB)
    elif run.stage == PAUSED:
        error.advised(NextAction.ANSWER_JOB)
    elif isinstance(error, AmbiguousExecution):
        error.advised(NextAction.LOOK_AT_JOB, hint(NextStep(NextAction.LOOK_AT_JOB, run.job_id)))
    return error.located(job_id=run.job_id, stage=run.stage)


def deadline_exceeded(
    run: JobRun, timeout: float | None, stages: Stages, hint: Hint, *, workflow_id: str = ""
) -> DeadlineExceeded:
    """The error of a job that did not end within its time-out.

    Args:
        run: The job.
        timeout: Seconds.
        stages: The platform's names of the stages.
        hint: How a next step is taken.
        workflow_id: Of its workflow; empty where it is not known.
    """
    action = NextAction.ALLOW_MORE_TIME
    if run.ended:
        action = NextAction.FETCH_RESULTS
        what = f"it ended as {run.status}, and only what it left is missing"
    elif not run.exists:
        action = NextAction.WAIT_FOR_JOB
        what = "its status could not be read"
    elif not run.start_sent:
        what = "nothing was started"
    elif run.stage == stages.start:
        action = NextAction.LOOK_AT_JOB
        what = "it may have been started: look at it before running it again"
    else:
        action = NextAction.WAIT_FOR_JOB
        what = "it goes on remotely"
    error = DeadlineExceeded(
        gapped(
            f"No outcome after {{}} s; {literal(what)}{{}}. Give it a longer timeout if this is normal.",
            f"{timeout:g}",
            _where(run, workflow_id),
        ),
        last_status=run.status,
        workflow_id=workflow_id or None,
        alias=run.alias,
        job_id=run.job_id,
        stage=run.stage,
    )
    known = action in {NextAction.WAIT_FOR_JOB, NextAction.FETCH_RESULTS}
    error.advised(action, hint(NextStep(action, run.job_id, run.alias)) if known else "")
    return error


def _where(run: JobRun, workflow_id: str) -> str:
    """Where a job is found that has a second id, or will have one; empty for any other."""
    if run.alias is not None:
        return f", as {run.alias} of workflow {workflow_id}"
    return f", and workflow {workflow_id} does not show it yet" if run.status is NOT_LISTED else ""


def unexpected(error: BaseException, run: JobRun) -> OpusError:
    """An exception that is none of ours, as an error of this job: it must not end other jobs."""
    surprise = OpusError(
        gapped(
            f"Unexpected {type(error).__name__}: {{}}. This is a fault of opus_async or of a disk; the log "
            "has the traceback",
            error,
        ),
        job_id=run.job_id,
        stage=run.stage,
    )
    surprise.__cause__ = error
    return surprise


def what_is_left(run: JobRun, hint: Hint) -> str:
    """What becomes of a job whose run was cancelled: it goes on, or has ended and was billed."""
    row = f"row {run.index}" if run.key is None else f"row {run.index}, key {run.key!r}"
    if run.ended:
        completed = run.status == JobStatus.COMPLETED
        action = NextAction.FETCH_RESULTS if completed else NextAction.READ_AUDIT
        left = f"Job {run.job_id} ({row}) ended as {run.status}"
    else:
        action = NextAction.WAIT_FOR_JOB
        left = f"Job {run.job_id} ({row}) may go on remotely"
    return with_hint(left, hint(NextStep(action, run.job_id)))
