"""The names under which it is kept what a version of a document held when it was sent."""

from __future__ import annotations

import json

CONTENT = '["content", '
"""What each of the names begins with."""


def identity_of(signature: str) -> str:
    """What identifies a version of a document among files, by :meth:`.facts.RemoteFacts.signature`."""
    return f"remote {signature}"


def content_name(identity: str) -> str:
    """The name of the SHA-256 of that version in a :class:`opus_async.platform.Cache`."""
    return json.dumps(["content", identity])
