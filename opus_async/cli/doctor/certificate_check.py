"""Checks the certificate of the platform: whether it is trusted, and until when."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from opus_async.cli.checks import PATIENCE, Check, StepFailed, bad, good, risk
from opus_async.cli.doctor.sockets import close, system_reason
from opus_async.cli.tables import printable
from opus_async.transport.network_errors import UNKNOWN_ISSUER

CERTIFICATE = "certificate"
EXPIRY_NOTICE = timedelta(days=14)

_OTHER_HOST = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_COMMON_NAME, _ORGANIZATION = b"\x03", b"\x0a"
_NAMED = re.compile(rb"\x06\x03\x55\x04([\x03\x0a])[\x0c\x13\x14\x16]([\x01-\x7f])", re.DOTALL)
"""In a DER certificate: an attribute of a name, its kind and the length of its text (RFC 5280, 4.1.2.4)."""
_TIME = rb"(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)"
_VALIDITY = re.compile(rb"\x30[\x1e-\x22]" + _TIME + _TIME)
"""In a DER certificate: a sequence of two times, of two or four digits for the year (RFC 5280, 4.1.2.5)."""


async def examine(host: str, port: int) -> Check:
    """Make a TLS handshake, and look at the certificate.

    Raises:
        StepFailed: The certificate is not trusted, or there was no handshake.
    """
    try:
        certificate = await _fetch(host, port, ssl.create_default_context())
    except ssl.SSLCertVerificationError as error:
        raise StepFailed(await _untrusted(host, port, error)) from None
    except (OSError, TimeoutError) as error:
        raise StepFailed(
            bad(
                CERTIFICATE,
                f"the TLS handshake failed: {system_reason(error)}",
                "what listens there may not speak TLS: check scheme and port of OPUS_BASE_URL, or a proxy's",
            )
        ) from None
    ends = expiry(certificate)
    if ends is None:
        return good(CERTIFICATE, "trusted")
    if ends - datetime.now(UTC) < EXPIRY_NOTICE:
        return risk(CERTIFICATE, f"trusted, but only until {ends:%Y-%m-%d}", "tell the platform's operator")
    return good(CERTIFICATE, f"trusted, valid until {ends:%Y-%m-%d}")


async def _untrusted(host: str, port: int, error: ssl.SSLCertVerificationError) -> Check:
    """Say what is wrong with a certificate; it is fetched unverified, and nothing is sent."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    ends = maker = None
    with suppress(OSError, TimeoutError):
        certificate = await _fetch(host, port, blind)
        ends, maker = expiry(certificate), issuer(certificate)
    until = f" (valid until {ends:%Y-%m-%d %H:%M} UTC)" if ends else ""
    if ends and ends < datetime.now(UTC):
        fix = "check this machine's date; if it is right, the server's operator has to renew the certificate"
    elif error.verify_code in _OTHER_HOST:
        fix = "the base URL names another host than the certificate: correct OPUS_BASE_URL"
    elif error.verify_code in UNKNOWN_ISSUER:
        until += f", issued by {maker}" if maker else ""
        who = repr(maker) if maker else "its issuer"
        fix = (
            f"if {who} is a proxy or a virus scanner that inspects TLS: save its CA certificate as a PEM "
            "file, and set SSL_CERT_FILE to it"
        )
    else:
        fix = "install the CA that signed it (SSL_CERT_FILE=bundle.pem), or ask who runs a proxy in between"
    return bad(CERTIFICATE, f"not trusted: {error.verify_message}{until}", fix)


async def _fetch(host: str, port: int, context: ssl.SSLContext) -> bytes:
    """The certificate of a host, in DER."""
    async with asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        shaken = writer.get_extra_info("ssl_object")
        return shaken.getpeercert(binary_form=True) or b""
    finally:
        await close(writer)


def issuer(certificate: bytes) -> str | None:
    """Who issued a certificate in DER: its common name, else its organization; None when none is found."""
    validity = _VALIDITY.search(certificate)
    before = certificate[: validity.start()] if validity else b""  # the subject stands behind
    names = {found[1]: found for found in _NAMED.finditer(before)}
    found = names.get(_COMMON_NAME) or names.get(_ORGANIZATION)
    if found is None:
        return None
    text = before[found.end() : found.end() + found[2][0]]
    return printable(text.decode(errors="replace")) or None


def expiry(certificate: bytes) -> datetime | None:
    """When a certificate in DER expires; None when that is not found in it."""
    match = _VALIDITY.search(certificate)
    if match is None:
        return None
    short, full = match.group(3, 4)
    # Years of two digits: 50 to 99 are of the last century.
    text = (full or (b"19" if short >= b"50" else b"20") + short).decode()
    with suppress(ValueError):
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return None
