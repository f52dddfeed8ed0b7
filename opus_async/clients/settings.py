"""Settings that clients of all platforms take from the environment, and the base URL, checked."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from opus_async.errors import ConfigurationError
from opus_async.spelling import closest
from opus_async.transport.urls import is_loopback

ALIKE = 0.9
"""How like a variable another one must be to be a misspelling of it; OPUS_API_KEY is none of OPUS_API."""


def from_environment(name: str, environ: Mapping[str, str], *, known: Sequence[str]) -> str:
    """A setting from the environment, trimmed; empty where it is not set.

    Args:
        name: Of the variable: PLATFORM_SETTING.
        environ: The environment.
        known: The variables that the platform's client reads.

    Raises:
        ConfigurationError: It is not set, and a variable is that looks like a misspelling of it: without the
            right host, say, the key would go to another one.
    """
    found = environ.get(name, "").strip()
    if found:
        return found
    platform = name.partition("_")[0]
    for given in environ:
        if given.upper().startswith(platform) and given not in known and closest(given, [name], ALIKE):
            raise ConfigurationError(
                f"The environment has {given}, which nothing reads: did you mean {name}? Nothing was sent"
            )
    return ""


def checked_base_url(url: str, *, example: str, secret: str, stacklevel: int = 4) -> str:
    """A base URL without trailing slash; warns where a secret would cross the network unencrypted.

    Args:
        url: Of the platform's API: scheme and host.
        example: What one looks like, for messages.
        secret: What is sent to it, for the warning: "service key", say.
        stacklevel: Of the warning, as for :func:`warnings.warn`, counted from here.

    Raises:
        ConfigurationError: It can never work: no http(s) URL, no host or port that can be, an unfilled
            placeholder; or it carries a query or credentials.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _no_base_url("has brackets that hold no IPv6 address", "correct it", example) from None
    try:
        port = parts.port
    except ValueError:
        raise _no_base_url(
            "names a port that is none", "give one from 1 to 65535, or leave it out", example
        ) from None
    if problem := _url_problem(url, parts, port):
        raise _no_base_url(*problem, example)
    if parts.scheme == "http" and not is_loopback(url):
        warnings.warn(
            f"The {secret} will cross the network unencrypted to {parts.hostname}: use https.",
            UserWarning,
            stacklevel=stacklevel,
        )
    return url.rstrip("/")


def is_at(url: str, domain: str | None) -> bool:
    """Whether a URL is at a host of this domain; of no domain, none is. Nothing is looked up to tell."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return domain is not None and (host == domain or host.endswith(f".{domain}"))


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
        return "must begin with https:// (a simulator's with http://) and name a host", "correct it"
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


def _no_base_url(problem: str, fix: str, example: str) -> ConfigurationError:
    return ConfigurationError(
        f"The base URL {problem}; {fix}, so that it looks like {example}. Nothing was sent"
    )
