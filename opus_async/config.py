"""What a user may set: limits, time-outs, the retry policy, and the names in the environment.

Frozen values, checked when they are made; every default is an opinion with its reason beside it.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from opus_async.error_codes import NextAction
from opus_async.errors import ConfigurationError

DEFAULT_BASE_URL = "https://operator.opus.com"
MAX_UPLOAD_BYTES = 10 * 1024 * 1024
"""The vendor documents 10 MB a file and does not say which MB; the larger one refuses nothing valid."""

PositiveInt = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Settings):
    """How much happens at once.

    Attributes:
        max_in_flight: Jobs between their first request and their outcome, per ``run_many``.
            Memory follows it.
        api_concurrency: API requests on the wire at once. One core does all it can with 64.
        upload_concurrency: Files on the wire at once.
        api_rate: API requests a second, polls included; None means as many as the platform takes. A 429
            slows all of them down and a long calm speeds them up again, up to this.
        poll_rate: Status polls a second, out of ``api_rate``; None means no bound of its own.
        upload_bandwidth: Bytes a second over all uploads; None means as many as the line takes.
        detect_lag: The wanted mean delay of noticing that a job ended, as a share of the run time learned
            so far, never under 0.5 s: 0.05 polls a one-minute job about every 6 s.
        max_file_bytes: The largest file that is sent; the vendor refuses more than 10 MB.
    """

    max_in_flight: PositiveInt = 500
    api_concurrency: PositiveInt = 64
    upload_concurrency: PositiveInt = 32
    api_rate: Rate | None = None
    poll_rate: Rate | None = None
    upload_bandwidth: Rate | None = None
    detect_lag: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 0.05
    max_file_bytes: PositiveInt = MAX_UPLOAD_BYTES


class Timeouts(_Settings):
    """How long one thing may take, in seconds; each clock starts when its slot is ours.

    Attributes:
        connect: Name look-up, connection and TLS handshake.
        request: One attempt of one API request, answer included.
        upload_stall: An upload that moves no byte for this long is given up and tried again, and so is a
            download. There is no total: a large file on a slow line is not an error.
        job: From the start of a job until we stop waiting for it; None waits for ever. Ends our waiting,
            not the job.
    """

    connect: Seconds = 10
    request: Seconds = 60
    upload_stall: Seconds = 30
    job: Seconds | None = None


class RetryPolicy(_Settings):
    """What happens when a request fails. Waiting in a queue, shared pauses and 429s use up no attempts.

    Attributes:
        attempts: Attempts of one request, the first included.
        max_elapsed: Seconds over all attempts of one request, waits between them included, time spent in
            queues and shared pauses not. Also how long the platform may answer nothing but 429.
        base: The first backoff, in seconds; each next is twice as long, with full jitter.
        cap: No backoff is longer than this, in seconds.
        execute_grace: Seconds over which the platform is asked, at least three times, whether an execute
            with a lost answer was obeyed; twice as long after a second one, four times after a third.
        outage: Seconds for which a host may be gone (no name, no connection, nothing but 5xx or web pages) or
            answer nothing but 429 before it is given up; until then requests wait for it and use up neither
            attempts nor time. One that never answered this client is given up within 30 s all the same.
            None: each request ends by its own attempts and ``max_elapsed``, and none is kept from trying for
            longer than that.
        on_ambiguous: What to do when an execute got no clear answer and the job looks, after the grace,
            exactly like one never started: ``resend`` sends the same job id again, up to three orders in
            all, each after a proof of its own; ``resend_once`` up to two; ``stop`` raises
            AmbiguousExecution, also where the platform refused, because a refusal proves nothing.
    """

    attempts: PositiveInt = 8
    max_elapsed: Seconds = 120
    base: Seconds = 0.25
    cap: Seconds = 20
    execute_grace: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 15
    outage: Seconds | None = None
    on_ambiguous: Literal["resend", "resend_once", "stop"] = "resend"


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


def resolve_key(key: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The service key from the argument or ``OPUS_SERVICE_KEY``, trimmed; warns when its shape is odd.

    Raises:
        ConfigurationError: There is none, or it cannot stand in a header.
    """
    found = (key if key is not None else environ.get("OPUS_SERVICE_KEY", "")).strip()
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
        warnings.warn(f"This may be refused: {problem}.", UserWarning, stacklevel=3)
    return found


def resolve_base_url(url: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The host to talk to, from the argument, ``OPUS_BASE_URL`` or the vendor's; without trailing slash.

    Raises:
        ConfigurationError: It can never work: no http(s) URL, no host or port that can be, an unfilled
            placeholder; or it carries a query or credentials.
    """
    found = (url if url is not None else environ.get("OPUS_BASE_URL", "")).strip() or DEFAULT_BASE_URL
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
            stacklevel=3,
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
    return api if api is not None else environ.get("OPUS_API", "").strip().lower() or "v0"


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, by what it says and without asking a name server."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def resolve_callback(url: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The callback URL from the argument or ``OPUS_CALLBACK_URL``; the dialect checks it before a call."""
    return url if url is not None else environ.get("OPUS_CALLBACK_URL", "").strip() or None
