"""The HTTP receiver for callbacks, whose calls make a job be polled at once.

The vendor documents neither body nor signature nor repeats of a callback. So nothing in it is believed, but
that it came to a URL that only we and the platform know: its job is polled. Status and results are always
read from the API. A lost, late, repeated or forged call changes latency and no more.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import math
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, cast

from opus_async.arguments import SECRET_TEXT, Kind, checked, number
from opus_async.errors import ConfigurationError
from opus_async.opus.connection_guard import HEAD_SECONDS, MAX_CONNECTIONS, ConnectionGuard
from opus_async.transport.rates import TokenBucket
from opus_async.transport.servers import stop_listening
from opus_async.wire.excerpts import CALLBACK_MARK

if TYPE_CHECKING:
    import ssl

    from aiohttp import web
    from aiohttp.typedefs import Handler

CALLS_PER_SECOND = 20_000.0
"""Genuine calls a second that are listened to: thousands of jobs can end together."""
SAME_CALL = 1.0
"""Seconds within which a second call about the same job tells nothing new."""
REMEMBERED = 10_000
"""Jobs whose last call is remembered, about 200 bytes each."""
MAX_BODY = 1024 * 1024
"""Bytes of a body that are taken in, and dropped, before the connection is closed."""
BODY_SECONDS = 5.0
"""And how long that may last."""
NO_CONTENT = 204
_TOKEN_BYTES = 18
"""144 bits: 24 characters that nobody guesses."""
_SECRET = Kind("text or bytes", lambda value: isinstance(value, str | bytes), secret=True)
_RATE = number("a number of calls a second, 1 or more", lambda value: 1 <= value < math.inf)


@dataclass(slots=True)
class CallbackCounts:
    """How many calls a receiver got.

    Attributes:
        accepted: Calls after which a job was polled.
        repeated: Calls about a job that had called less than a second before.
        refused: Calls whose token is wrong.
        throttled: Calls beyond the rate.
    """

    accepted: int = 0
    repeated: int = 0
    refused: int = 0
    throttled: int = 0


class CallbackReceiver:
    """Receives the platform's callbacks, and has the job that one is about polled at once.

    Mount it into an aiohttp application, ``app.add_subapp("/opus", receiver.app)``, or let it listen by
    itself, ``async with receiver.listening(port=8443): ...``. Any other web framework can hand the last
    segment of the path of a POST to :meth:`handle_token`. It must run in the event loop of the client.

    Every job has its own URL: ``public_url``, a slash, and a token made of the job's id and a secret. Keep
    access logs from showing it; whoever knows one can have its job polled, once a second.

    Args:
        public_url: Where the platform reaches the mounted application, e.g. ``https://me.example.com/opus``.
            It must be https unless the API is on this machine. None until it is set, at the latest before
            the first job; :meth:`listening` sets it, for as long as it lasts, where nobody has.
        secret: What the tokens are made with; give your own when jobs outlive the process. Default: random.
        rate: Genuine calls a second that are listened to, with as many at once.

    Attributes:
        counts: What was heard so far.
    """

    @checked(ConfigurationError, public_url=SECRET_TEXT, secret=_SECRET, rate=_RATE)
    def __init__(
        self,
        public_url: str | None = None,
        *,
        secret: str | bytes | None = None,
        rate: float = CALLS_PER_SECOND,
    ) -> None:
        given = secret.encode() if isinstance(secret, str) else secret
        if given is not None and len(given) < 16:  # noqa: PLR2004 - 128 bits
            raise ConfigurationError(
                "The callback secret is too short: give 16 random bytes or more, or none"
            )
        self.counts = CallbackCounts()
        self.public_url = public_url
        self._secret = given or secrets.token_bytes(32)
        self._bucket = TokenBucket(rate, burst=rate)
        self._last: OrderedDict[str, float] = OrderedDict()
        self._wakes: list[tuple[str, Callable[[str], None]]] = []
        self._app: web.Application | None = None

    def __repr__(self) -> str:
        return f"<CallbackReceiver {self.public_url or 'not listening'}, {self.counts.accepted} calls>"

    @property
    def public_url(self) -> str | None:
        """Where the platform reaches this receiver; None where that is not known yet."""
        return self._public_url

    @public_url.setter
    def public_url(self, url: str | None) -> None:
        if url is not None and any(sign in url for sign in "?#@"):
            raise ConfigurationError(
                "The public URL of a callback receiver has no query, fragment or user in it"
            )
        self._public_url = url

    @property
    def app(self) -> web.Application:
        """The aiohttp.web application, for ``add_subapp``; always the same one."""
        if self._app is None:
            self._app = self._new_app()
        return self._app

    def _new_app(self) -> web.Application:
        from aiohttp import web  # noqa: PLC0415 - a client without callbacks needs no server

        app = web.Application()
        app.router.add_post("/{token}", self._handle)
        return app

    def _guarded_app(self, guard: Callable[[], ConnectionGuard]) -> web.Application:
        """The application with a middleware that tells the guard where requests begin and end."""
        from aiohttp import web  # noqa: PLC0415 - a client without callbacks needs no server

        @web.middleware
        async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
            guard().begun(request.transport)
            try:
                return await handler(request)
            finally:
                guard().answered(request.transport)

        app = self._new_app()
        app.middlewares.append(tell)
        return app

    @asynccontextmanager
    async def listening(
        self, *, host: str = "127.0.0.1", port: int = 0, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[str]:
        """Serve the callbacks on a port of its own; gives the public URL.

        Anybody may reach it, so its connections are bounded in number, bytes and seconds; see
        :mod:`opus_async.opus.connection_guard`. Mounted into an application of yours, the receiver bounds
        bodies alone: what its connections may cost is for that application's server to say.

        Args:
            host: The address to listen at.
            port: The port; 0 takes a free one.
            ssl_context: For https without a proxy in front.
        """
        from aiohttp import web  # noqa: PLC0415 - a client without callbacks needs no server

        runner = web.AppRunner(
            self._guarded_app(lambda: guard),
            access_log=None,  # its lines would show tokens
            shutdown_timeout=1.0,
            lingering_time=0,  # the rest of a body that is too large is not waited for
        )
        await runner.setup()
        guard = ConnectionGuard(cast("Callable[[], asyncio.Protocol]", runner.server))
        ours = self.public_url is None
        try:
            server = await asyncio.get_running_loop().create_server(
                guard,
                host,
                port,
                ssl=ssl_context,
                ssl_handshake_timeout=None if ssl_context is None else HEAD_SECONDS,
                reuse_address=True,
                backlog=MAX_CONNECTIONS,
            )
            if ours:
                scheme = "http" if ssl_context is None else "https"
                shown = f"[{host}]" if ":" in host else host
                self.public_url = f"{scheme}://{shown}:{server.sockets[0].getsockname()[1]}"
            try:
                yield self.public_url or ""
            finally:
                await stop_listening(server)
        finally:
            if ours:
                self.public_url = None  # nobody listens there any more
            await runner.cleanup()
            guard.closed = True

    def url_for(self, job_id: str, platform: str = "") -> str:
        """The callback URL of one job, a secret.

        Args:
            job_id: The job.
            platform: Whose job: several may number theirs alike.

        Raises:
            ConfigurationError: It is not known yet where the platform reaches us.
        """
        if self.public_url is None:
            raise ConfigurationError(
                "The callback receiver has no public URL: CallbackReceiver('https://...'), or enter "
                "receiver.listening() before the first job"
            )
        job = f"{platform} {job_id}"
        name = base64.urlsafe_b64encode(job.encode()).rstrip(b"=").decode()
        return f"{self.public_url.rstrip('/')}/{CALLBACK_MARK}{name}.{self._proof(job)}"

    def handle_token(self, token: str) -> int:
        """Handle one call; nothing but the token in its path is read.

        Args:
            token: The last segment of the path it came to.

        Returns:
            The HTTP status to answer with: 204, 404 for a token that is not ours, 429 beyond the rate.
        """
        job = self._job_of(token)
        if job is None:
            self.counts.refused += 1
            return 404
        now = monotonic()
        if now - self._last.get(job, -SAME_CALL) < SAME_CALL:
            self.counts.repeated += 1
            return 204
        if not self._bucket.take(now):
            self.counts.throttled += 1
            return 429
        self._last[job] = now
        self._last.move_to_end(job)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        self.counts.accepted += 1
        platform, _, job_id = job.partition(" ")
        for whose, wake in list(self._wakes):
            if whose == platform:
                wake(job_id)
        return 204

    hear = handle_token  # its former name

    def attach(self, wake: Callable[[str], None], platform: str = "") -> None:
        """Call ``wake`` with the job id of each genuine call about a job of this platform."""
        if (platform, wake) not in self._wakes:
            self._wakes.append((platform, wake))

    def detach(self, wake: Callable[[str], None], platform: str = "") -> None:
        """Undo :meth:`attach`."""
        if (platform, wake) in self._wakes:
            self._wakes.remove((platform, wake))

    async def _handle(self, request: web.Request) -> web.Response:
        from aiohttp import web  # noqa: PLC0415 - imported already by whoever got here

        response = web.Response(status=self.handle_token(request.match_info["token"]))
        left = MAX_BODY if response.status == NO_CONTENT else 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BODY_SECONDS if left else 0):
                async for chunk in request.content.iter_any():  # dropped: so that the sender can end
                    left -= len(chunk)
                    if left < 0:
                        break
                else:
                    return response
        response.force_close()
        return response

    def _job_of(self, token: str) -> str | None:
        """Platform and id of the job that a token is for, as text; None for a token that is not ours."""
        name, _, proof = token.removeprefix(CALLBACK_MARK).partition(".")
        try:
            job = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        except (binascii.Error, ValueError):
            return None
        genuine = hmac.compare_digest(self._proof(job).encode(), proof.encode(errors="replace"))
        return job if genuine else None

    def _proof(self, job: str) -> str:
        digest = hmac.digest(self._secret, job.encode(), hashlib.sha256)[:_TOKEN_BYTES]
        return base64.urlsafe_b64encode(digest).decode()
