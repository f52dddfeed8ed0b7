"""Facts about URLs: the part that may be shown, whether the host is this machine, the signed headers."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

_SIGNED_HEADERS = "x-amz-signedheaders"


def without_query(url: str) -> str:
    """The URL as it may be shown: no query, no fragment, no user or password."""
    shown = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = shown.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def signed_headers(url: str) -> frozenset[str]:
    """The header names, in lower case, that a presigned URL was signed for; empty when it does not say.

    Storage answers 403 to a Content-Type that was not signed, and to the lack of one that was.
    """
    for parameter in url.partition("?")[2].partition("#")[0].split("&"):
        name, _, value = parameter.partition("=")
        if name.lower() == _SIGNED_HEADERS:
            return frozenset(unquote(value).lower().split(";"))
    return frozenset()


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, by what it says and without asking a name server."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
