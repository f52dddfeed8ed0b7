"""The calls of the Opus API, one coroutine each: a dialect's words, sent with retries.

Nothing here knows what order the calls belong in, or what a run is.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar

from opus_async.config import RetryPolicy
from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    MixedUpAnswer,
    Obstacle,
    OpusError,
    ProtocolError,
    TransportError,
)
from opus_async.events import NO_CURRENT_JOB, CurrentJob, FailureClass, current_job
from opus_async.models import AuditLog, JobResults, JobStatus, Workflow
from opus_async.opus.protocol import undocumented
from opus_async.opus.protocol.api_errors import RetiredPath, json_of
from opus_async.opus.protocol.api_messages import (
    ApiRequest,
    ApiResponse,
    InitiateFields,
    PresignedUpload,
    PresignFields,
)
from opus_async.opus.protocol.api_version import ApiVersion
from opus_async.opus.protocol.hints import hint
from opus_async.opus.protocol.requests import UNUSED_CALLBACK
from opus_async.opus.protocol.undocumented import PresignedDownload
from opus_async.platform import AmbiguousStart, StartAnswer
from opus_async.redaction import Mask, Redactor, Secrets, callback_secret
from opus_async.transport.attempt import Attempt
from opus_async.transport.auth import Auth
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.failures import classify
from opus_async.transport.http import Http, Request, Response
from opus_async.transport.limits import Priority
from opus_async.transport.retry import Retrier
from opus_async.transport.urls import without_query

log = logging.getLogger("opus_async.opus")

ValueT = TypeVar("ValueT")

DENYING = frozenset({401, 403})
AUTH_FAILURES_BELIEVED = 3
"""Consecutive 401 that are believed of a key that has worked: a single one can be a gateway's."""
PROBE_ATTEMPTS = 2
"""Times that a generation must seem absent: one odd page must not decide for the life of a client."""
DENIAL_WAIT = 0.2
"""Seconds before the second try, twice that before the third."""
REACH = 25.0
"""Seconds after which a host that never answered is given up: a wrong URL is no outage to be waited for. A
command that begins and ends around it is done within 30."""
NO_JOB = "0"
"""Stands for the job of a call that is about none."""
_NO_SECRETS = frozenset({None, UNUSED_CALLBACK})
_OURS = frozenset({"job_id", "stage", "method", "url", "asked", "filename", "destination"})
"""Texts of an error that we wrote."""
ONE_TRY = RetryPolicy(attempts=1)
"""For looks that are repeated by their own schedule: the next look is the retry."""


