"""Where a web server may redirect to: whoever runs it could otherwise have read what this machine can."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from opus_async.transport.urls import is_loopback


def refuse_misled(asked: str, came_to: str) -> None:
    """Refuse a redirect from https to http, and one from elsewhere to this machine or its own network.

    Args:
        asked: The URL that was asked for.
        came_to: The URL that answered.

    Raises:
        ValueError: With what was seen.
    """
    before, after = urlsplit(asked), urlsplit(came_to)
    if (before.scheme, after.scheme) == ("https", "http"):
        raise ValueError("its server redirects from https to http, where anybody on the way can change it")
    if _is_here(came_to, after.hostname) and not _is_here(asked, before.hostname):
        raise ValueError("its server redirects to an address that only this machine can reach")


def _is_here(url: str, host: str | None) -> bool:
    try:
        return is_loopback(url) or ip_address(host or "").is_link_local
    except ValueError:
        return False
