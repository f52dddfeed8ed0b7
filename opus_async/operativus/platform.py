"""Operativus as a platform: implements :class:`opus_async.platform.Platform` for one run of one workflow.

A job is a session of ours with one run in it: its id is the session's, made before the order; the id of the
run, which shows much later, is its alias.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

from opus_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    InvalidInputs,
    OpusError,
    TransportError,
)
from opus_async.input_problems import InputProblem, ProblemCode
from opus_async.models import InputField, JobRequest, JobStatus, Workflow
from opus_async.operativus.api import Api
from opus_async.operativus.auth import LOGIN_LIMIT
from opus_async.operativus.listing.source import RunSource
from opus_async.operativus.models import Step
from opus_async.operativus.outputs import OutputReader
from opus_async.operativus.protocol.requests import named
from opus_async.operativus.protocol.requests import run as run_request
from opus_async.operativus.protocol.statuses import Pause, pause_of
from opus_async.operativus.resuming import AnswersSent, Resumer
from opus_async.operativus.stages import STAGES
from opus_async.platform import (
    AboutToSend,
    AmbiguousStart,
    Cache,
    JobResult,
    StartAnswer,
    StartCheck,
    StatusSource,
    nothing,
)
from opus_async.remote_urls import is_web_url
from opus_async.transport.rates import OperationLimit

log = logging.getLogger("opus_async.operativus")

OPERATION_LIMITS: Sequence[OperationLimit] = (LOGIN_LIMIT,)
GENERATION = "v1"
REQUESTS = 2
"""Of a job: the order, and what its steps gave."""
INPUT_NAME = "input"
_FIELD = InputField(variable_name=INPUT_NAME, display_name=INPUT_NAME, type="str")
_OUTPUTS = {"output": "output", "steps": "steps"}


@dataclass(frozen=True, slots=True)
class BoundText:
    """The text that a run is ordered with; None for none."""

    text: str | None


class OperativusPlatform:
    """Runs jobs of one Operativus workflow; see :class:`opus_async.platform.Platform`.

    Args:
        api: The calls.
        runs: The runs of all workflows of the client, looked after together.
        outputs: Reads what runs gave.
        workflow_id: The workflow.
        memory: Where it is kept which pauses were answered; None for nowhere.
    """

    stages = STAGES
    start_visible_after = 0.0
    has_file = staticmethod(is_web_url)  # it takes no files, and sends every text as it is
    """No time tells: a run shows when the server's queue has come to it. Starts are judged by their order."""
    operation_limits = OPERATION_LIMITS
    calls_back = False
    uploads_reused = 0
    job_page = None

    def __init__(
        self, api: Api, runs: RunSource, outputs: OutputReader, workflow_id: str, memory: Cache | None = None
    ) -> None:
        self.workflow_id = named(workflow_id, "workflow id")
        self.status_source: StatusSource = runs
        self.orphaned_jobs = 0
        self._api = api
        self._runs = runs
        self._outputs = outputs
        self._workflow: Workflow | None = None
        self._steps: tuple[Step, ...] | None = None
        self._reading_steps = asyncio.Lock()
        self._of_other_workflow: set[str] = set()
        self._answers = AnswersSent(memory)

    @property
    def workflow(self) -> Workflow:
        """The workflow, as ``open`` read it."""
        assert self._workflow is not None  # noqa: S101 - open is awaited before
        return self._workflow

    @property
    def identity(self) -> Mapping[str, str]:
        """Where the runs are: ``host`` is the base URL."""
        return {"platform": "operativus", "host": self._api.base_url, "generation": GENERATION}

    async def open(self) -> None:
        """Read the workflow and its steps: what would meet every row is raised here.

        Raises:
            NotFound: There is no such workflow, for this user.
            ConfigurationError: It has no steps, so that no order would be accepted.
        """
        found = await self._api.workflow(self.workflow_id)
        self._steps = await self._api.steps(self.workflow_id)
        if not self._steps:
            raise ConfigurationError(
                f"Workflow {self.workflow_id} has no steps, and the server runs none without: add one first"
            )
        self._workflow = Workflow(
            workflow_id=self.workflow_id,
            name=found.name,
            description=found.description or "",
            inputs={INPUT_NAME: _FIELD},
            outputs=_OUTPUTS,
            raw=found.raw,
        )

    async def reopen(self) -> None:
        """Read the workflow again: whether it is still there for this user."""
        await self._api.workflow(self.workflow_id)

    def estimated_requests(self, files: int) -> int:  # noqa: ARG002 - the contract's signature
        """How many requests a job takes."""
        return REQUESTS

    async def bind(self, request: JobRequest) -> BoundText:
        """Check that a request is a text, under the name ``input``."""
        problems = [*_problems_of(request.inputs), *_unsupported(request)]
        if problems:
            raise InvalidInputs(problems)
        text = next(iter(request.inputs.values()))
        run_request(self.workflow_id, text)  # what cannot be sent is refused now
        return BoundText(text)

    async def prepare(self, bound: BoundText) -> BoundText:
        """Log in, so that no order has to wait for that."""
        await self._api.authenticate()
        return bound

    async def create(self, bound: BoundText) -> str:  # noqa: ARG002 - nothing of it is needed yet
        """Make the id of a session: its run can be found by it, whatever becomes of the answer."""
        session_id = str(uuid.uuid4())
        await self._look_after(session_id)
        return session_id

    async def _look_after(self, session_id: str) -> None:
        """Look after a session that is ordered from now on at the earliest."""
        listing = self._runs.of(self.workflow_id).listing
        if listing.tracked(session_id) is None:
            await listing.open()
            listing.track(session_id)

    def attach(
        self,
        remote_id: str,
        request: JobRequest,  # noqa: ARG002 - a session tells all that is needed
        *,
        starts_sent: int = 0,
        accepted: bool = False,
        overtaken: bool = False,
        other_version: bool = False,
        alias: str | None = None,
    ) -> None:
        """Look after a session of an earlier process; one that never was ordered is a new one."""
        if not starts_sent and not accepted:
            return
        runs = self._runs.of(self.workflow_id)
        runs.listing.attach(remote_id, alias, elsewhere=other_version)
        if other_version:
            self._of_other_workflow.add(remote_id)
        else:
            runs.starts.recovered(remote_id, _now(), accepted=accepted, overtaken=overtaken)

    def release(self, remote_id: str) -> None:
        """Forget a session that is done with here."""
        runs = self._runs.of(self.workflow_id)
        runs.listing.forget(remote_id)
        runs.starts.forget(remote_id)
        self._of_other_workflow.discard(remote_id)
        self._answers.forget(remote_id)

    def alias_of(self, remote_id: str) -> str | None:
        """The id of the session's run; None while it has not shown."""
        tracked = self._runs.of(self.workflow_id).listing.tracked(remote_id)
        if tracked is None:
            return None
        run = tracked.run
        return tracked.alias if run is None else run.id

    async def start(self, remote_id: str, ready: BoundText, about_to_send: AboutToSend = nothing) -> None:
        """Order the run, and its bill."""
        starts = self._runs.of(self.workflow_id).starts
        await self._look_after(remote_id)
        sent_at = _now()

        def on_attempt() -> None:
            nonlocal sent_at
            sent_at = _now()
            starts.sent(remote_id, sent_at)

        try:
            await self._api.run(
                self.workflow_id,
                ready.text,
                session_id=remote_id,
                about_to_send=about_to_send,
                on_attempt=on_attempt,
            )
        except AmbiguousStart as uncertain:
            refused = uncertain.answer is StartAnswer.REFUSED or _is_a_no(uncertain.cause)
            seen_at = _now()
            starts.uncertain(remote_id, seen_at, took=seen_at - sent_at, refused=refused)
            raise
        starts.accepted(remote_id)

    async def check_started(self, remote_id: str) -> StartCheck:
        """Look for a run of the session, and judge by other starts where there is none.

        Raises:
            AuthenticationError: The token is refused, whatever is asked.
            TransportError: The server cannot be asked any more; a later check would not go better.
            OpusError: The session was made for another workflow.
        """
        if remote_id in self._of_other_workflow:
            raise OpusError(
                "It was made for another workflow, whose runs are not looked at here. Go on with that one, "
                "or decide about it"
            )
        runs = self._runs.of(self.workflow_id)
        answer = (await runs.listing.look([remote_id], thorough=True)).get(remote_id)
        if isinstance(answer, AuthenticationError) or (
            isinstance(answer, TransportError) and not answer.retryable
        ):
            raise answer
        tracked = runs.listing.tracked(remote_id)
        if isinstance(answer, OpusError) or tracked is None or tracked.looked_at is None:
            return StartCheck.INCONCLUSIVE
        return StartCheck.RUNNING if tracked.rows else runs.starts.check(remote_id, tracked.looked_at)

    def last_seen(self, remote_id: str) -> Mapping[str, Any] | None:
        """The session's run as the list has shown it last; None while it has not."""
        tracked = self._runs.of(self.workflow_id).listing.tracked(remote_id)
        run = None if tracked is None else tracked.run
        return None if run is None else run.raw

    def can_resume(self, status: JobStatus) -> bool:
        """Whether a pause is answered by a text: one for a route never is."""
        return pause_of(status) in {Pause.PERSON, Pause.REVIEW}

    async def resume(self, remote_id: str, answer: str) -> None:
        """Answer the pause of the session's run; see :mod:`opus_async.operativus.resuming`."""
        resumer = Resumer(self._api, self._runs.of(self.workflow_id))
        await resumer.resume(remote_id, answer, partial(self._answers.note, remote_id))

    async def collect(self, remote_id: str, status: JobStatus) -> JobResult:
        """Fetch what the steps of a run gave and did."""
        tracked = self._runs.of(self.workflow_id).listing.tracked(remote_id)
        runs = [] if tracked is None else tracked.runs
        if not runs:
            return JobResult()
        if len(runs) > 1:
            log.warning(
                "session %s has %d runs, because the server started it again: the newest, %s, tells its end",
                remote_id,
                len(runs),
                runs[0].id,
            )
        session_id = runs[0].session_id or remote_id
        read = self._outputs.result if status == JobStatus.COMPLETED else self._outputs.result_of_failure
        return await read(runs, session_id=session_id, steps=await self._known_steps())

    async def _known_steps(self) -> tuple[Step, ...]:
        """The steps, by which an audit names what ran; none where they cannot be read."""
        async with self._reading_steps:
            if self._steps is None:
                try:
                    self._steps = await self._api.steps(self.workflow_id)
                except OpusError as error:
                    log.info("workflow %s: its steps could not be read: %s", self.workflow_id, error)
                    return ()
            return self._steps

    def files_in(self, results: Any) -> Sequence[tuple[str, str]]:  # noqa: ARG002 - the contract's signature
        """None: runs give texts."""
        return ()

    async def fetch(self, url: str, destination: Path) -> NoReturn:  # noqa: ARG002 - the contract's signature
        """Raise a ConfigurationError: runs give texts, and no files."""
        raise ConfigurationError("Operativus gives texts, and has no files to download")


