"""The limit of open files of this process, and how much concurrency fits into it.

A connection is an open file, and an upload or a download has one on the disk beside it. Concurrency that
would not fit is lowered before the first request; where the limit is met all the same, requests wait
(:mod:`opus_async.transport.shortage`).
"""

from __future__ import annotations

import os
from contextlib import suppress

from opus_async.config import Limits
from opus_async.errors import ConfigurationError

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # not on this system

__all__ = ["allowed", "fitted", "needed", "raise_to"]

RESERVE = 28
"""Open files beside those counted here: a ledger and its readers 8, the event loop 3, threads that hash files
or look up names 8, a report, a folder that is brought to the disk, and some to spare."""
LEAST_API, LEAST_UPLOADS = 2, 1
"""Least concurrency: with fewer requests, polls would hold up all other work."""
PER_UPLOAD = 2
"""A connection and a file."""
_UNKNOWN_OPEN = 16
"""Open files of a process where that cannot be found out."""


def allowed() -> int | None:
    """How many files this process may have open; None for no limit."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY or soft < 0 else soft


def needed(limits: Limits) -> int:
    """How many open files these limits take at most, all others of a process included."""
    return _at_once(limits) + RESERVE + _UNKNOWN_OPEN


def raise_to(number: int) -> None:
    """Raise this process's own limit to a number, as far as allowed: for programs, not for libraries."""
    soft = allowed()
    if soft is None or soft >= number:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    with suppress(OSError, ValueError):  # macOS has a lower limit of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def fitted(limits: Limits, *, soft: int | None, open_now: int | None = None) -> tuple[Limits, str | None]:
    """Lower the concurrency to what open files allow.

    Args:
        limits: As asked for.
        soft: How many files may be open; None for no limit.
        open_now: How many are; counted if None.

    Returns:
        The limits, and one sentence where they are lower than asked for.

    Raises:
        ConfigurationError: Too few may be open for anything to work.
    """
    if soft is None:
        return limits, None
    open_now = _open_now() if open_now is None else open_now
    room = soft - open_now - RESERVE
    if room >= _at_once(limits):
        return limits, None
    least = LEAST_API + PER_UPLOAD * LEAST_UPLOADS
    if room < least:
        raise ConfigurationError(
            f"This process may have {soft:,} files open, and {open_now:,} are: at least "
            f"{open_now + RESERVE + least:,} are needed. Nothing was begun. Raise the limit (ulimit -n "
            f"{needed(limits)}), then start again"
        )
    share = room / _at_once(limits)
    requests = min(limits.api_concurrency, max(LEAST_API, int(limits.api_concurrency * share)))
    files = max(LEAST_UPLOADS, int(limits.upload_concurrency * share))
    lower = limits.model_copy(update={"api_concurrency": requests, "upload_concurrency": files})
    return lower, (
        f"This process may have {soft:,} files open, and {open_now:,} are: {requests} requests "
        f"and {files} files at once, instead of {limits.api_concurrency} and "
        f"{limits.upload_concurrency}. For more, raise the limit (ulimit -n {needed(limits)})"
    )


def _at_once(limits: Limits) -> int:
    return limits.api_concurrency + PER_UPLOAD * limits.upload_concurrency


def _open_now() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(folder)) - 1  # noqa: PTH208 - the listing itself is one
    return _UNKNOWN_OPEN
