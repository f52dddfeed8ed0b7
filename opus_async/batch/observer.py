"""Who is told what while a batch is worked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opus_async.exits import Exit
from opus_async.jobs.shutdown import Control, Pace
from opus_async.metrics.progress import Progress

Notice = Callable[[str], None]
"""Told in a sentence what a person should know while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who is told what while a batch is worked on; all of it is optional.

    Attributes:
        control: Ends it early.
        progress: Counts what happens, to be drawn.
        notice: Told in a sentence what a person should know.
        planning: Told what is done before the first row starts (``checked``, ``planned``), and of how many
            rows so far.
    """

    control: Control = field(default_factory=Control)
    progress: Progress = field(default_factory=Progress)
    notice: Notice = lambda _: None
    planning: Callable[[str, int], None] = lambda _what, _rows: None


def why_ending(control: Control) -> str:
    """Why no more rows are begun, and what is waited for, to be shown; empty as long as they are."""
    if control.reason is None:
        return ""
    why = control.reason.text
    if control.reason.exit is Exit.HALTED and why.startswith("--halt "):
        why = f"halted: {why.partition(': ')[2]}"
    return f"{why}; {_WAITING[control.pace]}"


_WAITING = {
    Pace.RUN: "going on",
    Pace.FINISH: "waiting for those in flight",
    Pace.DRAIN: "waiting for those near the end",
    Pace.LEAVE: "leaving",
}
