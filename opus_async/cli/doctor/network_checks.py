"""The way to the platform, step by step: name, connection, certificate, clock, and then whoever answers.

Each step needs the one before it, so the first that fails names the problem and the rest is left out.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import time
import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from yarl import URL

from opus_async.cli.doctor import DoctorOptions, api_checks
from opus_async.cli.doctor.checks import PATIENCE, Check, bad, good, risk, skipped
from opus_async.config import Timeouts
from opus_async.errors import ConfigurationError, OpusError, TransportError
from opus_async.opus.settings import resolve_base_url
from opus_async.transport.http import Http, Request
from opus_async.transport.proxies import Proxies

WORST_SKEW = 60.0
"""Seconds. A presigned URL carries its time; storage refuses what is signed too far away from its own."""
EXPIRY_NOTICE = timedelta(days=14)
_OTHER_HOST = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

_NAME, _CONNECTION, _CERTIFICATE, _CLOCK = "name", "connection", "certificate", "clock"
_STEPS = (_NAME, _CONNECTION, _CERTIFICATE, _CLOCK, *api_checks.STEPS)
_TIME = rb"(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)"
_VALIDITY = re.compile(rb"\x30[\x1e-\x22]" + _TIME + _TIME)
"""In a DER certificate: a sequence of two times, of two or four digits for the year (RFC 5280, 4.1.2.5)."""


class _Stopped(Exception):
    """A step failed: what it found is in ``args[0]``."""


async def examine(options: DoctorOptions) -> list[Check]:
    """Take every step that can be taken; ``options`` are the command's."""
    found: list[Check] = []
    try:
        await _walk(found, options)
    except _Stopped as stopped:
        found.append(stopped.args[0])
    seen = {check.name for check in found}
    missing = [step for step in _STEPS if step not in seen]
    return found + [skipped(step, "needs what has failed above") for step in missing]


async def _walk(found: list[Check], options: DoctorOptions) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            base_url = resolve_base_url(None)
    except ConfigurationError:  # said already
        return
    url = URL(base_url)
    try:
        proxy = Proxies().for_url(url)
    except ConfigurationError as error:
        raise _Stopped(bad(_NAME, error.message, "correct the setting named here")) from None
    target = URL(proxy) if proxy else url
    host, port = target.host or "", target.port or 443
    found.append(await _resolve(host, port))
    found.append(await _reach(host, port))
    if url.scheme == "https" and not proxy:
        found.append(await _shake_hands(host, port))
    else:
        why = "the proxy is in between: see the live call" if proxy else "no TLS: this is plain http"
        found.append(skipped(_CERTIFICATE, why))
    found.append(await _compare_clocks(base_url))
    found += await api_checks.examine(options, base_url)


async def _resolve(host: str, port: int) -> Check:
    try:
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise _Stopped(
            bad(
                _NAME,
                f"{host} cannot be resolved: {_reason(error)}",
                "check the spelling of OPUS_BASE_URL, the DNS server, the VPN",
            )
        ) from None
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    return good(_NAME, f"{host} is {', '.join(addresses[:3])}{', ...' if len(addresses) > 3 else ''}")  # noqa: PLR2004


async def _reach(host: str, port: int) -> Check:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        why = _reason(error)
        raise _Stopped(
            bad(
                _CONNECTION,
                f"{host}:{port}: {why}",
                "check OPUS_BASE_URL, the firewall, whether a proxy is needed",
            )
        ) from None
    spent = time.perf_counter() - began
    await _close(writer)
    return good(_CONNECTION, f"{host}:{port} within {spent * 1000:.0f} ms")


