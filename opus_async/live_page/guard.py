"""Whom a live page is served to: whoever knows its token, from this machine.

A page of the web that the browser has open could otherwise read it: by the address, whose port can be
guessed, or by a name of its own that leads here (DNS rebinding).
"""

from __future__ import annotations

import hmac
import re
import secrets

_TOKEN_BYTES = 16
"""128 bits: 22 characters that nobody guesses, in a URL that fits on a line."""
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
"""Any port: a tunnel may lead to this machine, and have another one at its other end."""


def new_token() -> str:
    """A token for one run."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def is_token(given: str, token: str) -> bool:
    """Whether a text is the token; how long that takes does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def names_loopback(host: str | None) -> bool:
    """Whether a request was sent to this machine by a name that nobody else can have lead here."""
    return host is not None and _LOOPBACK.fullmatch(host) is not None
