"""The documents of jobs: small files, all different, because equal ones would be sent once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 10_000
"""Bytes of each."""


@contextmanager
def documents(count: int) -> Iterator[str]:
    """Make so many documents, for as long as the block lasts; the value is their folder."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            path_of(folder, number).write_bytes((f"document {number}\n" * SIZE).encode()[:SIZE])
        yield folder


def path_of(folder: str, number: int) -> Path:
    """One of the documents, counted from 0."""
    return Path(folder, f"{number}.txt")