async def _shake_hands(host: str, port: int) -> Check:
    try:
        certificate = await _certificate(host, port, ssl.create_default_context())
    except ssl.SSLCertVerificationError as error:
        raise _Stopped(await _untrusted(host, port, error)) from None
    except (OSError, TimeoutError) as error:
        raise _Stopped(
            bad(
                _CERTIFICATE,
                f"the TLS handshake failed: {_reason(error)}",
                "what listens there may not speak TLS: check scheme and port of OPUS_BASE_URL, or a proxy's",
            )
        ) from None
    ends = expiry(certificate)
    if ends is None:
        return good(_CERTIFICATE, "trusted")
    if ends - datetime.now(UTC) < EXPIRY_NOTICE:
        return risk(_CERTIFICATE, f"trusted, but only until {ends:%Y-%m-%d}", "tell the platform's operator")
    return good(_CERTIFICATE, f"trusted, valid until {ends:%Y-%m-%d}")


async def _untrusted(host: str, port: int, error: ssl.SSLCertVerificationError) -> Check:
    """Say what is wrong with a certificate; nothing is sent over the connection that looks at it."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    ends = None
    with suppress(OSError, TimeoutError):
        ends = expiry(await _certificate(host, port, blind))
    until = f" (valid until {ends:%Y-%m-%d %H:%M} UTC)" if ends else ""
    if ends and ends < datetime.now(UTC):
        fix = "check this machine's date; if it is right, the server's operator has to renew the certificate"
    elif error.verify_code in _OTHER_HOST:
        fix = "the base URL names another host than the certificate: correct OPUS_BASE_URL"
    else:
        fix = "install the CA that signed it (SSL_CERT_FILE=bundle.pem), or ask who runs a proxy in between"
    return bad(_CERTIFICATE, f"not trusted: {error.verify_message}{until}", fix)


async def _certificate(host: str, port: int, context: ssl.SSLContext) -> bytes:
    async with asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        shaken = writer.get_extra_info("ssl_object")
        return shaken.getpeercert(binary_form=True) or b""
    finally:
        await _close(writer)


def expiry(certificate: bytes) -> datetime | None:
    """When a DER certificate ends; None when that is not found in it."""
    match = _VALIDITY.search(certificate)
    if match is None:
        return None
    short, full = match.group(3, 4)
    # Years of two digits: 50 to 99 are of the last century.
    text = (full or (b"19" if short >= b"50" else b"20") + short).decode()
    with suppress(ValueError):
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return None


async def _compare_clocks(base_url: str) -> Check:
    """Hold our clock against the Date of an answer; the request carries no key."""
    http = Http(Timeouts(connect=PATIENCE, request=PATIENCE))
    before = time.time()
    try:
        answer = await http.send(Request(operation="clock", method="GET", url=f"{base_url}/", headers={}))
    except OpusError as error:
        if isinstance(error, TransportError) and not error.retryable:  # a redirect: the API may still answer
            return skipped(_CLOCK, error.message)
        raise _Stopped(bad(_CLOCK, error.message, "without an answer nothing else can work")) from None
    finally:
        await http.close()
    middle = (before + time.time()) / 2
    try:
        there = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5  # it is cut to the second
    except (KeyError, ValueError):
        return risk(_CLOCK, "the answer has no readable Date", "check this machine's clock in another way")
    skew = middle - there
    if abs(skew) > WORST_SKEW:
        which = "ahead of" if skew > 0 else "behind"
        return bad(
            _CLOCK,
            f"{timedelta(seconds=round(abs(skew)))} {which} the platform's",
            "set this machine's clock (NTP): uploads to presigned URLs fail when it is wrong",
        )
    return good(_CLOCK, f"within {max(abs(skew), 1):.0f} s of the platform's")


def _reason(error: Exception) -> str:
    """The system's own words."""
    match error:
        case TimeoutError():
            return f"no answer within {PATIENCE:.0f} s"
        case ssl.SSLError(reason=str(reason)):
            return reason.replace("_", " ").lower()
        case socket.gaierror():
            return error.strerror or "no such name"
        case OSError(errno=int(number)):
            return os.strerror(number)
    return str(error)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
