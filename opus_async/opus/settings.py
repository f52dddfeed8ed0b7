"""Service key, base URL, API version and callback URL of a client, from arguments or the environment.

Resolved from an argument, else the environment, else a default; checked before anything is sent.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from opus_async.error_codes import NextAction
from opus_async.errors import ConfigurationError
from opus_async.opus.protocol import requests
from opus_async.spelling import closest
from opus_async.transport.urls import is_loopback

DEFAULT_BASE_URL = "https://operator.opus.com"

VARIABLES = ("OPUS_SERVICE_KEY", "OPUS_BASE_URL", "OPUS_API", "OPUS_CALLBACK_URL")
"""The variables of the environment that a client reads."""
ALIKE = 0.9
"""How like one of them another variable must be to be a misspelling; OPUS_API_KEY is none of OPUS_API."""

_KEY_SHAPE = re.compile(r"_[0-9a-fA-F]{96}")
_KEY_LENGTH = 97


def key_problem(key: str) -> str | None:
    """What looks wrong with a service key, in one sentence without the key; None when nothing does.

    Keys seen are ``_`` and 96 hex characters; the underscore is easily lost when a key is copied. Another
    shape is no error: a mock or a future key may have one.
    """
    if _KEY_SHAPE.fullmatch(key):
        return None
    if re.fullmatch(r"[0-9a-fA-F]{96}", key):
        return "the service key has lost its leading underscore: put '_' in front of it"
    return (
        f"the service key has {len(key)} characters; keys seen so far are '_' and 96 hex characters "
        f"({_KEY_LENGTH} in all): copy it again, the leading underscore included"
    )


def from_environment(name: str, environ: Mapping[str, str]) -> str:
    """A setting from the environment, trimmed; empty where it is not set.

    Raises:
        ConfigurationError: It is not set, and a variable is that looks like a misspelling of it: without the
            right host, say, the key would go to another one.
    """
    found = environ.get(name, "").strip()
    if found:
        return found
    for given in environ:
        if given.upper().startswith("OPUS") and given not in VARIABLES and closest(given, [name], ALIKE):
            raise ConfigurationError(
                f"The environment has {given}, which nothing reads: did you mean {name}? Nothing was sent"
            )
    return ""


def resolve_key(key: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The service key from the argument or ``OPUS_SERVICE_KEY``, trimmed; warns when its shape is odd.

    Raises:
        ConfigurationError: There is none, or it cannot stand in a header.
    """
    found = (key if key is not None else from_environment("OPUS_SERVICE_KEY", environ)).strip()
    if not found:
        missing = ConfigurationError(
            "No service key: set OPUS_SERVICE_KEY. "
            "Keys are made in Opus under My Organization > settings > API Keys."
        )
        missing.advised(NextAction.SET_KEY, "A program can pass service_key=... instead")
        raise missing
    if not found.isascii() or not found.isprintable() or " " in found:
        raise ConfigurationError(
            "The service key holds a space or a character that cannot stand in a header: copy it again."
        )
    if problem := key_problem(found):
        warnings.warn(f"This may be refused: {problem}.", UserWarning, stacklevel=4)
    return found


def resolve_base_url(url: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The host to talk to, from the argument, ``OPUS_BASE_URL`` or the vendor's; without trailing slash.

    Raises:
        ConfigurationError: It can never work: no http(s) URL, no host or port that can be, an unfilled
            placeholder; or it carries a query or credentials.
    """
    given = url if url is not None else from_environment("OPUS_BASE_URL", environ)
    found = given.strip() or DEFAULT_BASE_URL
    try:
        parts = urlsplit(found)
    except ValueError:
        raise _no_base_url("has brackets that hold no IPv6 address", "correct it") from None
    try:
        port = parts.port
    except ValueError:
        raise _no_base_url("names a port that is none", "give one from 1 to 65535, or leave it out") from None
    if problem := _url_problem(found, parts, port):
        raise _no_base_url(*problem)
    if parts.scheme == "http" and not is_loopback(found):
        warnings.warn(
            f"The service key will cross the network unencrypted to {parts.hostname}: use https.",
            UserWarning,
            stacklevel=4,
        )
    return found.rstrip("/")


_PLACEHOLDER = re.compile(r"[${}<>]|%[A-Za-z_]+%")
_HOST = re.compile(
    r"(?=.{1,253}\.?$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
_FOUR_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+){3}")


def _url_problem(found: str, parts: SplitResult, port: int | None) -> tuple[str, str] | None:  # noqa: PLR0911 - a table
    """Why no request to this URL can ever be answered, and what to do; None when nothing shows."""
    if _PLACEHOLDER.search(found):
        return "holds a placeholder that nothing has filled in", "put the host's own name there"
    if not found.isprintable() or " " in found or "\\" in found:
        return "holds a space, a backslash or a control character", "take it out"
    if parts.scheme not in {"http", "https"}:
        return "must begin with https:// and name a host", "correct it"
    if not parts.netloc:
        return "names no host: two slashes follow the colon, and the host follows them", "correct it"
    if "@" in parts.netloc or "?" in found or "#" in found:
        return "must have no user, password, query or fragment in it", "take that out"
    if not found.isascii():
        return "holds characters that are not ASCII", "write the host in ASCII (xn--...)"
    if parts.netloc.endswith(":") or port == 0:
        return "names port 0 or none after the colon", "give a port from 1 to 65535, or leave it out"
    return _host_problem(parts)


def _host_problem(parts: SplitResult) -> tuple[str, str] | None:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        with suppress(ValueError):
            ip_address(host)
            return None
    elif _HOST.fullmatch(host) and not (_FOUR_NUMBERS.fullmatch(host) and not _is_address(host)):
        return None
    return (
        "names no host that can be: a name of letters, digits, dots and hyphens, or an address",
        "correct it",
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _no_base_url(problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError(
        f"The base URL {problem}; {fix}, so that it looks like {DEFAULT_BASE_URL}. Nothing was sent"
    )


def resolve_api(api: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The generation of the API from the argument, ``OPUS_API`` or ``v0``; not checked here."""
    return api if api is not None else from_environment("OPUS_API", environ).lower() or "v0"


def resolve_callback(url: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The callback URL from the argument or ``OPUS_CALLBACK_URL``; checked by ``api_versions``."""
    return url if url is not None else from_environment("OPUS_CALLBACK_URL", environ) or None


def check_callback(url: str, *, plain_http: bool) -> None:
    """See that the platform will take a callback URL.

    Args:
        url: The URL.
        plain_http: Whether http is enough, because the API itself is on this machine.

    Raises:
        ConfigurationError: It will not. The message does not quote the URL, whose path can be a secret.
    """
    requests.callback(url, plain_http=plain_http)
