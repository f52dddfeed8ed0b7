"""Checks of a job's request that need no platform: the types of what stands beside its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opus_async.arguments import SECONDS, TEXT, WHOLE, Kind, unfit
from opus_async.errors import InvalidInputs
from opus_async.input_problems import bad_argument
from opus_async.models import JobRequest

_KINDS: Mapping[str, Kind] = {
    "title": TEXT,
    "description": TEXT,
    "key": TEXT,
    "version_id": TEXT,
    "version_number": WHOLE,
    "timeout": SECONDS,
}


def check(request: JobRequest) -> None:
    """Check what stands in a request beside its inputs: title, key, version, timeout.

    Raises:
        InvalidInputs: With all that is wrong with it.
    """
    problems = [
        bad_argument(unfit(name, value, kind))
        for name, kind in _KINDS.items()
        if (value := getattr(request, name)) is not None and not kind.fits(value)
    ]
    if problems:
        raise InvalidInputs(problems)


def is_timeout(timeout: Any) -> bool:
    """Whether a value can be a time-out: None, or a number of seconds above 0."""
    return timeout is None or SECONDS.fits(timeout)
