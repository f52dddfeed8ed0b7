"""What a live page shows."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeAlias

Render: TypeAlias = Callable[[], bytes]
"""Makes a page as HTML in UTF-8, from ``page.html``; called in a thread, and may take seconds."""


class Source(Protocol):
    """A run that a live page shows. Its methods are called in the event loop, and return at once."""

    def version(self) -> Hashable:
        """A value that is another one when the page may have changed."""

    def capture(self) -> Render:
        """Hold fast how the run stands now, to be rendered."""

    def final(self) -> Render:
        """The same, once nobody works on the run any more."""
