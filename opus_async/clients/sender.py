"""Sends requests to a platform's API: authenticated, with retries, events, and no secret in what comes back.

What the requests mean, and in which order they belong, is not known here.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, Protocol, TypeVar

from opus_async.config import RetryPolicy
from opus_async.error_codes import NextAction
from opus_async.errors import AuthenticationError, MixedUpAnswer, OpusError
from opus_async.events import NO_CURRENT_JOB, CurrentJob, RequestSent, current_job
from opus_async.platform import AboutToSend
from opus_async.redaction import Mask
from opus_async.transport.attempt import Attempt
from opus_async.transport.auth import Auth
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.http import Http, Request, Response
from opus_async.transport.limits import Priority
from opus_async.transport.retry import Retrier
from opus_async.transport.urls import without_query
from opus_async.wire.messages import ApiRequest, ApiResponse

ValueT = TypeVar("ValueT")

AUTH_FAILURES_BELIEVED = 3
"""Consecutive 401 that are believed of a key that has worked: a single one can be a gateway's."""
AUTH_FAILURE_WAIT = 0.2
"""Seconds before the second try, twice that before the third."""
REACH = 25.0
"""Seconds after which a host that never answered is given up: a wrong URL is no outage to be waited for. A
command that begins and ends around it is done within 30."""
ONE_TRY = RetryPolicy(attempts=1)
"""For polls and checks that are repeated by their own schedule: the next one is the retry."""
_JSON = json.JSONEncoder(ensure_ascii=False)
_DENIED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class SecretMasks(Protocol):
    """Takes the secrets of a client out of what the platform sends back, and out of errors."""

    def mask_for(self, call: ApiRequest) -> Mask:
        """The function that takes the secrets of the client, and of a request, out of a text."""

    def mask_error(self, error: OpusError, secret: str | None = None) -> None:
        """Mask every text of an error that others wrote.

        Args:
            error: The error; it is changed.
            secret: Of the request that failed, where it carried one of its own.
        """


