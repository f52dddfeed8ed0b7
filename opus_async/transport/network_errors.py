"""Converts exceptions of aiohttp and the system to a TransportError: was it sent, is a retry worth it?

Only errors of opening a connection prove that no byte of a request left. No message here quotes an exception
whose text may hold a URL.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from http import HTTPStatus

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from opus_async.errors import Obstacle, TransportError
from opus_async.gaps import gapped, literal
from opus_async.transport.connections import ClosedBeforeItWasSent, TwoAnswers
from opus_async.transport.exchange import AnswerTooLarge
from opus_async.transport.proxies import shown
from opus_async.transport.shortage import advice, out_of
from opus_async.transport.urls import without_query

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"})
_SERVER_ERROR = 500
UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes of a certificate whose issuer is not known here: what a proxy that inspects TLS makes."""
_UNSENDABLE = r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]"
"""Characters that aiohttp refuses to write into the head of a request; compiled when first looked for."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """What kept a request from being answered; the attributes are those of :class:`TransportError`."""

    finding: str
    fix: str = ""
    obstacle: Obstacle = Obstacle.NETWORK
    _: KW_ONLY
    retryable: bool = True


def to_transport_error(
    error: Exception,
    *,
    method: str,
    url: str,
    clock: aiohttp.ClientTimeout | None = None,
    stopped_here: bool = False,
    proxy: str | None = None,
) -> TransportError:
    """Convert the exception of one attempt.

    Args:
        error: What was raised.
        method: Of the request.
        url: Of the request; it may have a query, which is cut off here.
        clock: The time-outs it had.
        stopped_here: Whether :func:`never_begins` tells that it cannot have been sent.
        proxy: The proxy that it went through; None for none, or where that is not known.
    """
    failure = _through_proxy(error, url, proxy) or _never_left(error, clock, stopped_here=stopped_here)
    if failure is None:
        return _told(_lost(error, clock), method, url, request_sent=True)
    told = _told(failure, method, url, request_sent=False)
    told.shortage = out_of(error) if failure.obstacle is Obstacle.SHORTAGE else None
    return told


def _told(failure: _Failure, method: str, url: str, *, request_sent: bool) -> TransportError:
    place = without_query(url)
    said = f"{failure.finding}; {failure.fix}" if failure.fix else failure.finding
    return TransportError(
        gapped(f"{literal(method)} {{}}: {literal(said)}", place),
        request_sent=request_sent,
        retryable=failure.retryable,
        obstacle=failure.obstacle,
        finding=failure.finding,
        fix=failure.fix,
        method=method,
        url=place,
    )


def never_begins(session: aiohttp.ClientSession, method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request of this session is refused by aiohttp before a byte of it is written.

    Without that a ``ValueError`` proves nothing: it may have come while the answer was read.
    """
    if session.closed or getattr(session, "_loop", None) is not asyncio.get_running_loop():
        return True
    return any(
        re.search(_UNSENDABLE, text) for pair in (*session.headers.items(), *headers.items()) for text in pair
    ) or bool(re.search(_UNSENDABLE, method))


