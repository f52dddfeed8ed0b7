"""Errors of jobs: one failed, is paused, was waited for in vain, or may or may not have been started."""

from __future__ import annotations

from collections.abc import Sequence

from opus_async.error_codes import ErrorCode, NextAction
from opus_async.errors.base import OpusError
from opus_async.models import FinishedJob, JobStatus


class JobFailed(OpusError):
    """The job reached a terminal status other than COMPLETED. Failed runs are not billed.

    Attributes:
        outcome: Everything known of the job, the audit included.
        failed_nodes: The names of the workflow nodes that failed, where the audit tells.
    """

    error_code = ErrorCode.JOB_FAILED
    usual_action = NextAction.READ_AUDIT

    def __init__(
        self,
        message: str,
        *,
        outcome: FinishedJob | None = None,
        failed_nodes: Sequence[str] = (),
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.outcome = outcome
        self.failed_nodes = tuple(failed_nodes)


class JobPaused(OpusError):
    """The job is paused for a person and is not waited for any more; it can be resumed.

    Attributes:
        alias: Its second id, by which it is resumed, where the platform has one.
        status: WAITING, with the platform's own word in ``raw``.
    """

    error_code = ErrorCode.JOB_PAUSED
    usual_action = NextAction.ANSWER_JOB

    def __init__(
        self,
        message: str,
        *,
        status: JobStatus,
        alias: str | None = None,
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.status = status
        self.alias = alias


class DeadlineExceeded(OpusError, TimeoutError):
    """The time-out of a job has passed; the job goes on remotely and can be waited for again by its id.

    Attributes:
        last_status: The last status seen; None when none was.
        workflow_id: The workflow of the job; None where it is not known.
    """

    error_code = ErrorCode.DEADLINE_EXCEEDED

    def __init__(
        self,
        message: str,
        *,
        last_status: JobStatus | None = None,
        workflow_id: str | None = None,
        alias: str | None = None,
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.last_status = last_status
        self.workflow_id = workflow_id
        self.alias = alias

    def _action_by_itself(self) -> NextAction:
        if self.last_status is not None and self.last_status.is_terminal:
            return NextAction.FETCH_RESULTS
        return NextAction.ALLOW_MORE_TIME if self.job_id is None else NextAction.WAIT_FOR_JOB


class AmbiguousExecution(OpusError):
    """It cannot be known whether a job was started: its start request got no clear response.

    Do not execute the job again before looking at it in the platform: a second run that completes is
    billed a second time.

    Attributes:
        cause: The failure that made it uncertain.
    """

    error_code = ErrorCode.AMBIGUOUS_EXECUTION
    usual_action = NextAction.LOOK_AT_JOB

    def __init__(
        self,
        message: str,
        *,
        cause: OpusError | None = None,
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.cause = cause
