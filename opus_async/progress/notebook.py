"""Progress in a notebook: one output that is updated, by IPython's own display; no widgets are needed."""

from __future__ import annotations

import sys
from collections import deque
from html import escape
from importlib import import_module
from typing import Any

from opus_async.metrics.progress import Progress
from opus_async.progress.display import line

NOTICES = 5
"""Notices that stay visible, the latest ones."""


def in_notebook() -> bool:
    """Whether this code runs in a notebook: IPython is loaded, and has a kernel that takes displays."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookDisplay:
    """A bar and a line of text, updated every second."""

    period = 1.0

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._notices: deque[str] = deque(maxlen=NOTICES)
        self._shown: Any = None

    def open(self) -> None:
        """Make the output."""
        self._ipython = import_module("IPython.display")  # loaded already, where there is a notebook
        self._shown = self._ipython.display(self._ipython.HTML(self._html()), display_id=True)

    def draw(self) -> None:
        """Update it."""
        if self._shown is not None:
            self._shown.update(self._ipython.HTML(self._html()))

    def close(self) -> None:
        """Show the end, which stays."""
        self.draw()

    def say(self, text: str) -> None:
        """Keep a notice below the line; it is drawn with the next update."""
        self._notices.append(text)

    def _html(self) -> str:
        progress = self._progress
        known = f' max="{progress.target}" value="{progress.reached}"' if progress.target else ""
        notices = "".join(f"<div>{escape(text)}</div>" for text in self._notices)
        bar = f"<progress{known}></progress>"
        return f"<div><b>{escape(self._title)}</b> {bar} {escape(line(progress))}</div>{notices}"
