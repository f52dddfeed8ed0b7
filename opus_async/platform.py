"""The interface that a platform implements: what jobs, streams and batches ask of it.

``jobs/`` and ``batch/`` speak of a job in these words only (the command line knows Opus besides); an
implementation may speak of presigned URLs, sessions or cases. A platform object belongs to one run of one
workflow: what it caches (schema, uploads) lives as long as that run. What answers for many runs at once, the
polling of statuses, is a :class:`StatusSource` that all platform objects of a client share.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from opus_async.errors import OpusError
from opus_async.models import AuditLog, DownloadedFile, JobRequest, JobStatus, Notice, Workflow
from opus_async.transport.rates import OperationLimit
from opus_async.value import Value

BoundT = TypeVar("BoundT")
"""Opaque to callers: a request checked against the workflow, nothing sent yet."""
ReadyT = TypeVar("ReadyT")
"""Opaque to callers: what ``start`` sends, files uploaded."""


NOT_LISTED: Final = JobStatus("PENDING", raw="not listed yet")
"""What ``poll`` returns for a job that the platform does not show yet, as long as that is normal."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Stages(Value):
    """A platform's names for the stages of a job, in order, as events and the ledger use them.

    Attributes:
        parts: Operation -> the name under which measurements tell the time of these requests apart from that
            of the stage that they belong to.
    """

    bind: str
    prepare: str
    create: str
    start: str
    watch: str
    collect: str
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The stages, in order."""
        return (self.bind, self.prepare, self.create, self.start, self.watch, self.collect)


class StartCheck(enum.Enum):
    """A platform's judgement of an uncertain start, from one check and on evidence of its own kind.

    :class:`StartAnswer` is what came back first; checks follow; what they teach for later is a
    :class:`StartDoubt`.
    """

    RUNNING = "running"
    """It was started, beyond doubt."""
    DIFFERENT = "different"
    """It shows something that a job never started does not, seen only once so far. From then on nothing
    proves any more that it was never started."""
    NOT_STARTED = "unstarted"
    """The evidence says that it was not started: it looks exactly like a job never started, say, or a later
    start is visible and this one is not. One check proves nothing: it may be queued."""
    NO_EVIDENCE_YET = "no evidence yet"
    """Nothing can be told now, and something will be: a platform that shows jobs in the order of their starts
    shows none of those that came later, say. The clock of the grace stands still meanwhile. Answered only
    while such evidence is on its way: nothing but the job's own time-out bounds it."""
    INCONCLUSIVE = "unclear"
    """The check itself failed, or tells nothing."""


class StartAnswer(enum.Enum):
    """A response to a start request that is neither a success nor a proof that it was without effect."""

    LOST = "lost"
    """No complete answer, or a failure of a server: it may have taken effect."""
    REFUSED = "refused"
    """Somebody said no. That proves nothing by itself: a proxy may have repeated an order that took effect.
    Never answered with another order."""


class StartDoubt(enum.Enum):
    """What was learned of a job's start that forbids another one, in every later process too."""

    REFUSED = "refused"
    """Its last start request was refused: no other follows."""
    DIFFERED = "differed"
    """It was seen to differ from a job never started: nothing proves any more that it never was."""


class AmbiguousStart(Exception):
    """Raised by ``start`` when the start request may or may not have taken effect.

    Attributes:
        cause: What was seen instead of a clear answer.
        answer: Its kind, which decides what may follow: see :mod:`opus_async.jobs.start`.
    """

    def __init__(self, cause: OpusError, answer: StartAnswer = StartAnswer.LOST) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.answer = answer


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class JobResult(Value):
    """Outputs, results and audit of a job that ended.

    Attributes:
        outputs: Display name -> value.
        results: As the platform sent them.
        audit: Its audit; None when it could not be had or was not asked for.
        notices: What the reader of its outcome should know besides.
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    results: Any = None
    audit: AuditLog | None = None
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class RetryRequest(Value):
    """A retry of an earlier job, which is asked first: see :mod:`opus_async.jobs.previous_job`.

    Attributes:
        known_unbilled: Whether it is known to have ended badly or never to have started, or a person said
            so: then a platform that knows no such job any more contradicts nothing.
        other_inputs: Whether its row asks for something else by now: then its results are not the row's.
        accept_second_bill: Whether a new job may be made although this one may have been billed.
    """

    known_unbilled: bool = False
    other_inputs: bool = False
    accept_second_bill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class RecoveredJob(Value):
    """State of a job, recovered from an earlier process.

    Attributes:
        remote_id: Its id; None when none exists.
        alias: The second id that the platform gave it later, where it has one.
        starts_sent: How many start requests it may have been sent.
        start_accepted: Whether one of them is known to have taken effect.
        made_for_other_version: Whether it was made for another workflow, or version of it, than jobs are made
            for now: then it is never started, and a new one is made if it proves never started.
        retry: Given for a job that is to be tried again.
        doubt: What was learned of its start.
        overtaken: Whether a start that a later process sent is known to have taken effect: evidence, where a
            platform takes starts in their order.
    """

    remote_id: str | None = None
    alias: str | None = None
    starts_sent: int = 0
    start_accepted: bool = False
    made_for_other_version: bool = False
    retry: RetryRequest | None = None
    doubt: StartDoubt | None = None
    overtaken: bool = False


NEW_JOB = RecoveredJob()


AboutToSend: TypeAlias = Callable[[], Awaitable[None] | None]
"""Told that a start request is about to leave. It may at once where this returns None, else once what it
returns was awaited; other requests are sent meanwhile."""


def nothing() -> None:
    """Do nothing: nobody has to be told."""


class IdTaken(Exception):
    """Raised by a journal, with a job id that is another row's: it must not be started for this one."""


