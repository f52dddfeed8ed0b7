"""Who is told what while a batch is worked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opus_async.exits import Exit
from opus_async.jobs.shutdown import ShutdownControl, ShutdownMode
from opus_async.metrics.progress import Progress

Notify = Callable[[str], None]
"""Told in a sentence what a person should know while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchObserver:
    """Who is told what while a batch is worked on; all of it is optional.

    Attributes:
        control: Ends it early.
        progress: Counts what happens, to be drawn.
        notice: Told in a sentence what a person should know.
        planning: Told what is done before the first row starts (``checked``, ``planned``), and of how many
            rows so far.
    """

    control: ShutdownControl = field(default_factory=ShutdownControl)
    progress: Progress = field(default_factory=Progress)
    notice: Notify = lambda _: None
    planning: Callable[[str, int], None] = lambda _what, _rows: None


def why_ending(control: ShutdownControl) -> str:
    """Why no more rows are begun, and what is waited for, to be shown; empty as long as they are."""
    if control.reason is None:
        return ""
    why = control.reason.text
    if control.reason.exit is Exit.HALTED and why.startswith("--halt "):
        why = f"halted: {why.partition(': ')[2]}"
    return f"{why}; {_WAITING[control.pace]}"


_WAITING = {
    ShutdownMode.RUN: "going on",
    ShutdownMode.STOP_ADMITTING: "waiting for those in flight",
    ShutdownMode.DRAIN: "waiting for those near the end",
    ShutdownMode.CANCEL: "leaving",
}
