"""Everything that opus_async raises, and nothing else.

::

    OpusError                        job_id and stage, where they are known
    ├── ConfigurationError           no key, a base URL that is none: nothing was sent
    ├── InvalidInputs                a caller's inputs do not fit the workflow: nothing was sent
    ├── APIError                     the platform answered, and the answer is no
    │   ├── AuthenticationError      401: the key is missing, wrong or expired
    │   ├── PermissionDenied         403: the user behind the key may not do this
    │   ├── NotFound                 404: no such id, or not visible to this key
    │   ├── ValidationFailed         400, 413, 422: the request was understood and refused
    │   ├── RateLimited              429 for longer than it is worth waiting
    │   ├── QuotaExhausted           402: the plan's or the budget's limit is used up
    │   └── ServerError              5xx
    ├── ProtocolError                the platform answered, and the answer makes no sense
    │   └── MixedUpAnswer            the answer is about another job than was asked about
    ├── TransportError               no complete answer came
    │   └── HostDown                 nothing of a host answered for longer than it is worth waiting
    ├── UploadError                  a file could not be sent, or storage refused it
    ├── DownloadError                a file could not be fetched or kept; nothing half is left behind
    ├── JobFailed                    the job reached a terminal status other than COMPLETED
    ├── JobPaused                    the job waits for a person, and is not waited for any more
    ├── DeadlineExceeded             we stopped waiting; the job goes on
    ├── AmbiguousExecution           it cannot be known whether the job was started
    ├── ManifestError                a manifest that cannot be run, or not on this batch directory
    └── LedgerError                  the ledger of a batch cannot be read or written: nothing more is ordered
        ├── LedgerBusy               another process works on this batch
        └── LedgerDoubtful           what lies beside the ledger contradicts it: a person has to decide

Every message says what to do next. No message holds a secret: URLs come without their query.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

from opus_async.error_codes import COMES_FIRST, ErrorCode, NextAction, NextStep
from opus_async.gaps import group_of
from opus_async.input_problems import InputProblem
from opus_async.models import FinishedJob, JobStatus
from opus_async.text import counted


class OpusError(Exception):
    """The root: catch this to catch everything that opus_async raises.

    Attributes:
        job_id: The job this is about; None where no job came to be.
        stage: The stage of the lifecycle, in the platform's own words (for Opus: ``schema``, ``upload``,
            ``initiate``, ``execute``, ``watch``, ``results``); None outside the lifecycle.
        shortage: What this machine had none left of (``open files``, ``memory``, ``threads``): nothing was
            sent, and nothing is wrong with what was asked. None as a rule.
        message: What happened and what to do next, in words that hold for a program and for a person.
        error_code: Which error it is, stable: the same for all of one class. What the platform, or storage,
            calls an error of its own is ``code``, where there is that.
        hint: How a program takes the next step, by calls and arguments of this library; empty where the
            message says all there is. The text of the error ends with it.
        group: The message without what differs from error to error, to count errors by.
    """

    error_code: ClassVar[ErrorCode] = ErrorCode.UNEXPECTED
    usual_action: ClassVar[NextAction | None] = None
    """What can be done about errors of this class, where nothing else is known."""
    shortage: str | None = None
    hint: str = ""
    _action: NextAction | None = None

    def __init__(self, message: str, *, job_id: str | None = None, stage: str | None = None) -> None:
        self.message, self.group = str(message), group_of(message)
        super().__init__(self.message)
        self.job_id = job_id
        self.stage = stage

    def __str__(self) -> str:
        job = f"job {self.job_id}" if self.job_id else ""
        stage = f"stage {self.stage}" if self.stage else ""
        where = ", ".join(filter(None, (job, stage)))
        text = with_hint(self.message, self.hint)
        return f"{text} [{where}]" if where else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled with all that is known, whatever the arguments of the class."""
        return _rebuilt, (type(self), self.args, self.__dict__.copy())

    @property
    def next_step(self) -> NextStep | None:
        """What can be done about it, as a value; None where only the message can tell."""
        action = self._action or self._action_by_itself()
        return None if action is None else NextStep(NextAction(action), self.job_id)

    def _action_by_itself(self) -> NextAction | None:
        return self.usual_action

    def located(self, *, job_id: str | None = None, stage: str | None = None) -> OpusError:
        """Fill in where it happened, without overwriting what is known already; returns itself."""
        self.job_id = self.job_id or job_id
        self.stage = self.stage or stage
        return self

    def advised(self, action: NextAction, hint: str = "") -> OpusError:
        """Say what can be done about it, unless something else comes first; returns itself.

        Args:
            action: What.
            hint: How a program does it.
        """
        known = self.next_step
        if known is None or known.action not in COMES_FIRST or action in COMES_FIRST:
            self._action = action
            self.hint = hint or self.hint
        return self

    def without_hint(self) -> str:
        """The text of the error for those who are told the next step in other words: at a command line."""
        hint, self.hint = self.hint, ""
        try:
            return str(self)
        finally:
            self.hint = hint


