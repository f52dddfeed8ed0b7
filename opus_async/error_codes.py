"""Stable codes of errors and of next steps, as values: sentences are made where they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Which error it is: stable, for programs and other languages. One for each class of errors."""

    UNEXPECTED = "unexpected"
    CONFIGURATION = "configuration"
    INVALID_INPUTS = "invalid_inputs"
    WORKFLOW_CHANGED = "workflow_changed"
    REFUSED = "refused"
    AUTHENTICATION = "authentication"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    VALIDATION_FAILED = "validation_failed"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    SERVER_ERROR = "server_error"
    PROTOCOL = "protocol"
    MIXED_UP_ANSWER = "mixed_up_answer"
    TRANSPORT = "transport"
    HOST_DOWN = "host_down"
    STORE_UNAVAILABLE = "store_unavailable"
    UPLOAD = "upload"
    DOWNLOAD = "download"
    JOB_FAILED = "job_failed"
    JOB_PAUSED = "job_paused"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    AMBIGUOUS_EXECUTION = "ambiguous_execution"
    MANIFEST = "manifest"
    LOAD_REFUSED = "load_refused"
    LEDGER = "ledger"
    LEDGER_BUSY = "ledger_busy"
    LEDGER_DOUBTFUL = "ledger_doubtful"


class NextAction(StrEnum):
    """What can be done about an error."""

    WAIT_FOR_JOB = "wait_for_job"
    """The job goes on: wait for it, and do not run the same inputs again before its end is known."""
    LOOK_AT_JOB = "look_at_job"
    """The job may run or not: see what it has done before anything is run again."""
    ANSWER_JOB = "answer_job"
    """The job waits for a person: act on it in the platform, or resume it, then wait for it."""
    FETCH_RESULTS = "fetch_results"
    """The job has ended: fetch what it left."""
    FETCH_FILES = "fetch_files"
    """The outputs are here: fetch their files again."""
    READ_AUDIT = "read_audit"
    """The job failed: its audit tells what each node did."""
    SET_KEY = "set_key"
    """No service key came: set one."""
    CHECK_KEY = "check_key"
    """The service key was refused: make a new one."""
    ASK_FOR_PERMISSION = "ask_for_permission"
    """The user behind the key lacks a permission."""
    RAISE_QUOTA = "raise_quota"
    """The limit of the plan or the budget has to be raised first."""
    CHECK_ID = "check_id"
    """The id is unknown there: check it, and the generation of the API."""
    CHOOSE_GENERATION = "choose_generation"
    """Use another generation of the API, or another base URL."""
    CORRECT_SETTINGS = "correct_settings"
    """Correct a setting, as the message tells."""
    CORRECT_INPUTS = "correct_inputs"
    """Correct the request, as the message tells: the same will be refused again."""
    CORRECT_MANIFEST = "correct_manifest"
    """Correct the manifest, or the options given with it."""
    SKIP_INVALID_ROWS = "skip_invalid_rows"
    """Some rows of a manifest cannot be run: mend them, or run the others."""
    ACCEPT_SECOND_BILL = "accept_second_bill"
    """Rows may have been billed already: find out, or accept that they may be billed again."""
    FORCE = "force"
    """Something that changes results is another than it was: put it back, or go on with it by force."""
    RESUME_BATCH = "resume_batch"
    """There is a batch already: go on with it, or name another directory."""
    SLOW_DOWN = "slow_down"
    """Send fewer requests at once, or send them later."""
    TRY_LATER = "try_later"
    """The platform failed, or the store of a document: the same may go well later."""
    ALLOW_MORE_TIME = "allow_more_time"
    """Nothing was started in time: give a longer time-out, if this is normal."""
    CHECK_CONNECTION = "check_connection"
    """Check the way to the platform: network, proxy, certificate, base URL."""
    FREE_DISK_SPACE = "free_disk_space"
    """Make room on the disk, then go on."""
    WAIT_FOR_PROCESS = "wait_for_process"
    """Another process works on the batch: let it end."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """The next step after an error.

    Attributes:
        action: What can be done.
        job_id: The job it is about; None for none.
        alias: The second id of that job, where the platform gave it one.
    """

    action: NextAction
    job_id: str | None = None
    alias: str | None = None


COMES_FIRST = frozenset(
    {
        NextAction.SET_KEY,
        NextAction.CHECK_KEY,
        NextAction.ASK_FOR_PERMISSION,
        NextAction.RAISE_QUOTA,
        NextAction.CHOOSE_GENERATION,
        NextAction.CORRECT_SETTINGS,
        NextAction.LOOK_AT_JOB,
    }
)
"""Actions that come before anything else that can be done about a job."""


def no_hint(_: NextStep) -> str:
    """The hint where there are no calls for next steps: empty."""
    return ""
