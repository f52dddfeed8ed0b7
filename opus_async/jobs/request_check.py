"""Checks of a job's request that need no platform: the types of what stands beside its inputs."""

from __future__ import annotations

from typing import Any

from opus_async.input_problems import InputProblem, bad_argument
from opus_async.models import JobRequest


def problems_of(request: JobRequest) -> list[InputProblem]:
    """What is wrong with a request beside its inputs: title, key, version, timeout."""
    problems = [
        bad_argument(f"{name} is a {type(value).__name__}, not text")
        for name in ("title", "description", "key", "version_id")
        if (value := getattr(request, name)) is not None and not isinstance(value, str)
    ]
    version = request.version_number
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        problems.append(bad_argument(f"version_number is a {type(version).__name__}, not a whole number"))
    if not is_timeout(request.timeout):
        problems.append(bad_argument(f"timeout is {request.timeout!r}, not a number of seconds above 0"))
    return problems


def is_timeout(timeout: Any) -> bool:
    """Whether a value can be a time-out: None, or a number of seconds above 0."""
    if timeout is None:
        return True
    return not isinstance(timeout, bool) and isinstance(timeout, int | float) and timeout > 0