class ConfigurationError(OpusError, ValueError):
    """A setting is missing or unusable; nothing was sent."""

    error_code = ErrorCode.CONFIGURATION
    usual_action = NextAction.CORRECT_SETTINGS


class InvalidInputs(OpusError, ValueError):
    """A caller's inputs do not fit the workflow; nothing was sent.

    Attributes:
        problems: All of them, not only the first. Each is a text that names the input by its display name,
            and has the input, a code and the fix beside it: see
            :class:`~opus_async.input_problems.InputProblem`.
    """

    error_code = ErrorCode.INVALID_INPUTS
    usual_action = NextAction.CORRECT_INPUTS

    def __init__(self, problems: Sequence[InputProblem | str], *, stage: str | None = None) -> None:
        self.problems = tuple(
            problem if isinstance(problem, InputProblem) else InputProblem(problem) for problem in problems
        )
        head = counted(len(self.problems), "problem with the inputs", "problems with the inputs")
        super().__init__("\n  - ".join((f"{head}; nothing was sent:", *self.problems)), stage=stage)


class APIError(OpusError):
    """The platform answered, and the answer is no.

    Attributes:
        status: The HTTP status, or the ``statusCode`` inside a 200 that is none.
        code: The platform's machine-readable code, where it gives one.
        detail: The platform's own words, every message of a list, shortened.
        request_id: The value of a request-id header, to quote to the vendor's support.
        attempt: Which attempt got this answer, from 1.
        method: The HTTP method.
        url: The URL without its query.
        retry_after: Seconds the platform asked to wait, already capped; None where it did not say.
    """

    error_code = ErrorCode.REFUSED

    retry_after: float | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        detail: str = "",
        request_id: str | None = None,
        attempt: int = 1,
        method: str = "",
        url: str = "",
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.attempt = attempt
        self.method = method
        self.url = url

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}"]
        if self.method:
            facts.append(f"{self.method} {self.url}")
        if self.attempt > 1:
            facts.append(f"attempt {self.attempt}")
        if self.request_id:
            facts.append(f"request id {self.request_id}")
        return f"{super().__str__()} ({', '.join(facts)})"


class AuthenticationError(APIError):
    """401: the service key is missing, wrong or expired."""

    error_code = ErrorCode.AUTHENTICATION
    usual_action = NextAction.CHECK_KEY


class PermissionDenied(APIError):
    """403: the user behind the key lacks a permission."""

    error_code = ErrorCode.PERMISSION_DENIED
    usual_action = NextAction.ASK_FOR_PERMISSION


class NotFound(APIError):
    """404: no such id, or not visible to this key."""

    error_code = ErrorCode.NOT_FOUND
    usual_action = NextAction.CHECK_ID


class ValidationFailed(APIError):
    """400, 413 or 422: the platform understood the request and refused it."""

    error_code = ErrorCode.VALIDATION_FAILED
    usual_action = NextAction.CORRECT_INPUTS


class RateLimited(APIError):
    """429, and nothing but 429, for longer than it is worth waiting."""

    error_code = ErrorCode.RATE_LIMITED
    usual_action = NextAction.SLOW_DOWN


class QuotaExhausted(APIError):
    """The plan's or the budget's limit is used up: nothing will be accepted until it is raised.

    402, or another refusal that says so in unmistakable words. Never repeated.
    """

    error_code = ErrorCode.QUOTA_EXHAUSTED
    usual_action = NextAction.RAISE_QUOTA


