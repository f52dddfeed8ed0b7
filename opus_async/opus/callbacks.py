"""The receiver for ``callbackUrl``: a call says that a job may have ended, and nothing else.

The vendor documents neither body nor signature nor repeats of a callback, so whatever arrives is believed in
one point only: it came to a URL that nobody but us and the platform knows, so it is worth a look at that job.
Status and results are always asked for. A lost, late, repeated or forged call changes latency and no more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from opus_async.errors import ConfigurationError
from opus_async.transport.rates import TokenBucket

if TYPE_CHECKING:
    import ssl

    from aiohttp import web

CALLS_PER_SECOND = 1000.0
"""Genuine calls a second that are listened to: several times what one process drives."""
SAME_CALL = 1.0
"""Seconds within which a second call about the same job tells nothing new."""
REMEMBERED = 10_000
"""Jobs whose last call is remembered, about 200 bytes each."""
MAX_BODY = 1024 * 1024
"""Bytes of a body that are taken in, and dropped, before the connection is closed."""
_TOKEN_BYTES = 18
"""144 bits: 24 characters that nobody guesses."""


@dataclass(slots=True)
class CallbackCounts:
    """What a receiver has heard.

    Attributes:
        accepted: Calls that woke the watch of a job.
        repeated: Calls about a job that had called less than a second before.
        refused: Calls whose token is wrong.
        throttled: Calls beyond the rate.
    """

    accepted: int = 0
    repeated: int = 0
    refused: int = 0
    throttled: int = 0


class CallbackReceiver:
    """Receives the platform's callbacks and wakes the watch of the job they are about.

    Mount it into an aiohttp application, ``app.add_subapp("/opus", receiver.app)``, or let it listen by
    itself, ``async with receiver.listening(port=8443): ...``. Any other web framework can hand the last
    segment of the path of a POST to :meth:`hear`. It must run in the event loop of the client.

    Every job has its own URL: ``public_url``, a slash, and a token made of the job's id and a secret. Keep
    access logs from showing it; one that leaks is good for waking one job's watch, once a second.

    Args:
        public_url: See the attribute.
        secret: What the tokens are made with; give your own when jobs outlive the process. Default: random.
        rate: Genuine calls a second that are listened to, with as many at once.

    Attributes:
        counts: What was heard so far.
        public_url: Where the platform reaches the mounted application, e.g. ``https://me.example.com/opus``.
            It must be https unless the API is on this machine. None until it is set, at the latest before
            the first job; :meth:`listening` sets it where nobody has.
    """

    def __init__(
        self,
        public_url: str | None = None,
        *,
        secret: str | bytes | None = None,
        rate: float = CALLS_PER_SECOND,
    ) -> None:
        self.counts = CallbackCounts()
        self.public_url = public_url
        given = secret.encode() if isinstance(secret, str) else secret
        if given is not None and len(given) < 16:  # noqa: PLR2004 - 128 bits
            raise ConfigurationError(
                "The callback secret is too short: give 16 random bytes or more, or none"
            )
        self._secret = given or secrets.token_bytes(32)
        self._bucket = TokenBucket(rate, burst=rate)
        self._last: OrderedDict[str, float] = OrderedDict()
        self._wakes: list[Callable[[str], None]] = []
        self._app: web.Application | None = None

    def __repr__(self) -> str:
        return f"<CallbackReceiver {self.public_url or 'not listening'}, {self.counts.accepted} calls>"

    @property
    def app(self) -> web.Application:
        """An aiohttp.web application for ``add_subapp``; always the same one."""
        if self._app is None:
            from aiohttp import web  # noqa: PLC0415 - a client without callbacks needs no server

            self._app = web.Application()
            self._app.router.add_post("/{token}", self._handle)
        return self._app

    @asynccontextmanager
    async def listening(
        self, *, host: str = "127.0.0.1", port: int = 0, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[str]:
        """Listen without an application of the caller's; gives the public URL.

        Args:
            host: The address to listen at.
            port: The port; 0 takes a free one.
            ssl_context: For https without a proxy in front.
        """
        from aiohttp import web  # noqa: PLC0415 - a client without callbacks needs no server

        runner = web.AppRunner(
            self.app,
            access_log=None,  # its lines would show tokens
            shutdown_timeout=1.0,
            lingering_time=0,  # the rest of a body that is too large is not waited for
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=ssl_context).start()
            if self.public_url is None:
                scheme = "http" if ssl_context is None else "https"
                shown = f"[{host}]" if ":" in host else host
                self.public_url = f"{scheme}://{shown}:{runner.addresses[0][1]}"
            yield self.public_url
        finally:
            await runner.cleanup()

    def url_for(self, job_id: str) -> str:
        """The callback URL of one job, a secret.

        Raises:
            ConfigurationError: It is not known yet where the platform reaches us.
        """
        if self.public_url is None:
            raise ConfigurationError(
                "The callback receiver has no public URL: CallbackReceiver('https://...'), or enter "
                "receiver.listening() before the first job"
            )
        name = base64.urlsafe_b64encode(job_id.encode()).rstrip(b"=").decode()
        return f"{self.public_url.rstrip('/')}/{name}.{self._token(job_id)}"

    def hear(self, token: str) -> int:
        """Take one call, whose content nobody reads.

        Args:
            token: The last segment of the path it came to.

        Returns:
            The HTTP status to answer with: 204, 404 for a token that is not ours, 429 beyond the rate.
        """
        job_id = self._job_of(token)
        if job_id is None:
            self.counts.refused += 1
            return 404
        now = monotonic()
        if now - self._last.get(job_id, -SAME_CALL) < SAME_CALL:
            self.counts.repeated += 1
            return 204
        if not self._bucket.take(now):
            self.counts.throttled += 1
            return 429
        self._last[job_id] = now
        self._last.move_to_end(job_id)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        self.counts.accepted += 1
        for wake in list(self._wakes):
            wake(job_id)
        return 204

    def attach(self, wake: Callable[[str], None]) -> None:
        """Have a client's watcher woken, from now on."""
        if wake not in self._wakes:
            self._wakes.append(wake)

    def detach(self, wake: Callable[[str], None]) -> None:
        """Stop waking it."""
        if wake in self._wakes:
            self._wakes.remove(wake)

    async def _handle(self, request: web.Request) -> web.Response:
        from aiohttp import web  # noqa: PLC0415 - imported already by whoever got here

        status, left = self.hear(request.match_info["token"]), MAX_BODY
        async for chunk in request.content.iter_any():  # nobody looks at it: only so that the sender can end
            left -= len(chunk)
            if left < 0:
                break
        return web.Response(status=status)

    def _job_of(self, token: str) -> str | None:
        name, _, proof = token.partition(".")
        try:
            job_id = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        except (binascii.Error, ValueError):
            return None
        genuine = hmac.compare_digest(self._token(job_id).encode(), proof.encode(errors="replace"))
        return job_id if genuine else None

    def _token(self, job_id: str) -> str:
        proof = hmac.digest(self._secret, job_id.encode(), hashlib.sha256)[:_TOKEN_BYTES]
        return base64.urlsafe_b64encode(proof).decode()