class Sender:
    """Sends the requests of one client.

    Args:
        http: Makes each attempt.
        retrier: Repeats them, and holds the limits of all API requests.
        base_url: The host, without trailing slash.
        auth: Authenticates every request here, and nothing else.
        key_problem: What looks wrong with the key; told when it is refused.
        secrets: Masks secrets in responses and errors.
        notify: Where events go.

    Attributes:
        base_url: As given.
        key_worked: Whether any response but a 401 or 403 was ever read.
        key_worked_at: When the last of these was read, in seconds of the loop's clock.
    """

    def __init__(
        self,
        http: Http,
        retrier: Retrier,
        *,
        base_url: str,
        auth: Auth,
        key_problem: str | None,
        secrets: SecretMasks,
        notify: Dispatcher,
    ) -> None:
        self.base_url = base_url
        self.key_worked = False
        self.key_worked_at = -math.inf
        self._http = http
        self._retrier = retrier
        self._auth = auth
        self._key_problem = key_problem
        self._secrets = secrets
        self._notify = notify
        self._shown_base = without_query(base_url)
        self._typed: tuple[Mapping[str, str], Mapping[str, str]] = {}, {}
        """Headers, and the same for a request with a body."""
        self._reached = False
        """Whether anything was ever answered at the base URL."""

    async def send(
        self,
        call: ApiRequest,
        read: Callable[[ApiResponse], ValueT],
        *,
        priority: Priority = Priority.WORK,
        policy: RetryPolicy | None = None,
        about_to_send: AboutToSend | None = None,
        on_attempt: Callable[[], None] | None = None,
        on_failure: Callable[[OpusError], None] | None = None,
        waited: float = 0.0,
    ) -> ValueT:
        """Send a request until a response can be read, as the policy allows.

        Args:
            call: The request.
            read: Makes a value of its response, or raises the error that it amounts to.
            priority: Its place in the queue of the limiter.
            policy: Other than the client's.
            about_to_send: Told when the first attempt has its turn; see :meth:`Retrier.call`.
            on_attempt: Called when an attempt has its turn, right before it is sent.
            on_failure: Called with the error of each attempt that fails.
            waited: Seconds that it has waited already, for events; see :meth:`Retrier.call`.

        Raises:
            OpusError: The error of the last attempt, without secrets.
        """
        headers = self._auth.headers or await self._auth.renew(None) or {}
        body = None if call.body is None else _JSON.encode(call.body).encode()
        shown = self._shown_base + call.path.partition("?")[0]
        sending = _Sending(self, call, read, body, headers, shown, on_attempt, on_failure)
        request_key = shown if body is None else None  # one id that is always a 502, say
        named = bool(self._notify.heard) and call.job_id is not None and current_job.get() is NO_CURRENT_JOB
        if named:  # a request that is sent by hand, outside of any run
            current_job.set(CurrentJob(job_id=call.job_id))
        try:
            failures = 0
            while True:
                try:
                    return await self._retrier.call(
                        call.operation,
                        sending,
                        priority=priority,
                        repeatable=call.repeatable,
                        policy=policy,
                        request_key=request_key,
                        unreachable_after=None if self._reached else REACH,
                        waited=waited,
                        about_to_send=about_to_send,
                    )
                except AuthenticationError as error:
                    failures += 1
                    about_to_send = None
                    sending.headers = await self._after_auth_failure(
                        error, call, failures, sending.headers, policy
                    )
        finally:
            if named:
                current_job.set(NO_CURRENT_JOB)

    async def authenticate(self) -> None:
        """Have what requests are authenticated with, so that none waits for it once it is ordered.

        Raises:
            OpusError: It cannot be had.
        """
        if self._auth.headers is None:
            await self._auth.renew(None)

    async def attempt(self, sending: _Sending[ValueT], this: Attempt) -> ValueT:
        """Send a request once, and read its response; called by :meth:`send` alone.

        Raises:
            OpusError: The failure, without secrets.
        """
        call, body = sending.call, sending.body
        headers = sending.headers = self._auth.headers or sending.headers  # maybe renewed while this waited
        if sending.on_attempt is not None:
            sending.on_attempt()
        try:
            response = await self._http.send(
                Request(
                    call.operation,
                    call.method,
                    self.base_url + call.path,
                    headers if body is None else self._with_type(headers),
                    body,
                    follow=call.repeatable,
                )
            )
            self._reached = True
            for meter in self._notify.meters:
                meter.answered(call.operation, this.kind, response.status, this.waited, response.seconds)
            if RequestSent in self._notify.heard:
                self._tell(sending, response, this)
            value = sending.read(
                ApiResponse(
                    status=response.status,
                    body=response.body,
                    headers=response.headers,
                    method=call.method,
                    url=sending.shown,
                    attempt=this.number,
                    job_id=call.job_id,
                    workflow_id=call.workflow_id,
                    subject_id=call.subject_id,
                    mask=self._secrets.mask_for(call),
                )
            )
        except OpusError as error:
            if isinstance(error, MixedUpAnswer):
                self._http.distrust(self.base_url)
            self._secrets.mask_error(error, call.secret)
            if sending.on_failure is not None:
                sending.on_failure(error)
            raise
        if response.status not in _DENIED:
            self.key_worked, self.key_worked_at = True, response.ended
        return value

    async def _after_auth_failure(
        self,
        error: AuthenticationError,
        call: ApiRequest,
        failures: int,
        headers: Mapping[str, str],
        policy: RetryPolicy | None,
    ) -> Mapping[str, str]:
        """The headers to try a request with once more after a 401: newer ones, if the first can be renewed.

        Raises:
            AuthenticationError: It is believed: an order is never repeated here, and of a key that has worked
                a single one can be a gateway's.
        """
        newer = await self._auth.renew(headers) if call.repeatable and failures == 1 else None
        if newer is not None:
            return newer
        may_be_a_gateways = self.key_worked and call.repeatable
        if not may_be_a_gateways or failures >= AUTH_FAILURES_BELIEVED or policy is ONE_TRY:
            self._tell_key_problem(error)
            raise error
        await asyncio.sleep(AUTH_FAILURE_WAIT * failures)
        return headers

    def _tell_key_problem(self, error: AuthenticationError) -> None:
        """Add what looks wrong with the key to the message, unless the path or the host is what is wrong."""
        about_the_key = error.next_step is None or error.next_step.action is not NextAction.CHOOSE_GENERATION
        if self._key_problem and about_the_key:
            error.message = f"{error.message} Hint: {self._key_problem}."

    def _with_type(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The same headers, and what a body is; made once for all requests that carry them."""
        known, typed = self._typed
        if known is not headers:
            typed = {**headers, "Content-Type": "application/json"}
            self._typed = headers, typed
        return typed

    def _tell(self, sending: _Sending[ValueT], response: Response, this: Attempt) -> None:
        call = sending.call
        self._notify(
            this.answered(
                call.operation,
                call.method,
                sending.shown,
                status=response.status,
                seconds=response.seconds,
            )
        )


@dataclass(slots=True, eq=False, repr=False)
class _Sending(Generic[ValueT]):
    """A request while it is being sent, secrets included; called for each attempt.

    What is not told here is in :meth:`Sender.send`.

    Attributes:
        sender: Makes the attempts.
        body: The JSON; None for none.
        headers: What it was last authenticated with.
        shown: Its URL without the query.
    """

    sender: Sender
    call: ApiRequest
    read: Callable[[ApiResponse], ValueT]
    body: bytes | None
    headers: Mapping[str, str]
    shown: str
    on_attempt: Callable[[], None] | None
    on_failure: Callable[[OpusError], None] | None

    def __call__(self, this: Attempt) -> Awaitable[ValueT]:
        return self.sender.attempt(self, this)
