"""Service key, base URL, API version and callback URL of a client, from arguments or the environment.

Resolved from an argument, else the environment, else a default; checked before anything is sent.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping

from opus_async.clients.settings import checked_base_url, from_environment
from opus_async.error_codes import NextAction
from opus_async.errors import ConfigurationError
from opus_async.opus.protocol import requests

DEFAULT_BASE_URL = "https://operator.opus.com"

VARIABLES = ("OPUS_SERVICE_KEY", "OPUS_BASE_URL", "OPUS_API", "OPUS_CALLBACK_URL")
"""The variables of the environment that a client reads."""

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


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    return from_environment(name, environ, known=VARIABLES)


def resolve_key(key: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The service key from the argument or ``OPUS_SERVICE_KEY``, trimmed; warns when its shape is odd.

    Raises:
        ConfigurationError: There is none, or it cannot stand in a header.
    """
    found = (key if key is not None else _from_environment("OPUS_SERVICE_KEY", environ)).strip()
    if not found:
        missing = ConfigurationError(
            "No service key: set OPUS_SERVICE_KEY. "
            "Keys are made in Opus under My Organization > settings > API Keys. "
            "To try it without one: opus-async simulate -- COMMAND."
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
        ConfigurationError: It can never work; see :func:`opus_async.clients.settings.checked_base_url`.
    """
    given = url if url is not None else _from_environment("OPUS_BASE_URL", environ)
    found = given.strip() or DEFAULT_BASE_URL
    return checked_base_url(found, example=DEFAULT_BASE_URL, secret="service key", stacklevel=5)  # noqa: S106 - no password


def resolve_api(api: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The generation of the API from the argument, ``OPUS_API`` or ``v0``; not checked here."""
    return api if api is not None else _from_environment("OPUS_API", environ).lower() or "v0"


def resolve_callback(url: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The callback URL from the argument or ``OPUS_CALLBACK_URL``; checked by ``api_versions``."""
    return url if url is not None else _from_environment("OPUS_CALLBACK_URL", environ) or None


def check_callback(url: str, *, plain_http: bool) -> None:
    """See that the platform will take a callback URL.

    Args:
        url: The URL.
        plain_http: Whether http is enough, because the API itself is on this machine.

    Raises:
        ConfigurationError: It will not. The message does not quote the URL, whose path can be a secret.
    """
    requests.callback(url, plain_http=plain_http)
