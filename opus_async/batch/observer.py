"""What a caller of a batch hands in: to end it early, to count what happens, to be told, to answer pauses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opus_async.batch.choices import ALL_ORDERED, LIMIT_REACHED
from opus_async.jobs.pausing import Answer, PausedJob
from opus_async.jobs.shutdown import Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.metrics.progress import Progress
from opus_async.metrics.samples import Ending
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
        paused: Told of each row that waits for a person from now on.
        on_pause: Gives the text with which a paused job goes on, where the platform can resume jobs; None
            leaves it paused: the row holds no slot then, and its job is asked about when it is looked at
            next. Without it every paused job is left so.
    """

    control: ShutdownControl = field(default_factory=ShutdownControl)
    progress: Progress = field(default_factory=Progress)
    notice: Notify = lambda _: None
    planning: Callable[[str, int], None] = lambda _what, _rows: None
    paused: Callable[[PausedJob], None] = lambda _job: None
    on_pause: Answer | None = None


def why_ending(control: ShutdownControl) -> str:
    """Why no more rows are begun, and what is waited for, to be shown; empty as long as they are."""
    ending = ending_of(control)
    return "" if ending is None else ending_text(ending)


def ending_of(control: ShutdownControl) -> Ending | None:
    """Why and how a session is being ended early; None as long as it is not."""
    reason = control.reason
    if reason is None:
        return None
    mode, kind = control.mode.name.lower(), reason.kind.value
    if (halt := reason.halt) is not None:
        return Ending(mode=mode, kind=kind, detail=str(halt.policy), failed=halt.failed, ended=halt.ended)
    return Ending(mode=mode, kind=kind, detail=(reason.error and reason.error.shortage) or "")


def ending_text(ending: Ending) -> str:
    """Why no more rows are begun, and what is waited for."""
    kind = StopKind(ending.kind)
    if kind is StopKind.TOO_MANY_FAILURES:
        why = f"halted: {ending.failed} of {ending.ended} rows failed"
    elif kind is StopKind.SHORTAGE:
        why = f"this machine has no {ending.detail} left"
    else:
        why = _REASONS[kind]
    return f"{why}; {_WAITING[ShutdownMode[ending.mode.upper()]]}"


def reason_text(reason: Reason) -> str:
    """Why a session ends early, in a few words."""
    if reason.halt is not None:
        failed = f"{reason.halt.failed} of {reason.halt.ended} rows failed"
        return f"{as_option('halt', str(reason.halt.policy))}: {failed}"
    if reason.kind is StopKind.SHORTAGE and reason.error is not None:
        return f"this machine has no {reason.error.shortage} left"
    return _REASONS[reason.kind]


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
    StopKind.STORE_UNAVAILABLE: "the store gave no documents out",
    StopKind.UNREACHABLE: "the platform cannot be reached as configured",
    StopKind.OBJECTIVE_LOST: "an objective cannot be met any more",
    StopKind.LIMIT_REACHED: LIMIT_REACHED,
    StopKind.ALL_ORDERED: ALL_ORDERED,
}
_WAITING = {
    ShutdownMode.RUN: "going on",
    ShutdownMode.STOP_ADMITTING: "waiting for those in flight",
    ShutdownMode.DRAIN: "waiting for those near the end",
    ShutdownMode.CANCEL: "leaving",
}