def _problems_of(inputs: Mapping[str, Any]) -> list[InputProblem]:
    names = list(inputs)
    if names == [INPUT_NAME]:
        value = inputs[INPUT_NAME]
        if value is None or isinstance(value, str):
            return []
        return [
            InputProblem(
                f"is a {type(value).__name__}, not text",
                code=ProblemCode.WRONG_VALUE,
                subject=repr(INPUT_NAME),
                input=INPUT_NAME,
                display_name=INPUT_NAME,
            )
        ]
    problems = [
        InputProblem(
            "is no input: a workflow of Operativus takes one text, under the name 'input'",
            code=ProblemCode.UNKNOWN_INPUT,
            subject=repr(name),
        )
        for name in names
        if name != INPUT_NAME
    ]
    if INPUT_NAME not in names:
        problems.append(
            InputProblem(
                "is missing: give the text of the first step under this name",
                code=ProblemCode.MISSING,
                subject=repr(INPUT_NAME),
                input=INPUT_NAME,
                display_name=INPUT_NAME,
            )
        )
    return problems


def _unsupported(request: JobRequest) -> list[InputProblem]:
    if request.version_id is None and request.version_number is None:
        return []
    return [
        InputProblem(
            "Workflows of Operativus have no versions: leave version_id and version_number out",
            code=ProblemCode.NOT_SUPPORTED,
        )
    ]


def _is_a_no(error: OpusError) -> bool:
    """Whether a start was turned down by the server itself, which then has not accepted it."""
    return isinstance(error, APIError) and (
        HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        and error.status not in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
