"""The SHA-256 of what is read piece by piece into one small buffer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

PIECE = 64 * 1024
"""Bytes: they stay in the processor's cache from being read to being hashed. Larger pieces gain nothing."""


def new_buffer() -> memoryview:
    """A buffer for :func:`sha256`.

    Made in the thread of the event loop its memory serves what comes after it there; what another thread has
    needed once, the C library keeps for that thread.
    """
    return memoryview(bytearray(PIECE))


def sha256(
    readinto: Callable[[memoryview], int], stop: threading.Event, buffer: memoryview
) -> tuple[str, int]:
    """Hash what is read until nothing is left; for a thread.

    Args:
        readinto: Fills a buffer as far as it can, and returns how many bytes that are; 0 at the end.
        stop: Set by whoever no longer wants the result, which is then of a part.
        buffer: Of :func:`new_buffer`.

    Returns:
        The digest in hex, and how many bytes were read.
    """
    total = hashlib.sha256()
    size = 0
    while not stop.is_set() and (count := readinto(buffer)):
        total.update(buffer[:count])
        size += count
    return total.hexdigest(), size
