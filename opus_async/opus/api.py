"""The calls of the Opus API, one coroutine each: a dialect's words, sent with retries.

Nothing here knows what order the calls belong in, or what a run is.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from opus_async.config import RetryPolicy
from opus_async.errors import AuthenticationError, OpusError, ServerError
from opus_async.events import RequestSent
from opus_async.models import AuditLog, JobResults, JobStatus, Workflow
from opus_async.opus.protocol.dialect import (
    Answer,
    Call,
    Dialect,
    InitiateFields,
    PresignedUpload,
    PresignFields,
)
from opus_async.platform import UncertainStart
from opus_async.transport.http import Http, Request, Response, without_query
from opus_async.transport.limits import Lane
from opus_async.transport.notify import Notifier
from opus_async.transport.retry import FailureClass, Retrier, classify

ValueT = TypeVar("ValueT")

DENIALS = 3
"""Consecutive 401 that are believed of a key that has worked: a single one can be a gateway's."""
DENIAL_WAIT = 0.2
"""Seconds before the second try, twice that before the third."""
ONE_TRY = RetryPolicy(attempts=1)
"""For looks that are repeated by their own schedule: the next look is the retry."""


class Api:
    """The Opus API behind one key.

    Args:
        dialect: The generation spoken.
        http: Sends.
        retrier: Repeats, and holds the gate of all API calls.
        base_url: Without trailing slash.
        service_key: Goes into the header of every call here, and nowhere else.
        key_hint: What looks wrong with the key, to be said when it is refused.
        notify: Where events go.
    """

    observes_at_once = 1  # the platform has no call that asks about many

    def __init__(
        self,
        dialect: Dialect,
        http: Http,
        retrier: Retrier,
        *,
        base_url: str,
        service_key: str,
        key_hint: str | None,
        notify: Notifier,
    ) -> None:
        self.dialect = dialect
        self.base_url = base_url
        self._http = http
        self._retrier = retrier
        self._key_hint = key_hint
        self._notify = notify
        self._key = service_key
        self._key_worked = False
        self._headers = {"x-service-key": service_key, "Accept": "application/json"}
        self._json_headers = {**self._headers, "Content-Type": "application/json"}

    async def workflow(self, workflow_id: str, *, version: int | None, version_id: str | None) -> Workflow:
        """Read a workflow's schema as it is now."""
        call = self.dialect.workflow(workflow_id, version=version, version_id=version_id)
        return await self._send(call, lambda answer: self.dialect.read_workflow(answer, workflow_id))

    async def initiate(self, fields: InitiateFields, on_stray: Callable[[], None] = lambda: None) -> str:
        """Make an unbilled job shell; ``on_stray`` is called for each that a lost answer may have left."""
        call = self.dialect.initiate(fields)

        def lost(error: OpusError) -> None:
            if classify(error) not in {FailureClass.UNSENT, FailureClass.THROTTLED, FailureClass.REFUSED}:
                on_stray()

        return await self._send(call, self.dialect.read_initiated, on_failure=lost)

    async def presign(self, fields: PresignFields) -> PresignedUpload:
        """Ask for a place to PUT one file to."""
        return await self._send(self.dialect.presign(fields), self.dialect.read_presigned)

    async def execute(
        self, job_id: str, payload: Mapping[str, Any], *, callback_url: str | None, workspaces: str | None
    ) -> None:
        """Start a job, and its bill. Repeated only when no byte of it can have left, or on a 429.

        Raises:
            UncertainStart: It may or may not have been obeyed.
            OpusError: It was refused.
        """
        call = self.dialect.execute(job_id, payload, callback_url=callback_url, workspaces=workspaces)
        answered = False

        def read(answer: Answer) -> None:
            nonlocal answered
            answered = 200 <= answer.status < 300  # noqa: PLR2004 - HTTP success
            self.dialect.read_executed(answer)

        try:
            await self._send(call, read)
        except OpusError as error:
            if isinstance(error, ServerError) and answered:  # "did not start", in the platform's own words
                raise UncertainStart(error, may_resend=False) from error
            if classify(error) in _UNCERTAIN:
                raise UncertainStart(error) from error
            raise

    async def status(
        self, job_id: str, *, lane: Lane = Lane.WORK, policy: RetryPolicy | None = None
    ) -> JobStatus:
        """Ask where a job stands."""
        return await self._send(
            self.dialect.status(job_id), self.dialect.read_status, lane=lane, policy=policy
        )

    async def results(self, job_id: str) -> JobResults | None:
        """Fetch what a completed job gave; None when it is not ready yet."""
        return await self._send(self.dialect.results(job_id), self.dialect.read_results)

    async def audit(self, job_id: str, *, policy: RetryPolicy | None = None) -> AuditLog:
        """Fetch the audit."""
        return await self._send(self.dialect.audit(job_id), self.dialect.read_audit, policy=policy)

    async def observe(self, remote_ids: Sequence[str]) -> Mapping[str, JobStatus | OpusError]:
        """Look once where these jobs stand."""
        return {job_id: await self._look(job_id) for job_id in remote_ids}

    async def _look(self, job_id: str) -> JobStatus | OpusError:
        try:
            return await self.status(job_id, lane=Lane.POLL, policy=ONE_TRY)
        except OpusError as error:
            return error

    async def _send(
        self,
        call: Call,
        read: Callable[[Answer], ValueT],
        *,
        lane: Lane = Lane.WORK,
        policy: RetryPolicy | None = None,
        on_failure: Callable[[OpusError], None] | None = None,
    ) -> ValueT:
        body = None if call.body is None else json.dumps(call.body, ensure_ascii=False).encode()
        url = self.base_url + call.path
        headers = self._headers if body is None else self._json_headers
        request = Request(operation=call.operation, method=call.method, url=url, headers=headers, body=body)
        shown = without_query(url)

        async def attempt(number: int) -> ValueT:
            try:
                response = await self._http.send(request)
                self._tell(call, shown, response, number)
                answer = Answer(
                    status=response.status,
                    body=response.body,
                    headers=response.headers,
                    method=call.method,
                    url=shown,
                    attempt=number,
                )
                return read(answer)
            except OpusError as error:
                self._without_key(error)
                if on_failure:
                    on_failure(error)
                raise

        for denial in itertools.count(1):
            try:
                value = await self._retrier.call(
                    call.operation, attempt, lane=lane, repeatable=call.repeatable, policy=policy
                )
            except AuthenticationError as error:
                if not self._key_worked or denial >= DENIALS or policy is ONE_TRY:
                    self._hint(error)
                    raise
                await asyncio.sleep(DENIAL_WAIT * denial)
            else:
                self._key_worked = True
                return value
        raise AssertionError("unreachable: the loop returns or raises")

    def _hint(self, error: AuthenticationError) -> None:
        if self._key_hint and self._key_hint not in error.message:
            error.message = f"{error.message} Hint: {self._key_hint}."

    def _without_key(self, error: OpusError) -> None:
        """Whatever the shape of the key, a platform that quotes it must not put it into an error."""
        for name in ("message", "detail", "body"):
            text = getattr(error, name, None)
            if isinstance(text, str) and self._key in text:
                setattr(error, name, text.replace(self._key, "<service key>"))
        error.args = (error.message,)

    def _tell(self, call: Call, url: str, response: Response, attempt: int) -> None:
        if self._notify.active:
            self._notify(
                RequestSent(
                    operation=call.operation,
                    method=call.method,
                    url=url,
                    status=response.status,
                    seconds=response.seconds,
                    attempt=attempt,
                )
            )


_UNCERTAIN = frozenset(
    {FailureClass.BROKEN, FailureClass.OVERLOADED, FailureClass.SERVER, FailureClass.GARBLED}
)
"""Failures of ``execute`` after which it may be running."""
