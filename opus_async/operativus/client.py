"""``OperativusClient``: the calls of the library in one object. Builds its parts, and decides nothing."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from opus_async.arguments import COUNT, FLAG, FUNCTION, SECRET_TEXT, TEXT, Kind, checked, several
from opus_async.clients.client import CLIENT_SETTINGS, PlatformClient
from opus_async.clients.sender import Sender
from opus_async.config import Limits, RetryPolicy, Timeouts
from opus_async.errors import ConfigurationError
from opus_async.events import Listener
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import Answer, OnPaused, PausedJob, WhenPaused
from opus_async.jobs.stream import JobStream, RowKind
from opus_async.models import JobRequest
from opus_async.operativus.api import Api
from opus_async.operativus.auth import auth_for
from opus_async.operativus.client_secrets import ClientSecrets
from opus_async.operativus.listing.source import RunSource
from opus_async.operativus.listing.tracked import PauseSeen
from opus_async.operativus.models import Run
from opus_async.operativus.outputs import OutputReader
from opus_async.operativus.platform import INPUT_NAME, OPERATION_LIMITS, BoundText, OperativusPlatform
from opus_async.operativus.protocol import readers, requests
from opus_async.operativus.protocol.hints import hint
from opus_async.operativus.route_check import waits_for_route
from opus_async.operativus.runs import Runs
from opus_async.operativus.settings import (
    Credentials,
    Login,
    resolve_base_url,
    resolve_credentials,
    with_rate,
)
from opus_async.operativus.steps import Steps
from opus_async.operativus.workflows import Workflows
from opus_async.outcome import JobOutcome
from opus_async.platform import Cache
from opus_async.transport.auth import Auth, StaticAuth

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("opus_async.operativus")

OnPause: TypeAlias = Callable[[Run], Awaitable[str | None] | str | None]
"""Called with a run that waits for a person; gives the text that its next step gets, or None to leave it."""


def _request_of_text(row: object) -> JobRequest | None:
    if isinstance(row, str):
        return JobRequest({INPUT_NAME: row})
    return row if isinstance(row, JobRequest) else None


_WORKFLOW_ID = Kind("the id of a workflow", TEXT.fits, TEXT.meant)
_ROWS = several(
    "an iterable of texts or JobRequests; a file of rows is for run_batch",
    str,
    files=(Mapping, bytes, os.PathLike),
)
TEXTS = RowKind("a text, or a JobRequest({'input': text})", _request_of_text)


class OperativusClient(PlatformClient):
    """A client of the Operativus API: ``async with OperativusClient() as client: await client.run(...)``.

    Safe to share between tasks of one event loop, not with a forked process. Make one, keep it, close it.

    Args:
        base_url: The server. Default: ``OPERATIVUS_BASE_URL``, else ``http://localhost:8080``.
        token: Default: ``OPERATIVUS_TOKEN``. It cannot be renewed.
        username: With ``password``, instead of a token: logs in once for all tasks, and again when the token
            has expired. Default: ``OPERATIVUS_USERNAME`` and ``OPERATIVUS_PASSWORD``.
        password: Of that user; a wrong one is tried once.
        limits: How much happens at once. Without ``api_rate``, 42 requests a second: servers refuse more
            than 50.
        timeouts: How long one thing may take.
        retry: What happens when a request fails.
        session: A session of the caller's, with its own connector; it is not closed here.
        listeners: Callables, sync or async, that are told events.

    Attributes:
        limits: As given, or lower: as far as this process may open files.
        asked_limits: As given, with the rate that was added.
        retry: As given.
        workflows: Workflows.
        steps: Their steps.
        runs: The calls of a run one by one.

    Raises:
        ConfigurationError: No credentials, or two kinds of them, a base URL that is none, or too few files
            that this process may have open.
    """

    @checked(
        ConfigurationError,
        base_url=SECRET_TEXT,
        token=SECRET_TEXT,
        username=SECRET_TEXT,
        password=SECRET_TEXT,
        **CLIENT_SETTINGS,
    )
    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        session: aiohttp.ClientSession | None = None,
        listeners: Iterable[Listener] = (),
    ) -> None:
        credentials = resolve_credentials(token, username, password)
        url = resolve_base_url(base_url)
        super().__init__(
            url,
            limits=with_rate(limits),
            timeouts=timeouts,
            retry=retry,
            session=session,
            listeners=listeners,
            hint=hint,
            operation_limits=OPERATION_LIMITS,
        )
        self._base_url = url
        self._secrets = ClientSecrets()
        self._api = Api(self._new_sender(self._new_auth(credentials)))
        self._source = RunSource(self._api, self.retry)
        self._outputs = OutputReader(self._api)
        self.workflows = Workflows(self._api)
        self.steps = Steps(self._api)
        self.runs = Runs(self._api, self._source, self._watcher, self._notify, self._outputs)

    def _new_auth(self, credentials: Credentials) -> Auth:
        """Make what authenticates requests; a login itself is sent without."""
        without = self._new_sender(StaticAuth({"Accept": "application/json"}))

        async def log_in(login: Login) -> str:
            call = requests.login(login.username, login.password)
            return await without.send(call, readers.read_token)

        return auth_for(credentials, log_in, self._secrets)

    def _new_sender(self, auth: Auth) -> Sender:
        return Sender(
            self._network.http,
            self._network.retrier,
            base_url=self._base_url,
            auth=auth,
            key_problem=None,
            secrets=self._secrets,
            notify=self._notify,
        )

    def __repr__(self) -> str:
        return f"<OperativusClient {self._base_url}, {self._state()}>"

    @checked(workflow_id=_WORKFLOW_ID, on_pause=FUNCTION)
    async def run(
        self,
        workflow_id: str,
        input: str | None,  # noqa: A002 - the API's own name
        *,
        key: str | None = None,
        timeout: float | None = None,
        on_pause: OnPause | None = None,
    ) -> JobOutcome:
        """Run a workflow once: order, watch, outputs.

        While ``Limits.max_in_flight`` jobs of this client run, it waits for a slot; nothing is sent before.

        Args:
            workflow_id: The workflow.
            input: The text of its first step; None for none.
            key: The caller's own name for the job, handed back in the outcome.
            timeout: Seconds from getting a slot until we stop waiting; default ``Timeouts.job``. The run
                itself goes on.
            on_pause: Answers a run that waits for a person: called with the :class:`Run`, sync or async, it
                gives the approved text, with which the run is resumed and waited for, or None. A pause for a
                route is never handed to it.

        Returns:
            The outcome; ``job_id`` is the session, under which the run is found. Of a run that waits for a
            person, and is not answered here, the status is WAITING and the error a :class:`JobPaused`.

        Raises:
            InvalidInputs: The input is no text; nothing was sent.
            DeadlineExceeded: Not over in time; the error has the session, and the run where it is known.
            AmbiguousExecution: It cannot be known whether it was ordered.
            OpusError: Anything else that leaves no terminal status; carries ``job_id`` and ``stage``.
        """
        request = JobRequest({INPUT_NAME: input}, key=key, timeout=timeout)
        return await self._run(
            self._new_platform(workflow_id), request, on_paused=self._on_paused(workflow_id, on_pause)
        )

    @checked(ConfigurationError, rows=_ROWS, max_in_flight=COUNT, on_pause=FUNCTION, progress=FLAG)
    @checked(workflow_id=_WORKFLOW_ID)
    def run_many(
        self,
        workflow_id: str,
        rows: Iterable[str | JobRequest] | AsyncIterable[str | JobRequest],
        *,
        max_in_flight: int | None = None,
        on_pause: OnPause | None = None,
        progress: bool = False,
    ) -> JobStream:
        """Run a workflow for every row; iterate over the outcomes as they come.

        At most ``Limits.max_in_flight`` jobs of this client run at once, those of ``run`` and of other
        streams included. A run that waits for a person, and is not answered here, ends its row.

        Args:
            workflow_id: The workflow.
            rows: Texts, or ``JobRequest({"input": text}, key=..., timeout=...)``, taken one at a time when a
                slot is free.
            max_in_flight: Rows between being taken and their outcome being read; default, and at most,
                ``Limits.max_in_flight``.
            on_pause: See :meth:`run`.
            progress: Whether to show how it goes; see ``OpusClient.run_many``.

        Returns:
            An async iterator and async context manager; ``outcome.index`` is the row's position. One row
            never raises: its outcome carries the error. An error that every row would meet (a wrong token, no
            such workflow) is raised by the iteration.

        Raises:
            ConfigurationError: ``max_in_flight`` is below 1, or the client is closed.
        """
        return self._stream(
            self._new_platform(workflow_id),
            rows,
            max_in_flight=max_in_flight,
            progress=progress,
            row_kind=TEXTS,
            on_paused=self._on_paused(workflow_id, on_pause),
        )

    def lifecycle(
        self,
        workflow_id: str,
        *,
        memory: Cache | None = None,
        version_number: int | None = None,
        version_id: str | None = None,
    ) -> Lifecycle[Any, BoundText]:
        """Make the lifecycle of one workflow's jobs, for programs that drive rows themselves.

        ``run`` and ``run_many`` run every job this way, within ``Limits.max_in_flight``, which bounds nothing
        here: whoever drives rows decides how many. Await ``lifecycle.platform.open()`` once before
        ``lifecycle.run(request)``: what it raises would meet every row.

        Args:
            workflow_id: The workflow.
            memory: Where it is kept which pauses were answered, so that no later process answers them again.
            version_number: None: workflows have no versions.
            version_id: None: workflows have no versions.

        Raises:
            ConfigurationError: The client is closed, or a version is named.
        """
        if version_number is not None or version_id is not None:
            raise ConfigurationError("Workflows of Operativus have no versions: name none")
        return self._new_lifecycle(self._new_platform(workflow_id, memory))

    def load_lifecycle(
        self,
        workflow_id: str,
        *,
        version_number: int | None = None,
        version_id: str | None = None,
        reuse_uploads: bool = False,  # noqa: ARG002 - as asked of every client; nothing is uploaded
    ) -> Lifecycle[Any, BoundText]:
        """Make the lifecycle of a load test's jobs, as :meth:`lifecycle` does; there are no uploads."""
        return self.lifecycle(workflow_id, version_number=version_number, version_id=version_id)

    def _new_platform(self, workflow_id: str, memory: Cache | None = None) -> OperativusPlatform:
        self._check_open()
        return OperativusPlatform(self._api, self._source, self._outputs, workflow_id, memory)

    def _on_paused(self, workflow_id: str, on_pause: OnPause | None) -> OnPaused:
        """What follows when a job pauses: it is handed back, or answered by the caller's function."""
        return WhenPaused.RETURN if on_pause is None else self.answering(workflow_id, on_pause)

    def answering(self, workflow_id: str, on_pause: OnPause) -> Answer:
        """Make what answers paused jobs of a workflow where somebody else drives them: a batch, say.

        Args:
            workflow_id: The workflow.
            on_pause: As in :meth:`run`: called with the run, and never for a pause that waits for a route.
        """
        listing = self._source.of(requests.named(workflow_id, "workflow id")).listing

        async def answer(job: PausedJob) -> str | None:
            tracked = listing.tracked(job.remote_id)
            run = None if tracked is None else tracked.run
            if tracked is None or run is None or tracked.answered_before == PauseSeen.of(run):
                return None
            if await waits_for_route(self._api, run):
                return None
            text = on_pause(run)
            return await text if inspect.isawaitable(text) else text

        return answer