class JobHandedBack(Exception):
    """The job is started, and its end was not to be waited for."""


class JobTakenAway(Exception):
    """Raised by a journal: another process has taken over the job, so that this one must leave it alone."""


class JobJournal(Protocol):
    """Records the steps of one job that must outlive this process, in time. It may be a process away.

    What is awaited may raise :class:`JobTakenAway`.
    """

    async def job_created(self, remote_id: str) -> None:
        """Record the id of a job that is not started. If this is lost, the job is orphaned, unbilled."""

    def job_identified(self, remote_id: str, alias: str) -> None:
        """Record the second id that the platform gave the job. If this is lost, it is learned once more."""

    async def start_intent(self, remote_id: str) -> None:
        """Record durably that the start request is about to be sent; it is sent once this has returned.

        Raises:
            IdTaken: The id belongs to another row.
        """

    async def start_accepted(self, remote_id: str) -> None:
        """Record that the job is known to have been started."""

    async def second_start_forbidden(self, remote_id: str, doubt: StartDoubt) -> None:
        """Record what was learned of its start that forbids another start request, now and later."""

    def status_seen(self, status: JobStatus) -> None:
        """Record a status that is new or has changed. Nobody waits for it."""

    async def job_superseded(self, remote_id: str) -> None:
        """Record that a new job takes the place of this one. If this is lost, this one is asked once more."""


class Cache(Protocol):
    """Values that a platform keeps beyond this process: a file that was uploaded, say, is not sent again.

    Names and values are the platform's own text. Nothing secret goes in, and nothing that expires.
    """

    async def get(self, name: str) -> str | None:
        """The value under this name; None when there is none."""

    def put(self, name: str, value: str) -> None:
        """Keep a value. Losing it costs time and no bill."""


class StatusSource(Protocol):
    """Polls the statuses of jobs; one for all platforms of a client, so that their jobs share polls."""

    batch_size: int
    """How many jobs of one workflow a single ``poll`` can ask about."""

    async def poll(self, workflow_id: str, remote_ids: Sequence[str]) -> Mapping[str, JobStatus | OpusError]:
        """Fetch the statuses of jobs of one workflow, once and without retries.

        Args:
            workflow_id: The workflow; empty for jobs of which it is not known.
            remote_ids: The jobs.

        Returns:
            For each id its status, or the error of an id that could not be read. A job that is not shown yet
            is :data:`NOT_LISTED` as long as that is normal, which only the platform can tell, and
            ``NotFound`` from then on. An id that is left out is taken for a malformed answer.
        """

    async def is_well(self) -> bool:
        """Whether the platform answers requests that name no job."""


