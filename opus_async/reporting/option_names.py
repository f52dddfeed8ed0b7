"""Names of settings where they are shown: those of their options of the command line."""

from __future__ import annotations

_RENAMED = {"api_rate": "rate", "upload_bandwidth": "bandwidth"}


def as_option(argument: str, value: str) -> str:
    """The option for a Python argument, with its value: ``--max-in-flight 500``."""
    return f"--{_RENAMED.get(argument, argument).replace('_', '-')} {value}"
