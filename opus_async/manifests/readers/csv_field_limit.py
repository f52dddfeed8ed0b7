"""Raises the limit of the csv module on the length of a cell, which is one for the whole process."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_CELL = 16 << 20
"""Characters of a cell at most: a quote that is never closed would take the rest of the file."""

_lock = threading.Lock()
_readers = 0
_before = 0


@contextmanager
def long_cells() -> Iterator[None]:
    """Allow cells of :data:`LONGEST_CELL` inside of the ``with`` block; other threads may be in one too."""
    global _before, _readers  # noqa: PLW0603 - what it guards is global too
    with _lock:
        if not _readers:
            _before = csv.field_size_limit()
            csv.field_size_limit(max(_before, LONGEST_CELL))
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                csv.field_size_limit(_before)
