"""Which outputs of a job are files of the platform."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from opus_async.models import OutputValue
from opus_async.opus.protocol.input_types import known_type
from opus_async.opus.protocol.outcomes import results_in

_FILES = frozenset({"file", "array_files"})
_MAYBE_FILES = frozenset({"array", None})
"""What may hold files as well as links: here the URL decides."""
_HOST = "files.opus.com"


def file_urls(results: Any) -> dict[str, list[str]]:
    """Which outputs are files of the platform, and their URLs.

    Args:
        results: As the platform sent them. Of bare values, without their types, the URLs decide.

    Returns:
        Output name, as in ``JobResults.outputs`` -> its ``fileUrl`` or several.
    """
    read = results_in(results)
    pairs = zip(read.outputs, read.values, strict=True)
    return {name: urls for name, output in pairs if (urls := _urls(output))}


def _urls(output: OutputValue) -> list[str]:
    held = output.parsed
    texts = held if isinstance(held, list) else [held]
    if not texts or not all(isinstance(text, str) and _host(text) for text in texts):
        return []
    kind = output.type and (known_type(output.type) or output.type)
    sure = kind in _FILES or (kind in _MAYBE_FILES and all(_host(text) == _HOST for text in texts))
    return texts if sure else []


def _host(text: str) -> str | None:
    """The host of an http(s) URL; None for any other text."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    return parts.hostname if parts.scheme in {"http", "https"} else None
