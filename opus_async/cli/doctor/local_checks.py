"""Checks that need no network, and are the same for all platforms: versions, ``.env``, proxy, open files."""

from __future__ import annotations

import platform
import resource
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata

from yarl import URL

from opus_async.cli.checks import Check, bad, good, risk
from opus_async.cli.environment import Loaded
from opus_async.cli.target import Target
from opus_async.config import Limits
from opus_async.errors import ConfigurationError
from opus_async.transport import open_files, proxies

PACKAGES = ("aiohttp", "pydantic", "aiofiles", "backoff", "rich", "uvloop")
OLDEST_AIOHTTP = (3, 14, 4)
"""Older versions repeat a request with an empty body after a broken connection, and storage answers 200."""


def versions() -> Check:
    """Check the versions of Python and of the packages that we need."""
    found = {name: version for name in PACKAGES if (version := _version(name))}
    words = [f"opus-async {_version('opus-async') or 'not installed'}"]
    words += [f"Python {platform.python_version()}"]
    words += [f"{name} {version}" for name, version in found.items()]
    finding = ", ".join([*words, sys.platform])
    if _numbers(found.get("aiohttp", "")) < OLDEST_AIOHTTP:
        return bad("versions", finding, "pip install -U 'aiohttp>=3.14.4': older ones can upload empty files")
    if "rich" not in found:
        return risk("versions", finding, "pip install 'opus-async[cli]' for live bars instead of plain lines")
    return good("versions", finding)


def env_file(loaded: Loaded) -> Iterator[Check]:
    """Report what ``.env``, or the file of ``--env-file``, sets."""
    name = str(loaded.path)
    if loaded.unread:
        yield risk(name, f"cannot be read: {loaded.unread}", "remove or mend it, if it is meant to be read")
    elif loaded.names:
        yield good(name, f"sets {', '.join(loaded.names)}")


def env_file_refused(error: ConfigurationError) -> Check:
    """Report a ``.env`` that would send the key to another host."""
    return bad(".env", error.message, "remove it, if it is not yours")


def proxy(target: Target) -> Check:
    """Report which proxy requests go through, and settings that are not used; without their passwords."""
    found = {kind: address for kind, address in urllib.request.getproxies().items() if address}
    exempt = found.pop("no", "")
    unused = found.pop("all", None)
    if not found and unused is None:
        return good("proxy", "none in the environment")
    url = _platform_url(target)
    try:
        way = proxies.Proxies().for_url(url)
    except ConfigurationError as error:
        return bad("proxy", error.message, f"correct {url.scheme.upper()}_PROXY")
    if way is not None:
        finding = f"requests to {url.host} go through {proxies.shown(way)} ({url.scheme.upper()}_PROXY)"
        return good("proxy", f"{finding}; exempt: {exempt or 'nothing'}")
    others = ", ".join(f"{kind.upper()}_PROXY is {proxies.shown(way)}" for kind, way in sorted(found.items()))
    direct = f"none is used for {url.host}"
    if url.scheme in found:
        return good("proxy", f"{direct}: it is {'exempt' if exempt else 'this machine'}; {others}")
    if unused is not None:
        return risk(
            "proxy",
            f"{direct}: ALL_PROXY ({proxies.shown(unused)}) is ignored",
            f"if requests have to go through it: export {url.scheme.upper()}_PROXY=http://..., an http proxy",
        )
    return good("proxy", f"{direct}; {others}")


def _platform_url(target: Target) -> URL:
    """The base URL, or the usual one where that cannot be used."""
    with suppress(ConfigurationError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return URL(target.entry.base_url())
    return URL(target.entry.default_base_url())


def file_limit(limits: Limits) -> Check:
    """Check the hard limit of open files: commands raise the soft one as far as they may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = open_files.needed(limits)
    finding = f"{soft:,} allowed, {needed} needed with the default limits"
    if {soft, hard} & {resource.RLIM_INFINITY, -1} or hard >= needed:
        return good("open files", finding)
    how = f"ulimit -n {needed} (needs an administrator)"
    try:
        open_files.fitted(limits, soft=hard)
    except ConfigurationError:
        return bad("open files", finding, how)
    return risk("open files", f"{finding}: less is done at once", f"{how}, or leave it so: nothing fails")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())
