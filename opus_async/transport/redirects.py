"""Redirects: followed inside their own origin alone, and only where the request stays what it is."""

from __future__ import annotations

import re
from contextlib import suppress

from yarl import URL

from opus_async.errors import Obstacle, TransportError
from opus_async.gaps import gapped, literal
from opus_async.transport.urls import without_query

__all__ = ["REDIRECTS", "next_url", "redirect_refused"]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPING_METHOD = frozenset({307, 308})
_PLAIN = re.compile(r"[!-~]+")
"""A Location that can go into a request line as it is; any other is quoted first."""


def next_url(method: str, url: str, *, status: int, location: str) -> str:
    """The URL to which a redirect leads.

    Args:
        method: Of the request.
        url: Of the request.
        status: Of the response, one of ``REDIRECTS``.
        location: Its ``Location`` header.

    Raises:
        TransportError: It leads to another origin, to no URL, or would turn the request into a GET.
    """
    here = URL(url, encoded=True)
    there = _join(here, location)
    if there is None:
        raise redirect_refused(method, url, "was redirected to something that is no URL")
    if there.origin() != here.origin() or there.user is not None:
        raise redirect_refused(method, url, f"was redirected to {there.origin()}, where nothing is sent")
    if status not in _KEEPING_METHOD and method not in {"GET", "HEAD"}:
        raise redirect_refused(
            method, url, f"was redirected with HTTP {status}, which would turn it into a GET"
        )
    return str(there)


def redirect_refused(method: str, url: str, what: str) -> TransportError:
    """The error for a redirect that is not followed; ``what`` happened to the request."""
    shown = without_query(url)
    return TransportError(
        gapped(f"{literal(method)} {{}} {literal(what)} (check the base URL)", shown),
        request_sent=True,
        retryable=False,
        obstacle=Obstacle.REDIRECT,
        method=method,
        url=shown,
    )


def _join(here: URL, location: str) -> URL | None:
    with suppress(ValueError):
        there = here.join(URL(location, encoded=bool(_PLAIN.fullmatch(location))))
        if there.scheme and there.host:
            return there
    return None
