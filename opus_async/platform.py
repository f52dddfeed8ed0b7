"""The wall between what a job is and whose job it is.

Everything above this file (lifecycle, watch, stream, later batch and load) speaks of a job in these words
only; everything below an implementation of it may speak of presigned URLs, sessions or cases. A platform
object belongs to one run of one workflow: what it caches (schema, uploads) lives as long as that run.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from opus_async.errors import OpusError
from opus_async.models import AuditLog, DownloadedFile, JobRequest, JobStatus, Workflow

BoundT = TypeVar("BoundT")
"""A platform's own value: a request checked against the workflow, nothing sent yet."""
ReadyT = TypeVar("ReadyT")
"""A platform's own value: what ``start`` sends, files uploaded."""


@dataclass(frozen=True, slots=True)
class Stages:
    """A platform's names for the stages of a job, in order, as events and the ledger use them."""

    bind: str
    prepare: str
    create: str
    start: str
    watch: str
    collect: str


class StartCheck(enum.Enum):
    """What one look at a job tells after its start became uncertain."""

    RUNNING = "running"
    """It was started, beyond doubt."""
    DIFFERENT = "different"
    """It shows something that a job never started does not, seen only once so far. From then on nothing
    proves any more that it was never started."""
    NOT_STARTED = "unstarted"
    """It looks exactly like a job never started. One look proves nothing: it may be queued."""
    INCONCLUSIVE = "unclear"
    """The look itself failed."""


class StartAnswer(enum.Enum):
    """What came back to an order to start that is neither a clear yes nor a proof that it was not obeyed."""

    LOST = "lost"
    """No complete answer, or a failure of a server: it may have been obeyed."""
    REFUSED = "refused"
    """Somebody said no. That proves nothing by itself: a proxy may have repeated an order that was obeyed.
    Never answered with another order."""


class StartDoubt(enum.Enum):
    """What is known of a job's start that outlives the process that learned it."""

    REFUSED = "refused"
    """Its last order was refused: no other follows."""
    DIFFERED = "differed"
    """It was seen to differ from a job never started: nothing proves any more that it never was."""


class AmbiguousStart(Exception):
    """Raised by ``start`` when the order may or may not have been obeyed: a question for the lifecycle.

    Attributes:
        cause: What was seen instead of a clear answer.
        answer: Which kind it is: that decides what may follow, see :mod:`opus_async.jobs.start`.
    """

    def __init__(self, cause: OpusError, answer: StartAnswer = StartAnswer.LOST) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.answer = answer


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job that ended has left.

    Attributes:
        outputs: Display name -> value.
        results: As the platform sent them.
        audit: What it tells of the way there; None when it could not be had or was not asked for.
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    results: Any = None
    audit: AuditLog | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequest:
    """What a person wants of a job that is to be tried again: it is asked first; see :mod:`.retrying`.

    Attributes:
        unbilled: Whether it is known to have ended badly or never to have started, or a person said so: then
            a platform that knows no such job any more contradicts nothing.
        other_inputs: Whether its row asks for something else by now: then its results are not the row's.
        accept_second_bill: Whether a new job may be made although this one may have been billed.
    """

    unbilled: bool = False
    other_inputs: bool = False
    accept_second_bill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredJob:
    """How far an earlier process came with a job.

    Attributes:
        remote_id: Its id; None when none exists.
        orders: How many orders to start it may have left.
        accepted: Whether one of them is known to have been obeyed.
        elsewhere: Whether it was made for another version or workflow than jobs are made for now: then it is
            never ordered, and a new one is made if it proves never started.
        retry: Given for a job that is to be tried again.
        doubt: What was learned of its start.
    """

    remote_id: str | None = None
    orders: int = 0
    accepted: bool = False
    elsewhere: bool = False
    retry: RetryRequest | None = None
    doubt: StartDoubt | None = None


NEW_JOB = RecoveredJob()


class IdTaken(Exception):
    """Raised by a journal, with the id: it is another job's, and must not be ordered for this one."""


class JobTakenAway(Exception):
    """Raised by a journal: another process has the job by now, and nothing more is to be done for it here."""