class Platform(Protocol[BoundT, ReadyT]):
    """One platform, for one run of one workflow."""

    stages: Stages
    workflow_id: str
    """Which workflow: jobs are polled by it, and their run times are learned for it."""
    status_source: StatusSource
    """Who is polled for the statuses of its jobs."""
    start_visible_after: float
    """Seconds after which a start that took effect is visible at the latest, as far as the platform can tell:
    an uncertain start is checked for at least as long, whatever the policy says."""
    operation_limits: Sequence[OperationLimit]
    """The rates that the platform demands of some kinds of requests; the limiter of its client enforces
    them."""
    orphaned_jobs: int
    """Jobs made and never started: after lost answers, and to learn what an unstarted job looks like."""

    calls_back: bool
    """Whether the platform was asked to call when a job ends; such a call is a hint and no more."""

    @property
    def uploads_reused(self) -> int:
        """Files that needed no upload, because the same content was uploaded before."""

    @property
    def job_page(self) -> str | None:
        """URL of the page on which people see a job, with ``{job_id}`` in place of its id.

        None where there is no such page, or it is not known where it is.
        """

    async def open(self) -> None:
        """Load what every row needs; what this raises would fail every row."""

    async def reopen(self) -> None:
        """Load again what every row needs, cached or not, to find out whether every row would fail.

        Raises:
            OpusError: It would: the platform cannot be used as it is.
        """

    @property
    def has_file(self) -> Callable[[str], bool]:
        """Tells whether an http(s) URL is a file that the platform has already, and takes as it is.

        Can be pickled.
        """

    @property
    def workflow(self) -> Workflow:
        """The workflow of the jobs; known once :meth:`open` has returned."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Identifies the platform in a ledger, by ``platform``, ``host`` and ``generation``.

        Known once :meth:`open` has returned. ``generation`` is that of the API that made the job ids.
        """

    def estimated_requests(self, files: int) -> int:
        """How many requests a job with so many files takes, polls not counted."""

    def attach(
        self,
        remote_id: str,
        request: JobRequest,
        *,
        starts_sent: int = 0,
        accepted: bool = False,
        overtaken: bool = False,
        other_version: bool = False,
        alias: str | None = None,
    ) -> None:
        """Take over a job that an earlier process created for this request.

        Args:
            remote_id: The job.
            request: What it was made for.
            starts_sent: How many start requests it may have been sent.
            accepted: Whether one of them is known to have taken effect.
            overtaken: Whether one that was sent later is; see :class:`RecoveredJob`.
            other_version: Whether it was made for another workflow, or version of it: then no job of this one
                tells what it looks like that was never started.
            alias: Its second id, where one was learned.
        """

    def alias_of(self, remote_id: str) -> str | None:
        """The second id of a job; None where there is none, or none is known yet."""

    def release(self, remote_id: str) -> None:
        """Forget a job, created or attached: the lifecycle is done with it."""

    async def bind(self, request: JobRequest) -> BoundT:
        """Check a request against the workflow before any cost; raises InvalidInputs."""

    async def prepare(self, bound: BoundT) -> ReadyT:
        """Upload the files. Repeating it after a crash is harmless."""

    async def create(self, bound: BoundT) -> str:
        """Create a job that is not started, or an id under which it can be found again; returns the id."""

    async def start(self, remote_id: str, ready: ReadyT, about_to_send: AboutToSend = nothing) -> None:
        """Start the job, and its bill. Sent once.

        Args:
            remote_id: The job.
            ready: What is sent.
            about_to_send: Called when the request has its turn, directly before the first byte of it can
                leave, and awaited: whoever dies while it waits for its turn is known to have started nothing.
                What it raises is raised, and nothing is sent.

        Raises:
            AmbiguousStart: It may or may not have taken effect, whatever was answered.
            OpusError: Proved to have had no effect: no byte of it left, or it was turned away unread (429).
        """

    async def check_started(self, remote_id: str) -> StartCheck:
        """Check once whether an uncertain start took effect.

        Raises:
            OpusError: The platform cannot be asked any more, or no evidence will come: a later check would
                not go better.
        """

    def last_seen(self, remote_id: str) -> Any:
        """A job as polls have shown it last, as the platform sent it; None where nothing is kept of it."""

    def can_resume(self, status: JobStatus) -> bool:
        """Whether a job that is paused with this status can be answered by :meth:`resume`."""

    async def resume(self, remote_id: str, answer: str) -> None:
        """Answer a paused job, so that it goes on. Sent once: a second answer could meet the next pause.

        Returns when the answer is known to have been taken. From then on ``poll`` shows the job as running,
        not as WAITING, until it has left this very pause.

        Raises:
            ConfigurationError: The platform has no call for that.
            OpusError: It is not known to have been taken; the job may still be paused.
        """

    async def collect(self, remote_id: str, status: JobStatus) -> JobResult:
        """Fetch the results of a job with this terminal status.

        Of a job that did not complete only the audit; an audit that cannot be had is no error.
        """

    def files_in(self, results: Any) -> Sequence[tuple[str, str]]:
        """Display name and URL of each file in the results of a job, in their order.

        Args:
            results: As in ``JobResult``: they tell what is a file, where a value alone may be a link.
        """

    async def fetch(self, url: str, destination: Path) -> DownloadedFile:
        """Download a file of the results to this path, complete or not at all."""
