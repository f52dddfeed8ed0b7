"""Which proxy leads to a host, read from the environment once.

aiohttp's ``trust_env`` asks the environment and netrc again for every request, at 170 us each.
"""

from __future__ import annotations

import ipaddress
import urllib.request
from collections.abc import Callable, Mapping

from yarl import URL

from opus_async.errors import ConfigurationError

_MOST = 1024


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
            ConfigurationError: The environment names a proxy of a kind that we cannot use.
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
        scheme, separator, _ = proxy.partition("://")
        if not separator:
            return f"http://{proxy}"
        if scheme.lower() not in {"http", "https"}:
            raise ConfigurationError(
                f"The environment names a {scheme} proxy for {url.scheme}; only http and https proxies "
                f"can be used: change {url.scheme.upper()}_PROXY, or add {host} to NO_PROXY"
            )
        return proxy


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