class Api:
    """The Opus API, authenticated as one user.

    Args:
        dialects: The generation spoken; of several, the first that answers at ``base_url`` is.
        http: Sends.
        retrier: Repeats, and holds the gate of all API calls.
        base_url: Without trailing slash.
        auth: Authenticates every call here, and nothing else.
        key_hint: What looks wrong with the key, to be said when it is refused.
        redactor: Knows the secrets of the client.
        callback_urls: The URLs that a job may have been told to call, by its id; of a receiver, which makes
            one for each.
        notify: Where events go.
    """

    batch_size = 1  # the platform has no call that asks about many

    def __init__(
        self,
        dialects: Sequence[ApiVersion],
        http: Http,
        retrier: Retrier,
        *,
        base_url: str,
        auth: Auth,
        key_hint: str | None,
        redactor: Redactor,
        callback_urls: Callable[[str], Iterable[str]],
        notify: Dispatcher,
    ) -> None:
        self._candidates = dialects
        self._dialect = dialects[0] if len(dialects) == 1 else None
        self._asking = asyncio.Lock()
        self.base_url = base_url
        self.platform = hashlib.sha256(base_url.encode()).hexdigest()[:12]
        """Short for where this API is, in callback tokens."""
        self._http = http
        self._retrier = retrier
        self._key_hint = key_hint
        self._notify = notify
        self._redactor = redactor
        self._callback_urls = callback_urls
        self._key_worked = False
        self._reached = False
        """Whether anything was ever answered at the base URL."""
        self._auth = auth

    @property
    def generation(self) -> str:
        """The name of the generation spoken; ``auto`` while it is not known yet."""
        return self._dialect.name if self._dialect else "auto"

    async def dialect(self) -> ApiVersion:
        """The generation spoken, asked for at the first call where there is a choice.

        Raises:
            ConfigurationError: None of them answers here.
            OpusError: It could not be asked.
        """
        if self._dialect is None:
            async with self._asking:
                self._dialect = await self._first_that_answers()
        return self._dialect

    def check_callback(self, url: str) -> None:
        """See that ``execute`` will take a callback URL, before anything is made.

        Raises:
            ConfigurationError: It will not.
        """
        for dialect in self._candidates:
            dialect.callback(url)

    def keep_quiet_about(self, callback_url: str) -> None:
        """Mask a callback URL of single jobs in whatever is quoted to us."""
        self._redactor.remember_callback(callback_url)

    async def _first_that_answers(self) -> ApiVersion:
        if self._dialect is not None:  # another call was first
            return self._dialect
        undecided: OpusError | None = None
        for dialect in self._candidates:
            answers = await self._answers(dialect)
            if answers is True:
                return dialect
            if isinstance(answers, TransportError):
                raise answers
            if isinstance(answers, OpusError):
                undecided = undecided or answers
        if undecided is not None:
            raise undecided
        names = " or ".join(dialect.name for dialect in self._candidates)
        raise ConfigurationError(
            f"Nothing at {self.base_url} answers as {names} of the Opus API: check the base URL (the host "
            "alone, without a path), and that no log-in page or proxy stands in between"
        )

    async def generations(self) -> dict[str, bool | OpusError]:
        """Whether each generation that may be spoken answers here; the error where that cannot be told."""
        return {dialect.name: await self._answers(dialect) for dialect in self._candidates}

    async def _answers(self, dialect: ApiVersion) -> bool | OpusError:
        try:
            for _ in range(PROBE_ATTEMPTS):
                nowhere = await self._send(dialect.nowhere(), _as_it_is)
                if await self._send(dialect.probe(), functools.partial(dialect.speaks, nowhere=nowhere)):
                    return True
        except OpusError as error:
            return error
        return False

    async def is_well(self) -> bool:
        """Whether the generation spoken answers here, asked once and about no job that there is."""
        try:
            dialect = await self.dialect()
            nowhere = await self._send(dialect.nowhere(), _as_it_is, policy=ONE_TRY)
            speaks = functools.partial(dialect.speaks, nowhere=nowhere)
            return await self._send(dialect.probe(), speaks, policy=ONE_TRY)
        except OpusError:
            return False

    async def workflow(self, workflow_id: str, *, version: int | None, version_id: str | None) -> Workflow:
        """Read a workflow's schema as it is now, at whichever path still tells it."""
        dialect = await self.dialect()

        def read(answer: ApiResponse) -> Workflow:
            return dialect.read_workflow(answer, workflow_id)

        try:
            call = dialect.workflow(workflow_id, version=version, version_id=version_id)
            workflow = await self._send(call, read)
        except RetiredPath:
            elsewhere = dialect.workflow_elsewhere(workflow_id, version=version, version_id=version_id)
            if elsewhere is None:
                raise
            workflow = await self._send(elsewhere, read)
        _check_pin(workflow, version, version_id)
        return workflow

    async def initiate(self, fields: InitiateFields, on_stray: Callable[[], None] = lambda: None) -> str:
        """Make an unbilled job shell; ``on_stray`` is called for each that a lost answer may have left."""
        dialect = await self.dialect()
        call = dialect.initiate(fields)

        return await self._send(call, dialect.read_initiated, on_failure=_when_lost(on_stray))

    async def presign(self, fields: PresignFields, *, waited: float = 0.0) -> PresignedUpload:
        """Ask for a place to PUT one file to; ``waited`` is told in events, see :meth:`Retrier.call`."""
        dialect = await self.dialect()
        return await self._send(dialect.presign(fields), dialect.read_presigned, waited=waited)

    async def download(self, file_url: str, *, workspace_id: str | None) -> PresignedDownload:
        """Ask for a place to GET one file from. Observed, not documented."""
        call = undocumented.download(file_url, workspace_id=workspace_id)
        return await self._send(call, undocumented.read_download)

    async def execute(
        self, job_id: str, payload: Mapping[str, Any], *, callback_url: str | None, workspaces: str | None
    ) -> None:
        """Start a job, and its bill. Repeated only when no byte of it can have left, or on a 429.

        Raises:
            AmbiguousStart: It may or may not have been obeyed, whatever was answered.
            OpusError: Proved not obeyed: nothing was sent, or nothing but 429 came back.
        """
        dialect = await self.dialect()
        call = dialect.execute(job_id, payload, callback_url=callback_url, workspaces=workspaces)

        def read(answer: ApiResponse) -> None:
            try:
                dialect.read_executed(answer)
            except APIError as error:
                if answer.status >= 300:  # noqa: PLR2004 - HTTP: no success
                    raise
                # A success that says no inside: from whatever lies behind, which may have begun.
                self._without_secrets(error, call.secret)
                raise AmbiguousStart(error, StartAnswer.REFUSED) from error

        try:
            await self._send(call, read)
        except OpusError as error:
            if _proves_not_obeyed(error):
                raise
            fluke = isinstance(error, AuthenticationError) and self._key_worked
            refused = _is_a_refusal(error) and not fluke
            raise AmbiguousStart(error, StartAnswer.REFUSED if refused else StartAnswer.LOST) from error

    async def status_and_body(self, job_id: str) -> tuple[JobStatus, Any]:
        """Ask once where a job stands, and keep all that the answer shows."""
        dialect = await self.dialect()

        def read(answer: ApiResponse) -> tuple[JobStatus, Any]:
            return dialect.read_status(answer), json_of(answer)

        return await self._send(dialect.status(job_id), read, policy=ONE_TRY)

    async def status(
        self, job_id: str, *, lane: Priority = Priority.WORK, policy: RetryPolicy | None = None
    ) -> JobStatus:
        """Ask where a job stands."""
        dialect = await self.dialect()
        return await self._send(dialect.status(job_id), dialect.read_status, lane=lane, policy=policy)

    async def results(self, job_id: str, *, lane: Priority = Priority.WORK) -> JobResults | None:
        """Fetch what a completed job gave; None when it is not ready yet."""
        dialect = await self.dialect()
        return await self._send(dialect.results(job_id), dialect.read_results, lane=lane)

    async def audit(
        self, job_id: str, *, lane: Priority = Priority.WORK, policy: RetryPolicy | None = None
    ) -> AuditLog:
        """Fetch the audit."""
        dialect = await self.dialect()
        return await self._send(dialect.audit(job_id), dialect.read_audit, lane=lane, policy=policy)

    async def job_call(
        self,
        call: ApiRequest,
        read: Callable[[ApiResponse], ValueT],
        on_lost: Callable[[], None] = lambda: None,
    ) -> ValueT:
        """Send one of the observed calls about jobs, which know the ids of v0 alone.

        ``on_lost`` is called for each attempt that may have been obeyed although it failed.

        Raises:
            ConfigurationError: Another generation is spoken.
        """
        dialect = await self.dialect()
        if not dialect.has_jobs:
            raise ConfigurationError(
                f"{call.operation!r} is offered for jobs (v0) only, and this client speaks {dialect.name}: "
                "whether the one knows the ids of the other is not documented"
            )
        return await self._send(call, read, on_failure=_when_lost(on_lost))

    async def poll(
        self,
        workflow_id: str,  # noqa: ARG002 - the contract's signature: a job's id is enough here
        remote_ids: Sequence[str],
    ) -> Mapping[str, JobStatus | OpusError]:
        """Ask once where these jobs stand."""
        return {job_id: await self._look(job_id) for job_id in remote_ids}

    async def _look(self, job_id: str) -> JobStatus | OpusError:
        try:
            return await self.status(job_id, lane=Priority.POLL, policy=ONE_TRY)
        except OpusError as error:
            return error

    async def _send(
        self,
        call: ApiRequest,
        read: Callable[[ApiResponse], ValueT],
        *,
        lane: Priority = Priority.WORK,
        policy: RetryPolicy | None = None,
        on_failure: Callable[[OpusError], None] | None = None,
        waited: float = 0.0,
    ) -> ValueT:
        body = None if call.body is None else json.dumps(call.body, ensure_ascii=False).encode()
        url = self.base_url + call.path
        headers = self._auth.headers or await self._auth.renew(None) or {}
        request = Request(
            operation=call.operation,
            method=call.method,
            url=url,
            headers=_with_type(headers, body),
            body=body,
            follow=call.repeatable,
        )
        shown = without_query(url)
        subject = shown if body is None else None  # one id whose status is always a 502 is not the host

        async def attempt(this: Attempt) -> ValueT:
            try:
                response = await self._http.send(request)
                self._reached = True
                self._tell(call, shown, response, this)
                answer = ApiResponse(
                    status=response.status,
                    body=response.body,
                    headers=response.headers,
                    method=call.method,
                    url=shown,
                    attempt=this.number,
                    job_id=call.job_id,
                    workflow_id=call.workflow_id,
                    mask=self._mask_of(call),
                )
                value = read(answer)
            except OpusError as error:
                if isinstance(error, MixedUpAnswer):
                    self._http.distrust(url)
                self._without_secrets(error, call.secret)
                if on_failure:
                    on_failure(error)
                raise
            self._key_worked = self._key_worked or answer.status not in DENYING
            return value

        by_hand = self._notify.active and call.job_id is not None and current_job.get() is NO_CURRENT_JOB
        if by_hand:
            current_job.set(CurrentJob(job_id=call.job_id))  # so that its events name it
        try:
            for denial in itertools.count(1):
                try:
                    return await self._retrier.call(
                        call.operation,
                        attempt,
                        priority=lane,
                        repeatable=call.repeatable,
                        policy=policy,
                        request_key=subject,
                        unreachable_after=None if self._reached else REACH,
                        waited=waited,
                    )
                except AuthenticationError as error:
                    headers = await self._after_denial(error, call, denial, headers, policy)
                    request = replace(request, headers=_with_type(headers, body))
        finally:
            if by_hand:
                current_job.set(NO_CURRENT_JOB)
        raise AssertionError("unreachable: the loop returns or raises")

    async def _after_denial(
        self,
        error: AuthenticationError,
        call: ApiRequest,
        denial: int,
        headers: Mapping[str, str],
        policy: RetryPolicy | None,
    ) -> Mapping[str, str]:
        """The headers to try a call with once more after a 401: newer ones, where the first can be renewed.

        Raises:
            AuthenticationError: It is believed: an order is never repeated here, and of a key that has worked
                a single one can be a gateway's.
        """
        newer = await self._auth.renew(headers) if call.repeatable and denial == 1 else None
        if newer is not None:
            return newer
        known = self._key_worked and call.repeatable
        if not known or denial >= AUTH_FAILURES_BELIEVED or policy is ONE_TRY:
            self._hint(error)
            raise error
        await asyncio.sleep(DENIAL_WAIT * denial)
        return headers

    def _hint(self, error: AuthenticationError) -> None:
        if self._key_hint and self._key_hint not in error.message:
            error.message = f"{error.message} Hint: {self._key_hint}."

    def _mask_of(self, call: ApiRequest) -> Mask:
        """Takes the secrets of the client and of the call's job out of what came back on it."""
        known: Secrets | None = None

        def mask(text: str) -> str:
            nonlocal known
            if known is None:  # most answers are a plain yes, of which nothing is masked
                urls = {*self._callback_urls(call.job_id or NO_JOB), call.secret} - _NO_SECRETS
                known = self._redactor.known(*(callback_secret(url) for url in urls if url))
            return known.mask(text)

        return mask

    def without_secrets(self, error: OpusError) -> None:
        """Whatever its shape, a secret that somebody quotes must not come into an error."""
        self._without_secrets(error, None)

    def _without_secrets(self, error: OpusError, callback_url: str | None) -> None:
        urls = {callback_url} - _NO_SECRETS
        known = self._redactor.known(*(callback_secret(url) for url in urls if url))
        said = vars(error)
        for name, value in said.items():
            if isinstance(value, str) and name not in _OURS:
                said[name] = known.mask(value)
        error.args = (error.message,)

    def _tell(self, call: ApiRequest, url: str, response: Response, attempt: Attempt) -> None:
        if self._notify.active:
            self._notify(
                attempt.answered(
                    call.operation, call.method, url, status=response.status, seconds=response.seconds
                )
            )


