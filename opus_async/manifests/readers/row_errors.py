"""Collects what is wrong with rows of a manifest, so that all of it is reported and not only the first."""

from __future__ import annotations

from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.text import counted

SHOWN = 50
"""Problems that are kept; further ones are only counted."""


class RowErrors:
    """Collects errors of rows while a manifest is read, and raises them at the end.

    Args:
        path: The manifest, for the message.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sentences: list[str] = []
        self._count = 0

    def add(self, where: str, what: str) -> None:
        """Note an error: the row in words, and what is wrong, with the fix."""
        self._count += 1
        if self._count <= SHOWN:
            self._sentences.append(f"{where}: {what}")

    @property
    def many(self) -> bool:
        """Whether further errors are only counted."""
        return self._count >= SHOWN

    def raise_if_any(self) -> None:
        """Raise the errors at the end of the reading.

        Raises:
            ManifestError: There was at least one.
        """
        if not self._count:
            return
        rows = counted(self._count, "row cannot be read", "rows cannot be read")
        left = self._count - len(self._sentences)
        more = [f"and {left:,} more like these"] if left else []
        raise ManifestError(f"{self._path.name}: {rows}:", [*self._sentences, *more])
