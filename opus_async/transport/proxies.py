"""Which proxy leads to a host, read from the environment once.

aiohttp's ``trust_env`` asks the environment and netrc again for every request, at 170 us each.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.request
from collections.abc import Callable, Mapping

from yarl import URL

from opus_async.errors import ConfigurationError

_MOST = 1024
_SCHEME = r"(?ia)([a-z][a-z0-9+.-]*)://"


def shown(proxy: str) -> str:
    """A proxy as it may be shown: scheme, host and port, whatever stands in its user name and password."""
    found = re.match(_SCHEME, proxy)
    scheme = found[0] if found else "http://"
    address = (proxy[len(found[0]) :] if found else proxy).rpartition("@")[2]
    return f"{scheme.lower()}{re.split('[/?#]', address, maxsplit=1)[0]}"


class Proxies:
    """The proxies of the environment (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``; macOS's settings too).

    A loopback address never goes through a proxy: a simulator on this machine is not behind one.

    Args:
        proxies: URL scheme -> proxy; those of the environment by default.
        bypass: Whether a host is reached without a proxy; asked with and without the port.
    """

    def __init__(
        self,
        proxies: Mapping[str, str] | None = None,
        bypass: Callable[[str], object] = urllib.request.proxy_bypass,
    ) -> None:
        self._proxies = dict(urllib.request.getproxies() if proxies is None else proxies)
        self._bypass = bypass
        self._known: dict[tuple[str, str], str | None] = {}

    def for_url(self, url: URL) -> str | None:
        """The proxy's URL; None for a direct connection.

        Raises:
            ConfigurationError: The environment names a proxy that we cannot use, or what is none.
        """
        if not self._proxies:
            return None
        key = (url.scheme, url.authority)
        if key not in self._known:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = self._find(url)
        return self._known[key]

    def _find(self, url: URL) -> str | None:
        proxy = self._proxies.get(url.scheme)
        host = url.host or ""
        if not proxy or _is_loopback(host) or self._bypass(f"{host}:{url.port}") or self._bypass(host):
            return None
        proxy = proxy.strip()
        kind = re.match(_SCHEME, proxy)
        if kind and kind[1].lower() not in {"http", "https"}:
            raise ConfigurationError(
                f"The environment names a {kind[1].lower()} proxy for {url.scheme}; only http and https "
                f"proxies can be used: change {url.scheme.upper()}_PROXY, or add {host} to NO_PROXY"
            )
        return _checked(proxy if kind else f"http://{proxy}", url.scheme)


def _checked(proxy: str, scheme: str) -> str:
    """The same proxy; raises ConfigurationError, without its password, where it is no URL of one."""
    try:
        parsed = URL(proxy)
        usable = bool(parsed.host and parsed.port) and parsed.path in {"", "/"} and not parsed.query_string
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f"{scheme.upper()}_PROXY is no URL of a proxy: write http://HOST:PORT or "
            f"http://USER:PASSWORD@HOST:PORT, with special characters of the password percent-encoded"
        )
    return proxy


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
