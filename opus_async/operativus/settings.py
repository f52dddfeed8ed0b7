"""Base URL and credentials of a client, from arguments or the environment; checked before use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from opus_async.clients.settings import checked_base_url, from_environment
from opus_async.config import Limits
from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import ConfigurationError
from opus_async.operativus.protocol.hints import hint

DEFAULT_BASE_URL = "http://localhost:8080"
API_RATE = 42.0
"""Requests a second of a client that is given no ``Limits(api_rate=...)``. Servers answer 429 from 50 on, and
no second is to see more than 45: two may go out at once after a quiet moment."""

VARIABLES = ("OPERATIVUS_BASE_URL", "OPERATIVUS_TOKEN", "OPERATIVUS_USERNAME", "OPERATIVUS_PASSWORD")
"""The variables of the environment that a client reads."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the caller's, which cannot be renewed."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """A user's name and password, for which the server gives a token whenever one is needed."""

    username: str
    password: str = field(repr=False)


Credentials: TypeAlias = Token | Login


def resolve_base_url(url: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The server to talk to, from the argument, ``OPERATIVUS_BASE_URL`` or the default; no trailing slash.

    Raises:
        ConfigurationError: It can never work; see :func:`opus_async.clients.settings.checked_base_url`.
    """
    given = url if url is not None else _from_environment("OPERATIVUS_BASE_URL", environ)
    found = given.strip() or DEFAULT_BASE_URL
    return checked_base_url(found, example=DEFAULT_BASE_URL, secret="token", stacklevel=5)  # noqa: S106 - no password


def resolve_credentials(
    token: str | None,
    username: str | None,
    password: str | None,
    environ: Mapping[str, str] = os.environ,
) -> Credentials:
    """What the client authenticates with: arguments win over the environment, a token over a password.

    Raises:
        ConfigurationError: There is nothing, half of something, two of them, or a token that cannot stand in
            a header.
    """
    if token is not None and (username is not None or password is not None):
        raise ConfigurationError("Give a token, or a user name and a password, not both")
    if token is None and username is None and password is None:
        token = _from_environment("OPERATIVUS_TOKEN", environ) or None
        if token is None:
            username = _from_environment("OPERATIVUS_USERNAME", environ) or None
            password = environ.get("OPERATIVUS_PASSWORD") or None
    if token is not None:
        return Token(_checked(token.strip()))
    if username is None and password is None:
        raise _nothing_given()
    missing = "user name" if not username else "password" if not password else None
    if missing or username is None or password is None:
        raise ConfigurationError(f"There is no {missing} to log in with: it takes both, or a token")
    return Login(username, password)


def with_rate(limits: Limits | None) -> Limits:
    """The limits of a client, with the rate that servers demand where the caller gave none."""
    given = limits or Limits()
    return given if given.api_rate is not None else given.model_copy(update={"api_rate": API_RATE})


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    return from_environment(name, environ, known=VARIABLES)


def _checked(token: str) -> str:
    if token.lower().startswith("bearer "):
        token = token[len("bearer ") :].strip()
    if not token:
        raise _nothing_given()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "The token holds a space or a character that cannot stand in a header: copy it again."
        )
    return token


def _nothing_given() -> ConfigurationError:
    missing = ConfigurationError(
        "No token: set OPERATIVUS_TOKEN, or OPERATIVUS_USERNAME and OPERATIVUS_PASSWORD to log in with"
    )
    missing.advised(NextAction.SET_KEY, hint(NextStep(NextAction.SET_KEY)))
    return missing
