"""``operativus.runs``: every call about a run by itself, for programs that do not use ``run``."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import AmbiguousExecution, DeadlineExceeded, OpusError
from opus_async.events import JobStatusSeen
from opus_async.gaps import gapped, literal
from opus_async.jobs import polling
from opus_async.jobs.watch import Watcher
from opus_async.models import JobStatus
from opus_async.operativus.api import Api
from opus_async.operativus.listing.source import RunSource
from opus_async.operativus.listing.tracked import PauseSeen, Tracked
from opus_async.operativus.models import ResumedRun, Run, StartedRun
from opus_async.operativus.outputs import OutputReader
from opus_async.operativus.pages import Pages
from opus_async.operativus.protocol import requests
from opus_async.operativus.protocol.hints import hint
from opus_async.operativus.resuming import turned_down, unclear
from opus_async.operativus.stages import RUN, WATCH
from opus_async.platform import NOT_LISTED, AmbiguousStart, StartAnswer
from opus_async.transport.dispatch import Dispatcher

PAUSED_POLL_SHARE, PAUSED_POLL_CAP = 0.1, 30.0
"""When a run is looked at again that still is in the pause which was answered: after this share of the time
that it was waited for, and at the most after so many seconds."""


class Runs:
    """The calls about runs, each with the client's retries and limits.

    Their errors are :class:`OpusError`: ``NotFound`` for an id that the server does not know or does not show
    to this user, other classes of ``APIError`` for other refusals, ``TransportError`` where no answer came.

    Args:
        api: The calls.
        source: The runs that are looked after.
        watcher: Where runs are waited for.
        notify: Where the statuses seen go.
        outputs: Reads what runs gave.
    """

    def __init__(
        self, api: Api, source: RunSource, watcher: Watcher, notify: Dispatcher, outputs: OutputReader
    ) -> None:
        self._api = api
        self._source = source
        self._watcher = watcher
        self._notify = notify
        self._outputs = outputs

    async def start(
        self,
        workflow_id: str,
        input: str | None = None,  # noqa: A002 - the API's own name
        *,
        session_id: str | None = None,
    ) -> StartedRun:
        """Order a run, and its bill (``POST /workflows/{id}/run``). Never sent twice.

        Args:
            workflow_id: The workflow.
            input: The text of its first step.
            session_id: A UUID under which the run is found again; default: a new one.

        Returns:
            The order; the run shows in lists when the server's queue has come to it, half a minute later or
            more.

        Raises:
            AmbiguousExecution: The answer was lost; its ``job_id`` is the session, under which to look.
            OpusError: It was not ordered: refused (``NotFound``, ``ValidationFailed``), or not sent.
        """
        session = str(uuid.uuid4()) if session_id is None else requests.named(session_id, "session id")
        requests.run(workflow_id, input, session_id=session)  # raises for what cannot be sent
        await self._api.try_token()
        try:
            return await self._api.run(workflow_id, input, session_id=session)
        except AmbiguousStart as uncertain:
            if uncertain.answer is StartAnswer.REFUSED:
                raise uncertain.cause.located(job_id=session, stage=RUN) from None
            error = AmbiguousExecution(
                gapped(
                    "It cannot be known whether the run was ordered. Its session is {}: if the order "
                    "arrived, a run of it shows in the list, half a minute later at best; that there is none "
                    "proves nothing. Ordered again, it may run, and be billed, twice. The failure was: {}",
                    session,
                    uncertain.cause,
                ),
                cause=uncertain.cause,
                job_id=session,
                stage=RUN,
            )
            step = NextStep(NextAction.LOOK_AT_JOB, session)
            raise error.advised(step.action, hint(step)) from uncertain.cause

    def list(self, workflow_id: str, *, page_size: int = requests.DEFAULT_PAGE) -> Pages[Run]:
        """List the runs of a workflow, newest first: an async iterator over all pages.

        Args:
            workflow_id: The workflow; of one that does not exist there are none.
            page_size: Runs per request; servers cut it to 200.

        Raises:
            InvalidInputs: The page size is below 1.
        """
        requests.runs(workflow_id, size=page_size)
        return Pages(lambda page: self._api.runs(workflow_id, page=page, size=page_size), lambda run: run.id)

    async def find(self, workflow_id: str, session_id: str) -> Run | None:
        """The newest run of a session; None where the list shows none, which proves nothing of an order.

        Reads the list from the top until one is found.
        """
        session = requests.named(session_id, "session id")
        async for run in self.list(workflow_id, page_size=requests.LARGEST_PAGE):
            if run.session_id == session:
                return run
        return None

    async def wait(
        self,
        workflow_id: str,
        session_id: str,
        *,
        run_id: str | None = None,
        after: Run | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Wait until a run is over, or waits for a person.

        Args:
            workflow_id: The workflow.
            session_id: The session of the run, which need not show yet: it is waited for.
            run_id: The run, where the session has several; default: all runs of the session, which is over
                when none of them is open.
            after: The run as it was in a pause that has been answered: that pause is not returned.
            timeout: Seconds until we stop waiting; the run itself goes on. None waits for ever.

        Returns:
            The run; of a session with several the newest.

        Raises:
            DeadlineExceeded: It was not over in time.
            OpusError: Its status could not be read for too long.
        """
        key = requests.named(session_id, "session id") if run_id is None else requests.named(run_id, "run id")
        workflow_id = requests.named(workflow_id, "workflow id")
        seen: list[JobStatus] = []

        def on_status(status: JobStatus) -> None:
            seen.append(status)
            if JobStatusSeen in self._notify.heard:
                self._notify(JobStatusSeen(index=0, key=None, job_id=key, status=status))

        listing = self._source.of(workflow_id).listing
        with listing.attached(key) as tracked:
            try:
                async with asyncio.timeout(timeout):
                    return await self._wait(workflow_id, tracked, after, on_status)
            except TimeoutError:
                raise _late(workflow_id, session_id, tracked, timeout, seen[-1] if seen else None) from None

    async def _wait(
        self, workflow_id: str, tracked: Tracked, after: Run | None, on_status: Callable[[JobStatus], None]
    ) -> Run:
        began = asyncio.get_running_loop().time()
        left = None if after is None else PauseSeen.of(after)
        while True:
            ended = await self._watcher.wait(
                self._source,
                tracked.key,
                workflow_id=workflow_id,
                on_status=on_status,
                poll_now=True,
                exists=True,
                return_when_paused=True,
            )
            run = tracked.run
            assert run is not None  # noqa: S101 - its status was seen
            if ended.status.is_terminal or left is None or PauseSeen.of(run) != left:
                return run
            waited = asyncio.get_running_loop().time() - began
            await asyncio.sleep(
                min(max(2 * polling.MIN_INTERVAL, PAUSED_POLL_SHARE * waited), PAUSED_POLL_CAP)
            )

    async def resume(self, run_id: str, output: str) -> ResumedRun:
        """Answer a run that waits for a person (``POST /runs/{runId}/resume``). Never sent twice.

        The server accepts an answer to any run, also to one that does not wait; what becomes of it is seen in
        the run, half a minute later or more: ``wait(..., after=run)``.

        Args:
            run_id: The run.
            output: The approved text, which the next step is given.

        Raises:
            AmbiguousExecution: The answer was lost: see whether the run goes on before answering again.
        """
        requests.resume(run_id, output)  # raises for what cannot be sent
        await self._api.try_token()
        try:
            return await self._api.resume(run_id, output)
        except OpusError as error:
            if turned_down(error):
                raise
            raise unclear(run_id, error) from error

    async def texts(self, run: Run) -> tuple[str, ...]:
        """Read the texts that the steps of a run gave so far, in order.

        Of a run that waits for a person the last of them is what is to be approved.

        Args:
            run: As ``find``, ``list`` or ``wait`` gave it, or ``on_pause`` was given it.

        Returns:
            As many as the server tells to this user: none, where it tells none.
        """
        return await self._outputs.texts(run)

    async def cancel(self, run_id: str) -> None:
        """Cancel a run (``DELETE /runs/{runId}``; in the server's source, not documented).

        One that is over stays as it is; a step that is running goes on.
        """
        await self._api.cancel(run_id)


def _late(
    workflow_id: str, session_id: str, tracked: Tracked, timeout: float | None, last: JobStatus | None
) -> DeadlineExceeded:
    run = tracked.run
    seen = "no run of it shows yet" if last in {None, NOT_LISTED} else f"it is {last}"
    error = DeadlineExceeded(
        gapped(
            f"The run of session {{}} of workflow {{}} was not over within {{}} s: {literal(seen)}, and it "
            "goes on",
            session_id if run is None else f"{session_id} (run {run.id})",
            workflow_id,
            f"{timeout:g}",
        ),
        last_status=last,
        workflow_id=workflow_id,
        alias=None if run is None else run.id,
        job_id=session_id,
        stage=WATCH,
    )
    step = NextStep(NextAction.WAIT_FOR_JOB, session_id)
    error.advised(step.action, hint(step))
    return error