class JobJournal(Protocol):
    """Told of the steps of one job that must outlive this process, in time. It may be a process away.

    What is awaited may raise :class:`JobTakenAway`.
    """

    async def job_created(self, remote_id: str) -> None:
        """A shell exists. Losing this costs a stray shell and no bill."""

    async def start_intent(self, remote_id: str) -> None:
        """The order to start is about to leave: it does when this has returned.

        Raises:
            IdTaken: It is another job's id.
        """

    async def gave_way(self, remote_id: str) -> None:
        """This job is done with: a new one takes its place. Losing this costs that it is asked once more."""

    async def doubted(self, remote_id: str, doubt: StartDoubt) -> None:
        """Something was learned of its start that forbids another order, whoever asks next."""

    async def start_accepted(self, remote_id: str) -> None:
        """The job is known to run."""

    def status_seen(self, status: JobStatus) -> None:
        """The platform shows this status, for the first time or after another. Nobody waits for it."""


class Cache(Protocol):
    """What a platform may keep beyond this process: what was prepared once need not be prepared again.

    Names and values are the platform's own text. Nothing secret goes in, and nothing that expires.
    """

    async def recall(self, name: str) -> str | None:
        """What was kept under this name; None when nothing was."""

    def keep(self, name: str, value: str) -> None:
        """Keep it. Losing it costs time and no bill."""


class StatusSource(Protocol):
    """Asks the platform where jobs stand."""

    batch_size: int
    """How many jobs one call of ``poll`` can ask about."""

    async def poll(self, remote_ids: Sequence[str]) -> Mapping[str, JobStatus | OpusError]:
        """Look once, without retries; an id that could not be read maps to what went wrong."""

    async def is_well(self) -> bool:
        """Whether the platform answers as it should when it is asked about no job in particular."""


class Platform(StatusSource, Protocol[BoundT, ReadyT]):
    """One platform, for one run of one workflow."""

    stages: Stages
    kind: str
    """What run times are learned for: the workflow."""
    orphaned_jobs: int
    """Shells made and never started: after lost answers, and to learn what an unstarted job looks like."""

    calls_back: bool
    """Whether the platform was asked to call when a job ends; such a call is a hint and no more."""

    @property
    def uploads_reused(self) -> int:
        """Files that needed no upload, because the same content was there."""

    async def open(self) -> None:
        """Read what every row needs. What this raises dooms them all."""

    async def reopen(self) -> None:
        """Read again what every row needs, whether or not it is known: tells whether others would fail, too.

        Raises:
            OpusError: They would: the platform cannot be used as it is.
        """

    @property
    def workflow(self) -> Workflow:
        """What the jobs are jobs of; known once it is open."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What tells this platform from another, for a ledger: ``platform``, ``host``, ``generation``.

        Known once it is open. ``generation`` is that of the API, by which ids of jobs are known.
        """

    def estimated_requests(self, files: int) -> int:
        """How many requests a job with so many files takes, looks at its status not counted."""

    def attach(self, remote_id: str, request: JobRequest, *, elsewhere: bool = False) -> None:
        """A job that an earlier process created for this request is to be started or settled here.

        Args:
            remote_id: The job.
            request: What it was made for.
            elsewhere: Whether it was made for another version or workflow: then no job of this one tells what
                it looks like that was never started.
        """

    def release(self, remote_id: str) -> None:
        """The lifecycle is done with this job, created or adopted: what is kept of it can go."""

    async def bind(self, request: JobRequest) -> BoundT:
        """Check a request against the workflow before any cost; raises InvalidInputs."""

    async def prepare(self, bound: BoundT) -> ReadyT:
        """Upload the files. Repeating it after a crash is harmless."""

    async def create(self, bound: BoundT) -> str:
        """Make an unbilled shell, or an id under which the job can be found again; returns the remote id."""

    async def start(self, remote_id: str, ready: ReadyT) -> None:
        """Start the job, and its bill. Sent once.

        Raises:
            UncertainStart: It may or may not have been obeyed, a refusal included.
            OpusError: Proved not obeyed: no byte of it left, or it was turned away unread (429).
        """

    async def check_started(self, remote_id: str) -> StartCheck:
        """Look once whether an uncertain start was obeyed.

        Raises:
            OpusError: The platform cannot be asked any more; a later look would not go better.
        """

    async def collect(self, remote_id: str, status: JobStatus) -> JobResult:
        """Fetch what a job with this terminal status has left.

        Of a job that did not complete only the audit, and an audit that cannot be had is no error.
        """

    def files_in(self, results: Any) -> Sequence[tuple[str, str]]:
        """Display name and URL of each file that a job has left, in their order.

        Args:
            results: As in ``JobResult``: they tell what is a file, where a value alone may be a link.
        """

    async def fetch(self, url: str, destination: Path) -> DownloadedFile:
        """Fetch a file that a job has left to this path; whole, or not at all."""
