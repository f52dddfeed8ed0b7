"""What is wrong with rows of a manifest: all of it is told, not only the first."""

from __future__ import annotations

from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.text import counted

SHOWN = 50
"""Problems that are kept; of more, only how many."""


class Problems:
    """Collects what is wrong while rows are read, and raises it in the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sentences: list[str] = []
        self._count = 0

    def add(self, where: str, what: str) -> None:
        """Note one: where it is, and what with the fix."""
        self._count += 1
        if self._count <= SHOWN:
            self._sentences.append(f"{where}: {what}")

    @property
    def many(self) -> bool:
        """Whether no more than their number is kept of further ones."""
        return self._count >= SHOWN

    def raise_if_any(self) -> None:
        """End the reading.

        Raises:
            ManifestError: There was one at least.
        """
        if not self._count:
            return
        rows = counted(self._count, "row cannot be read", "rows cannot be read")
        left = self._count - len(self._sentences)
        more = [f"and {left:,} more like these"] if left else []
        raise ManifestError(f"{self._path.name}: {rows}:", [*self._sentences, *more])
