"""The generations of the API, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opus_async.errors import ConfigurationError
from opus_async.opus.protocol.api_version import ApiVersion
from opus_async.opus.protocol.v0 import V0
from opus_async.opus.protocol.v1 import V1

AUTO = "auto"
_GENERATIONS: Mapping[str, Callable[..., ApiVersion]] = {"v0": V0, "v1": V1}
"""In the order in which ``auto`` asks: v0 has no end date and needs fewer permissions."""


def api_versions(api: str, *, callback_url: str | None, plain_http: bool) -> tuple[ApiVersion, ...]:
    """Make the generations that may be used: one, or for ``auto`` all of them, the preferred one first.

    Args:
        api: ``v0``, ``v1`` or ``auto``.
        callback_url: Sent with every execute that has none of its own; None for the generation's default.
        plain_http: Whether a callback URL may be http, because the API is on this machine.

    Raises:
        ConfigurationError: No such generation, or the callback URL is none that the platform takes.
    """
    if api != AUTO and api not in _GENERATIONS:
        known = ", ".join(map(repr, (*_GENERATIONS, AUTO)))
        unknown = ConfigurationError(f"{api!r} is no generation of the API: set OPUS_API to one of {known}")
        unknown.hint = "A program can pass api=... instead"
        raise unknown
    chosen = _GENERATIONS.values() if api == AUTO else [_GENERATIONS[api]]
    return tuple(make(callback_url=callback_url, plain_http=plain_http) for make in chosen)
