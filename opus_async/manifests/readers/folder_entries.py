"""Reads what is in one folder; names are relative to a base folder, with forward slashes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from opus_async.manifests.readers.source_file import readable


def entries(base: Path, below: str) -> Iterator[os.DirEntry[str]]:
    """What is in one folder, in no order.

    Args:
        base: Where names start.
        below: The folder, relative to it; empty for ``base`` itself.

    Raises:
        ManifestError: It cannot be read.
    """
    with readable(base / below), os.scandir(base / below) as found:
        yield from found


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a regular file, or a link to one."""
    try:
        return entry.is_file()
    except OSError:
        return False


def joined(below: str, name: str) -> str:
    """The path of a name in a folder, both relative to the base."""
    return f"{below}/{name}" if below else name
