"""How a setting is named to whoever set it: as an argument in Python, as an option on the command line."""

from __future__ import annotations

from collections.abc import Callable

OptionName = Callable[[str, str], str]
"""From an argument's name and its value to both as they are shown."""

_RENAMED = {"api_rate": "rate", "upload_bandwidth": "bandwidth"}


def as_argument(name: str, value: str) -> str:
    """For programs: ``max_in_flight=500``."""
    return f"{name}={value}"


def as_option(name: str, value: str) -> str:
    """For the command line: ``--max-in-flight 500``."""
    return f"--{_RENAMED.get(name, name).replace('_', '-')} {value}"