def _never_left(  # noqa: C901, PLR0911 - a table
    error: Exception, clock: aiohttp.ClientTimeout | None, *, stopped_here: bool
) -> _Failure | None:
    """What happened, of an error that proves that nothing was sent; else None."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            within = f" within {clock.connect:g} s" if clock and clock.connect else ""
            return _Failure(f"no connection{within}", "check the network, or raise Timeouts.connect")
        case aiohttp.ClientConnectorError() | RuntimeError() if what := out_of(error):
            return _Failure(f"this machine has no {what} left", advice(what), Obstacle.SHORTAGE)
        case aiohttp.ClientConnectorCertificateError():
            return _certificate(error.certificate_error, error.host)
        case aiohttp.ClientConnectorDNSError():
            finding = f"the name {error.host} cannot be resolved"
            return _Failure(finding, "check the spelling and the network")
        case aiohttp.ClientConnectorSSLError():
            return _handshake(error)
        case aiohttp.ClientConnectorError():
            finding = f"no connection to {error.host} ({_reason(error)})"
            return _Failure(finding, "check the base URL and the network")
        case ClosedBeforeItWasSent():
            return _Failure("the client was closed", "", Obstacle.CLOSED, retryable=False)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return _Failure("this is no http(s) URL", "", Obstacle.REQUEST, retryable=False)
        case aiohttp.ClientError() | OSError():
            return None
        case ValueError() if stopped_here:
            finding = "a header, the method or the URL holds a character that HTTP does not allow"
            return _Failure(finding, "", Obstacle.REQUEST, retryable=False)
        case RuntimeError() if stopped_here:
            finding = "the session is closed, or belongs to another event loop"
            return _Failure(finding, "", Obstacle.CLOSED, retryable=False)
    return None


def _through_proxy(error: Exception, url: str, proxy: str | None) -> _Failure | None:
    """The same as :func:`_never_left`, of errors that a proxy has to do with."""
    named = f"{shown(proxy)}, " if proxy else ""
    setting = f"{url.partition(':')[0].upper()}_PROXY"
    match error:
        case aiohttp.ClientConnectorError() if out_of(error):
            return None
        case aiohttp.ClientHttpProxyError(status=HTTPStatus.PROXY_AUTHENTICATION_REQUIRED):
            return _wants_password(url, proxy)
        case aiohttp.ClientHttpProxyError():
            host = URL(without_query(url)).host
            return _Failure(
                f"the proxy refused the tunnel to {host} ({named}HTTP {error.status})",
                f"ask who runs it whether it lets through to {host}, or check {setting}",
                Obstacle.PROXY,
                retryable=error.status >= _SERVER_ERROR,
            )
        case aiohttp.ClientProxyConnectionError():
            finding = f"the proxy cannot be reached ({named}{_reason(error)})"
            return _Failure(finding, f"check {setting}")
        case aiohttp.ClientConnectorCertificateError() if proxy:
            return _certificate(error.certificate_error, error.host, f"the proxy {shown(proxy)}")
    return None


def _wants_password(url: str, proxy: str | None) -> _Failure:
    status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value
    if proxy is None:
        finding = f"a proxy in between wants a user name and a password (HTTP {status})"
        return _Failure(finding, "ask who runs the network", Obstacle.PROXY, retryable=False)
    name = f"{url.partition(':')[0].upper()}_PROXY"
    scheme, _, address = shown(proxy).partition("://")
    has_password = "@" in proxy
    refuses = (
        "refuses the user name and password in" if has_password else "wants a user name and a password in"
    )
    return _Failure(
        f"the proxy {shown(proxy)} {refuses} {name} (HTTP {status})",
        f"write them as {scheme}://USER:PASSWORD@{address}, special characters percent-encoded",
        Obstacle.PROXY,
        retryable=False,
    )


def proxy_wants_password(method: str, url: str, proxy: str | None) -> TransportError:
    """The error of an HTTP 407: a proxy did not pass the request on, whoever named that proxy.

    Args:
        method: Of the request.
        url: Of the request; it may have a query, which is cut off here.
        proxy: The proxy that it went through; None where none is known of.
    """
    return _told(_wants_password(url, proxy), method, url, request_sent=False)


def _lost(error: Exception, clock: aiohttp.ClientTimeout | None) -> _Failure:  # noqa: PLR0911 - a table
    """What happened, of an error after which the request may have been seen."""
    match error:
        case AnswerTooLarge():
            finding = f"the answer is larger than {error.args[0]:,} bytes and was not read to its end"
            return _Failure(finding, "", Obstacle.TOO_LARGE, retryable=False)
        case aiohttp.SocketTimeoutError() if clock and clock.sock_read:
            finding = f"the download stalled: no byte came for {clock.sock_read:g} s"
            return _Failure(finding, "check the network, or raise Timeouts.upload_stall")
        case TimeoutError():
            within = f" within {clock.total:g} s" if clock and clock.total else " in time"
            return _Failure(f"no complete answer{within}; the server may have seen the request")
        case TwoAnswers():
            return _Failure("two answers came to one request, and which is its own cannot be told")
        case aiohttp.ServerDisconnectedError():
            return _Failure("the server closed the connection before it answered")
        case aiohttp.ClientPayloadError():
            return _Failure("the answer was cut short or is damaged")
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return _Failure("the answer is not HTTP that can be read (damaged, or with oversized headers)")
        case OSError():
            return _Failure(f"the connection broke ({_reason(error)})")
    return _Failure(f"the exchange failed ({type(error).__name__})")


def _handshake(error: aiohttp.ClientConnectorSSLError) -> _Failure:
    reason = _reason(error)
    if reason in _NO_TLS:
        finding = f"{error.host} does not speak TLS there ({reason})"
        fix = "check scheme and port of the base URL"
        return _Failure(finding, fix, Obstacle.CERTIFICATE, retryable=False)
    return _Failure(f"the TLS handshake with {error.host} failed ({reason})", "check the network")


def _certificate(error: Exception, host: str, proxy: str = "") -> _Failure:
    why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else type(error).__name__
    finding = f"the certificate of {host} is not trusted ({why})"
    fix = (
        "check this machine's clock, install the missing CA certificates (SSL_CERT_FILE names another "
        "bundle), or ask who runs the proxy in between"
    )
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in UNKNOWN_ISSUER:
        who = proxy or "a proxy or a virus scanner in between"
        finding = f"{finding}; probably {who} inspects TLS"
        fix = "save the CA certificate of that one as a PEM file and set SSL_CERT_FILE to it"
    return _Failure(finding, fix, Obstacle.CERTIFICATE, retryable=False)


def _reason(error: OSError) -> str:
    """The system's own words: they name addresses and errnos, never URLs."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ssl.SSLError):
        return cause.reason or type(cause).__name__
    if cause.errno is not None:
        name = errno.errorcode.get(cause.errno, str(cause.errno))
        return f"{name}: {os.strerror(cause.errno)}"
    return type(cause).__name__
