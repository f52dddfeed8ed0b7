"""What a caller of a batch hands in: to end it early, to count what happens, to be told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opus_async.batch.choices import ALL_ORDERED, LIMIT_REACHED
from opus_async.jobs.shutdown import HaltReached, Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.metrics.progress import Progress
from opus_async.reporting.option_names import as_option

Notify = Callable[[str], None]
"""Told in a sentence what a person should know while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchObserver:
    """Watches a batch while it is worked on, and ends it early; all of it is optional.

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
    halt = control.reason.halt
    why = reason_text(control.reason) if halt is None else f"halted: {_failures(halt)}"
    return f"{why}; {_WAITING[control.mode]}"


def reason_text(reason: Reason) -> str:
    """Why a session ends early, in a few words."""
    if reason.halt is not None:
        return f"{as_option('halt', str(reason.halt.policy))}: {_failures(reason.halt)}"
    if reason.kind is StopKind.SHORTAGE and reason.error is not None:
        return f"this machine has no {reason.error.shortage} left"
    return _REASONS[reason.kind]


def ended_text(ended_because: str) -> str:
    """Why a session ended, as ``summary.json`` has it, in words for people."""
    return _ENDED.get(ended_because, ended_because)


def _failures(halt: HaltReached) -> str:
    return f"{halt.failed} of {halt.ended} rows failed"


_REASONS = {
    StopKind.INTERRUPTED: "interrupted",
    StopKind.CANCELLED: "cancelled",
    StopKind.KEY_REFUSED: "the key was refused",
    StopKind.PERMISSION_MISSING: "a permission is missing",
    StopKind.QUOTA_USED_UP: "the quota is used up",
    StopKind.HOST_DOWN: "a host did not answer",
    StopKind.THROTTLED: "the platform answered nothing but 429",
    StopKind.LEDGER_UNWRITABLE: "the ledger cannot be written",
    StopKind.DISK_FULL: "the disk is full",
    StopKind.UNREACHABLE: "the platform cannot be reached as configured",
    StopKind.LIMIT_REACHED: LIMIT_REACHED,
    StopKind.ALL_ORDERED: ALL_ORDERED,
}
_ENDED = {
    LIMIT_REACHED: "as many rows as the limit allowed were begun; a resume goes on with the others",
    ALL_ORDERED: "every row is ordered; a resume collects what the jobs give",
}
_WAITING = {
    ShutdownMode.RUN: "going on",
    ShutdownMode.STOP_ADMITTING: "waiting for those in flight",
    ShutdownMode.DRAIN: "waiting for those near the end",
    ShutdownMode.CANCEL: "leaving",
}