class ServerError(APIError):
    """5xx after the last retry."""

    error_code = ErrorCode.SERVER_ERROR
    usual_action = NextAction.TRY_LATER


class ProtocolError(OpusError):
    """The platform answered, and the answer makes no sense.

    Attributes:
        body: The beginning of the answer, for a bug report.
        retryable: Whether the same request may be answered better a moment later.
    """

    error_code = ErrorCode.PROTOCOL
    usual_action = NextAction.CHECK_CONNECTION

    retryable = True

    def __init__(
        self, message: str, *, body: str = "", job_id: str | None = None, stage: str | None = None
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.body = body


class Obstacle(StrEnum):
    """What stood between a request and its answer: what tells whether others would meet it, too."""

    NETWORK = "network"
    """No connection, a broken one, no answer in time."""
    CERTIFICATE = "certificate"
    """The host's certificate is not trusted, or it speaks no TLS."""
    PROXY = "proxy"
    """The proxy refuses."""
    CLOSED = "closed"
    """The client, or its session, is closed or another event loop's."""
    REDIRECT = "redirect"
    """The answer sends elsewhere, where nothing is sent."""
    TOO_LARGE = "too large"
    """The answer is larger than what is read."""
    REQUEST = "request"
    """The request itself cannot be sent: a URL or a header that is none."""
    SHORTAGE = "shortage"
    """This machine has no open files, memory or threads left for it."""


class MixedUpAnswer(ProtocolError):
    """The answer is about another job, or another workflow, than was asked about.

    Asked again on a new connection before it is raised. After an ``execute`` nothing is known.

    Attributes:
        asked: The id that was asked about.
        named: The id that the answer names.
    """

    error_code = ErrorCode.MIXED_UP_ANSWER

    def __init__(self, message: str, *, asked: str, named: str, body: str = "") -> None:
        super().__init__(message, body=body)
        self.asked = asked
        self.named = named


class TransportError(OpusError):
    """No complete answer came: a refused or broken connection, a time-out.

    Attributes:
        obstacle: What stood in the way.
        storage: Whether it was met on the way to file storage, whose address is one file's alone.
        request_sent: Whether the server may have seen the request. False only when no byte of it can
            have left: then repeating it is safe whatever it does.
        retryable: Whether the same request may go better a moment later. False for what only a person can
            mend: a certificate that is not trusted, a redirect to another host, a closed client.
        attempt: Which attempt failed, from 1.
        method: The HTTP method.
        url: The URL without its query.
    """

    error_code = ErrorCode.TRANSPORT
    usual_action = NextAction.CHECK_CONNECTION

    def __init__(
        self,
        message: str,
        *,
        request_sent: bool,
        retryable: bool = True,
        obstacle: Obstacle = Obstacle.NETWORK,
        attempt: int = 1,
        method: str = "",
        url: str = "",
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.obstacle = obstacle
        self.storage = False
        self.request_sent = request_sent
        self.retryable = retryable
        self.attempt = attempt
        self.method = method
        self.url = url


class HostDown(TransportError):
    """Nothing that a host was asked was answered for longer than it is worth waiting; it is asked no more.

    Attributes:
        host: Which host.
        seconds: How long it was silent.
        answered: Whether it had answered this client before.
    """

    error_code = ErrorCode.HOST_DOWN

    def __init__(
        self,
        message: str,
        *,
        host: str,
        seconds: float,
        request_sent: bool,
        answered: bool = True,
        method: str = "",
        url: str = "",
    ) -> None:
        super().__init__(message, request_sent=request_sent, retryable=False, method=method, url=url)
        self.host = host
        self.seconds = seconds
        self.answered = answered


class UploadError(OpusError):
    """A file could not be sent, or storage refused it.

    Attributes:
        filename: The file, as the caller named it.
        status: The HTTP status of storage's answer; None when there was none.
        code: The S3 error code (``SlowDown``, ``AccessDenied``, ...), where storage gave one.
        expired: Whether storage said that the presigned URL has expired.
    """

    error_code = ErrorCode.UPLOAD

    def __init__(
        self,
        message: str,
        *,
        filename: str,
        status: int | None = None,
        code: str | None = None,
        expired: bool = False,
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.expired = expired
        self.filename = filename
        self.status = status
        self.code = code


class DownloadError(OpusError):
    """A file could not be fetched or kept: storage refused it, or the disk did. Nothing half is left behind.

    Attributes:
        destination: Where it was to go.
        status: The HTTP status of storage's answer; None when it was not storage that refused.
        code: The S3 error code (``SlowDown``, ``AccessDenied``, ...), where storage gave one.
        expired: Whether storage said that the presigned URL has expired.
        disk_full: Whether the disk has no room left, or lets no file grow further: make some, then fetch it
            again.
    """

    error_code = ErrorCode.DOWNLOAD

    def __init__(
        self,
        message: str,
        *,
        destination: str,
        status: int | None = None,
        code: str | None = None,
        expired: bool = False,
        disk_full: bool = False,
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.expired = expired
        self.disk_full = disk_full
        self.destination = destination
        self.status = status
        self.code = code

    def _action_by_itself(self) -> NextAction | None:
        return NextAction.FREE_DISK_SPACE if self.disk_full else NextAction.FETCH_FILES


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
    """The job waits for a person, and nobody waits for it here any more. It can be gone on with.

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
    """We stopped waiting; the job goes on remotely, and can be waited for again by its id.

    Attributes:
        last_status: The last status seen; None when none was.
    """

    error_code = ErrorCode.DEADLINE_EXCEEDED

    def __init__(
        self,
        message: str,
        *,
        last_status: JobStatus | None = None,
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.last_status = last_status

    def _action_by_itself(self) -> NextAction:
        if self.last_status is not None and self.last_status.is_terminal:
            return NextAction.FETCH_RESULTS
        return NextAction.ALLOW_MORE_TIME if self.job_id is None else NextAction.WAIT_FOR_JOB


class AmbiguousExecution(OpusError):
    """The order to start got no answer, and nothing the platform shows tells whether it was obeyed.

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


class ManifestError(OpusError, ValueError):
    """A manifest cannot be run as it is, or does not fit the batch directory; nothing was sent.

    Attributes:
        summary: What happened, in one sentence; the message goes on with the problems.
        problems: One sentence per problem, each naming row, column or file, and the fix.
    """

    error_code = ErrorCode.MANIFEST
    usual_action = NextAction.CORRECT_MANIFEST

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.summary = message
        self.problems = tuple(problems)
        super().__init__("\n  - ".join((message, *self.problems)))


class LedgerError(OpusError):
    """The ledger of a batch cannot be read or written. Nothing more is ordered; what it holds is not lost.

    Attributes:
        disk_full: Whether the disk has no room left: make some, then resume.
    """

    error_code = ErrorCode.LEDGER

    def __init__(self, message: str, *, disk_full: bool = False) -> None:
        super().__init__(message)
        self.disk_full = disk_full

    def _action_by_itself(self) -> NextAction | None:
        return NextAction.FREE_DISK_SPACE if self.disk_full else self.usual_action


class LedgerBusy(LedgerError):
    """Another process works on this batch; the message names it.

    Attributes:
        pid: Its process id; None when it cannot be told.
        host: The machine it runs on.
    """

    error_code = ErrorCode.LEDGER_BUSY
    usual_action = NextAction.WAIT_FOR_PROCESS

    def __init__(self, message: str, *, pid: int | None = None, host: str = "") -> None:
        super().__init__(message)
        self.pid = pid
        self.host = host


class LedgerDoubtful(LedgerError):
    """What lies in a batch directory contradicts its ledger, or is not what was left there.

    Rows may have been billed of which the ledger knows nothing: nothing was ordered, and nothing changed.

    Attributes:
        problems: One sentence per thing that was found.
        keys: The rows that it concerns, the first of them when there are many.
    """

    error_code = ErrorCode.LEDGER_DOUBTFUL

    def __init__(self, message: str, problems: Sequence[str] = (), *, keys: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        self.keys = tuple(keys)
        super().__init__(message)


def _rebuilt(kind: type[OpusError], args: tuple[Any, ...], known: dict[str, Any]) -> OpusError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(known)
    return error


def with_hint(message: str, hint: str) -> str:
    """A message that ends with how the next step is taken."""
    return f"{message.rstrip('.')}. {hint}." if hint else message


def first_error(error: BaseException) -> BaseException:
    """The first error inside a group, or the error itself: callers of ours never meet a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