def _with_type(headers: Mapping[str, str], body: bytes | None) -> Mapping[str, str]:
    return headers if body is None else {**headers, "Content-Type": "application/json"}


def _when_lost(tell: Callable[[], None]) -> Callable[[OpusError], None]:
    """Tell of failures after which a request may have been obeyed."""

    def failed(error: OpusError) -> None:
        if classify(error) not in _NOT_OBEYED:
            tell()

    return failed


def _as_it_is(answer: ApiResponse) -> ApiResponse:
    return answer


def _check_pin(workflow: Workflow, version: int | None, version_id: str | None) -> None:
    """A server that ignores a pin would have a job's inputs checked against another version's schema."""
    told = (workflow.version_id or "").lower() if version_id else workflow.version
    asked = version_id.lower() if version_id else version
    if asked and told and asked != told:
        ignored = ProtocolError(
            f"Version {asked} of workflow {workflow.workflow_id} was asked for, and the schema of version "
            f"{told} came: this server ignores the version. Leave it out, or use the other generation"
        )
        step = NextStep(NextAction.CHOOSE_GENERATION)
        raise ignored.advised(step.action, hint(step))


_NOT_OBEYED = frozenset(
    {FailureClass.SHORTAGE, FailureClass.UNSENT, FailureClass.THROTTLED, FailureClass.REFUSED}
)
"""Failures after which a request cannot have been obeyed, where a refusal is believed."""


def _is_a_refusal(error: OpusError) -> bool:
    """Whether somebody said no to an order, or sent it elsewhere; a no proves nothing by itself."""
    redirected = isinstance(error, TransportError) and error.obstacle is Obstacle.REDIRECT
    return redirected or classify(error) is FailureClass.REFUSED


def _proves_not_obeyed(error: OpusError) -> bool:
    """Whether an order that failed so cannot have been obeyed: no byte of it left, or it was a 429."""
    if isinstance(error, APIError):
        return error.status == HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(error, TransportError):
        return not error.request_sent
    return not isinstance(error, ProtocolError)  # wrong inputs or settings, found before anything was sent
