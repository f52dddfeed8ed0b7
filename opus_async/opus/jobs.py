"""``opus.jobs``: every call about a job by itself, for programs that do not use ``run``."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from opus_async.arguments import (
    COUNT,
    JOB_ID,
    JOB_IDS,
    MAPPING,
    SECONDS,
    SECRET_TEXT,
    TEXT,
    WHOLE,
    WORKFLOW_ID,
    Kind,
    checked,
    instance,
    one_of,
)
from opus_async.config import RetryPolicy
from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import APIError, DeadlineExceeded, InvalidInputs, OpusError
from opus_async.events import JobStatusSeen
from opus_async.gaps import gapped, literal
from opus_async.input_problems import bad_argument
from opus_async.jobs.ended import Overdue
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.start import JobStarter
from opus_async.jobs.stream import Stream
from opus_async.jobs.watch import Watcher
from opus_async.jobs.worker_pool import WorkerPool
from opus_async.models import AuditLog, JobDetail, JobRequest, JobResults, JobStatus, Workflow
from opus_async.opus.api import Api
from opus_async.opus.ids import job_id_in
from opus_async.opus.job_search import PAGE_SIZE, JobSearch
from opus_async.opus.platform import OpusPlatform, Payload
from opus_async.opus.protocol import job_management, requests
from opus_async.opus.protocol.api_messages import InitiateFields
from opus_async.opus.protocol.hints import hint
from opus_async.opus.protocol.job_management import SearchFields
from opus_async.opus.results import fetch_results
from opus_async.opus.stages import STAGES
from opus_async.outcome import JobOutcome
from opus_async.platform import RecoveredJob
from opus_async.transport.dispatch import Dispatcher
from opus_async.wire.messages import ApiRequest

WATCHED_AT_ONCE = 100_000
"""Jobs that ``wait_many`` watches at once: about 1 kB each, and all of them should be."""
_DONE_ALREADY = frozenset({400, 404, 409})
"""Statuses of a refusal to change what has been changed already."""
_DATE = Kind("a date, a datetime, or ISO 8601 text", lambda value: isinstance(value, date | str))
_STATUSES = Kind(
    "one status or a list of them, like 'FAILED'", lambda value: isinstance(value, str) or JOB_IDS.fits(value)
)


class Jobs:
    """The calls about jobs, each with the client's retries and limits.

    Their errors are :class:`OpusError`: ``NotFound`` for an id that the key does not know, other classes of
    ``APIError`` for other refusals, ``TransportError`` where no answer came.

    Args:
        api: The calls.
        watcher: Where jobs are waited for.
        policy: How an uncertain start is settled, and how long late results are waited for.
        new_platform: Makes the platform for a workflow and a callback URL; None for a job whose workflow is
            not known, and for the client's own callback.
        new_lifecycle: Makes the lifecycle that runs jobs on such a platform.
        keep: Told of every stream, so that closing the client ends it.
        notify: Where the statuses seen go.
    """

    def __init__(
        self,
        api: Api,
        watcher: Watcher,
        *,
        policy: RetryPolicy,
        new_platform: Callable[[str | None, str | None], OpusPlatform],
        new_lifecycle: Callable[[OpusPlatform], Lifecycle[Any, Payload]],
        keep: Callable[[WorkerPool[Any, Any]], None],
        notify: Dispatcher,
    ) -> None:
        self._api = api
        self._watcher = watcher
        self._policy = policy
        self._new_platform = new_platform
        self._new_lifecycle = new_lifecycle
        self._keep = keep
        self._notify = notify

    @checked(
        workflow_id=WORKFLOW_ID,
        reference_entity_id=TEXT,
        title=TEXT,
        description=TEXT,
        version_id=TEXT,
        version_number=WHOLE,
        ref_user_id=TEXT,
        source=one_of(*requests.SOURCES),
        workspaces=TEXT,
        initial_input=MAPPING,
        web_app_id=TEXT,
    )
    async def initiate(
        self,
        workflow_id: str | None = None,
        *,
        reference_entity_id: str | None = None,
        title: str | None = None,
        description: str | None = None,
        version_id: str | None = None,
        version_number: int | None = None,
        ref_user_id: str | None = None,
        source: str | None = None,
        workspaces: str | None = None,
        initial_input: Mapping[str, Any] | None = None,
        web_app_id: str | None = None,
    ) -> str:
        """Create a job that is not started (``POST /job/initiate``, v1 ``POST /case``); it costs nothing.

        On v1 fields that only v0 has are refused by name.

        Args:
            workflow_id: Also the link of its page. Required unless ``reference_entity_id`` is given.
            reference_entity_id: A workflow reference entity's UUID; wins when both are given.
            title: Shown in the Opus UI; a default is sent when absent.
            description: Shown in the Opus UI; a default is sent when absent.
            version_id: Pins the workflow version by UUID.
            version_number: Pins it by number.
            ref_user_id: The end user the job is attributed to.
            source: ``email-agent``, ``chat-agent``, ``scheduled``, ``api``, ``manual``, ``agent``,
                ``opus-ai`` or ``web-app``; absent means ``api``.
            workspaces: Workspace ids joined by commas.
            initial_input: Stored on the job when it is created; does not replace the inputs of execute.
            web_app_id: The web app that launches the job.

        Returns:
            The job id.

        Raises:
            InvalidInputs: No workflow is named, or a field is none that the platform takes.
        """
        return await self._api.initiate(
            InitiateFields(
                workflow_id=workflow_id,
                reference_entity_id=reference_entity_id,
                title=title,
                description=description,
                version_id=version_id,
                version_number=version_number,
                ref_user_id=ref_user_id,
                source=source,
                workspaces=workspaces,
                initial_input=initial_input,
                web_app_id=web_app_id,
            )
        )

    @checked(
        job_id=JOB_ID,
        inputs=MAPPING,
        workflow=instance(Workflow),
        callback_url=SECRET_TEXT,
        workspaces=TEXT,
    )
    async def execute(
        self,
        job_id: str,
        inputs: Mapping[str, Any],
        *,
        workflow: Workflow | None = None,
        callback_url: str | None = None,
        workspaces: str | None = None,
    ) -> None:
        """Start a job, and its bill (``POST /job/execute``). Never blindly sent twice.

        This call gives the order each time it is made, and the platform obeys each time: a job that has been
        executed before runs, and is billed, once more. Look at ``status`` first where you cannot be sure.

        Args:
            job_id: From ``initiate``.
            inputs: Without ``workflow``: variable name -> variable object (``value``, ``type``,
                ``displayName``), sent as it is. With it: names -> plain values, bound to its schema, files
                uploaded.
            workflow: From ``workflows.get``.
            callback_url: HTTPS; Opus sends a POST to it when the run ends. Default: the client's.
            workspaces: Workspace ids joined by commas.

        Raises:
            InvalidInputs: All that is wrong with the inputs; nothing was sent.
            AmbiguousExecution: The answer was lost, and it cannot be known whether the job was started.
        """
        job_id = job_id_in(job_id)
        platform = self._new_platform(workflow.workflow_id if workflow else None, callback_url)
        platform.workspaces = workspaces
        policy = self._policy
        try:
            if workflow is None:
                payload = _variable_objects(inputs)
                policy = policy.model_copy(update={"on_ambiguous": "stop"})
            else:
                payload = await platform.prepare(await platform.bind_to(workflow, JobRequest(inputs)))
            await JobStarter(platform, policy).start(job_id, payload)
        except OpusError as error:
            raise error.located(job_id=job_id, stage=STAGES.start) from None

    @checked(job_id=JOB_ID)
    async def status(self, job_id: str) -> JobStatus:
        """Read a job's status now (``GET /job/{id}/status``); a word that is not known is ``UNKNOWN``."""
        return await self._api.status(job_id)

    @checked(job_id=JOB_ID)
    async def results(self, job_id: str) -> JobResults:
        """Fetch the results of a completed job (``GET /job/{id}/results``).

        Waits for results that come late, up to ``RetryPolicy.max_elapsed`` seconds.

        Raises:
            DeadlineExceeded: They were not ready by then.
        """
        return await fetch_results(self._api, job_id_in(job_id), patience=self._policy.max_elapsed)

    @checked(job_id=JOB_ID)
    async def audit(self, job_id: str) -> AuditLog:
        """Fetch a job's audit log (``GET /job/{id}/audit``); it also answers while the job runs."""
        return await self._api.audit(job_id)

    @checked(job_id=JOB_ID, timeout=SECONDS, workflow_id=WORKFLOW_ID)
    async def outcome(
        self, job_id: str, *, timeout: float | None = None, workflow_id: str | None = None
    ) -> JobOutcome:
        """Wait for the end of a job, whoever started it, and fetch what it left: what ``run`` would return.

        Waiting costs nothing, and the outcome of a job that ended long ago comes at once.

        Args:
            job_id: The job: its id, or the link of its page.
            timeout: Seconds until we stop waiting; default ``Timeouts.job``. The job itself goes on.
            workflow_id: Its workflow, where that is known.

        Returns:
            The outcome of any job that reached a terminal status, failed ones included. Its ``timings`` begin
            with this call.

        Raises:
            NotFound: The platform knows no such job.
            DeadlineExceeded: Not ended in time; the error has the last status.
            OpusError: Anything else that leaves no terminal status.
        """
        job_id = requests.named(job_id, "job id")
        lifecycle = self._new_lifecycle(self._new_platform(workflow_id, None))
        return await lifecycle.run(
            JobRequest({}, timeout=timeout),
            recovered=RecoveredJob(remote_id=job_id, starts_sent=1, start_accepted=True),
            confirm_exists=functools.partial(self._api.status, job_id),
        )

    @checked(job_id=JOB_ID, timeout=SECONDS)
    async def wait(self, job_id: str, *, timeout: float | None = None) -> JobStatus:
        """Wait for a job's terminal status, whoever started it.

        Args:
            job_id: The job: its id, or the link of its page, as everywhere here.
            timeout: Seconds; None waits for ever.

        Raises:
            DeadlineExceeded: It has not ended in time; the error has the last status. The job goes on.
        """
        job_id = requests.named(job_id, "job id")
        last: JobStatus | None = None

        def saw(status: JobStatus) -> None:
            nonlocal last
            last = status
            if JobStatusSeen in self._notify.heard:
                self._notify(JobStatusSeen(index=0, key=None, job_id=job_id, status=status))

        until = math.inf if timeout is None else asyncio.get_running_loop().time() + timeout
        try:
            ended = await self._watcher.wait(self._api, job_id, on_status=saw, poll_now=True, until=until)
        except OpusError as error:
            raise error.advised(NextAction.WAIT_FOR_JOB).located(job_id=job_id, stage=STAGES.watch) from None
        except Overdue:
            known = "its status could not be read" if last is None else f"it is {last} and goes on"
            late = DeadlineExceeded(
                gapped(f"The job has not ended within {{}} s: {literal(known)}", f"{timeout:g}"),
                last_status=last,
                job_id=job_id,
                stage=STAGES.watch,
            )
            step = NextStep(NextAction.WAIT_FOR_JOB, job_id)
            raise late.advised(step.action, hint(step)) from None
        return ended.status

    @checked(job_ids=JOB_IDS)
    def wait_many(self, job_ids: Iterable[str]) -> Stream[tuple[str, JobStatus]]:
        """Wait for many jobs: an async iterator of (job id, terminal status), in the order of their ends.

        A job that cannot be watched raises at its turn, with its id in the error; the iterator can be read
        on for the others.
        """

        async def wait(_: int, job_id: str) -> tuple[str, JobStatus]:
            return job_id, await self.wait(job_id)

        pool = WorkerPool(job_ids, wait, concurrency=WATCHED_AT_ONCE)
        self._keep(pool)
        return Stream(pool)

    @checked(
        workflow_id=WORKFLOW_ID,
        status=_STATUSES,
        query=TEXT,
        start_date=_DATE,
        end_date=_DATE,
        page_size=COUNT,
    )
    def search(
        self,
        *,
        workflow_id: str | None = None,
        status: str | Iterable[str] | None = None,
        query: str | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        page_size: int = PAGE_SIZE,
    ) -> JobSearch:
        """Find jobs (``GET /job/search``; observed, not documented): an async iterator over all pages.

        Args:
            workflow_id: Jobs of this workflow.
            status: One status or several; several are read one after the other, each once.
            query: Words to look for.
            start_date: The first day, or moment, of creation: a date, a datetime, or ISO 8601 text.
            end_date: The last.
            page_size: Jobs per request.

        Raises:
            InvalidInputs: A date is none, or the page size is below 1.
        """
        fields = SearchFields(workflow_id=workflow_id, query=query, start_date=start_date, end_date=end_date)
        statuses = [status] if status is None or isinstance(status, str) else list(dict.fromkeys(status))
        return JobSearch(self._api, fields, statuses, page_size)

    @checked(job_id=JOB_ID)
    async def get(self, job_id: str) -> JobDetail:
        """Fetch what the platform keeps of a job (``GET /job/{id}``; observed, not documented)."""
        return await self._api.job_call(job_management.detail(job_id), job_management.read_detail)

    @checked(job_id=JOB_ID)
    async def archive(self, job_id: str) -> None:
        """Hide a job from the lists of jobs (``POST /job/{id}/archive``; observed, not documented)."""
        await self._change(job_management.archive(job_id))

    @checked(job_id=JOB_ID)
    async def unarchive(self, job_id: str) -> None:
        """Show an archived job in lists again (``DELETE /job/{id}/archive``; observed, not documented)."""
        await self._change(job_management.unarchive(job_id))

    @checked(job_id=JOB_ID)
    async def duplicate(self, job_id: str) -> str:
        """Copy a job into a new unstarted one (``GET /job/{id}/duplicate``; observed, not documented).

        Not repeated after a lost answer, which may have left a copy.

        Returns:
            The id of the copy; it costs nothing until it is executed.
        """
        read = functools.partial(job_management.read_duplicate, of=requests.named(job_id, "job id"))
        return await self._api.job_call(job_management.duplicate(job_id), read)

    @checked(job_id=JOB_ID)
    async def delete(self, job_id: str) -> None:
        """Delete a job for good (``DELETE /job/{id}/delete``; observed, not documented)."""
        await self._change(job_management.delete(job_id))

    async def _change(self, call: ApiRequest) -> None:
        """Send a change that has the same effect twice as once.

        A refusal after a lost answer means that the first attempt had taken effect.
        """
        lost = False

        def on_lost() -> None:
            nonlocal lost
            lost = True

        try:
            await self._api.job_call(call, job_management.read_done, on_lost)
        except APIError as error:
            if not lost or error.status not in _DONE_ALREADY:
                raise


def _variable_objects(inputs: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    problems = [
        bad_argument(
            f"{name!r} is no variable object: give {{'value': ..., 'type': 'str'}}, or pass workflow=... to "
            "have plain values bound"
        )
        for name, value in inputs.items()
        if not (isinstance(value, Mapping) and "value" in value and isinstance(value.get("type"), str))
    ]
    if problems:
        raise InvalidInputs(problems)
    return inputs
