"""The SHA-256 of what is read piece by piece into one small buffer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

PIECE = 64 * 1024
"""Bytes: they stay in the processor's cache from being read to being hashed. Larger pieces gain nothing."""


def sha256(readinto: Callable[[memoryview], int], stop: threading.Event) -> tuple[str, int]:
    """Hash what is read until nothing is left; for a thread.

    Args:
        readinto: Fills a buffer as far as it can, and returns how many bytes that are; 0 at the end.
        stop: Set by whoever no longer wants the result, which is then of a part.

    Returns:
        The digest in hex, and how many bytes were read.
    """
    total = hashlib.sha256()
    buffer = memoryview(bytearray(PIECE))
    size = 0
    while not stop.is_set() and (count := readinto(buffer)):
        total.update(buffer[:count])
        size += count
    return total.hexdigest(), size
