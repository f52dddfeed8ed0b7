"""What can be done next with a batch, as values: ``batch status`` and the report each put them into words."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from opus_async.batch.ledger.lock import Process
from opus_async.batch.ledger.stored import StoredSession
from opus_async.exits import Exit
from opus_async.metrics.counts import Counts


class Action(enum.StrEnum):
    """What to do."""

    ACT_IN_PLATFORM = "act_in_platform"
    """A person has to do something for rows that wait."""
    FOLLOW = "follow"
    """Watch the process that is at work."""
    TAKE_OVER = "take_over"
    """Resume, if the process that nobody can see from here is gone."""
    CHECK_SETUP = "check_setup"
    """Find out what is wrong with key, permission or network."""
    RESUME = "resume"
    LOOK_AGAIN = "look_again"
    """Resume only to ask what became of unknown rows: nothing else is left."""
    DECIDE = "decide"
    """Decide about unknown rows."""
    RETRY = "retry"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class NextStep:
    """One thing to do.

    Attributes:
        action: What.
        rows: With how many rows; of an export, how many of them completed.
        states: Of a retry, the states of these rows as ``--only`` names them.
        started: Of unknown rows, how many have jobs that were started, as the ledger knows: to call those
            failed, or to try them again, is refused.
    """

    action: Action
    rows: int = 0
    states: tuple[str, ...] = ()
    started: int = 0


def next_steps(
    counts: Counts, last: StoredSession | None, process: Process | None, *, unknown_started: int = 0
) -> list[NextStep]:
    """What can be done next, the most urgent first.

    Args:
        counts: Rows by state.
        last: The last session; None before the first.
        process: Who works on the batch; None when nobody does.
        unknown_started: Unknown rows whose jobs were started, as the ledger knows.
    """
    steps = [NextStep(Action.ACT_IN_PLATFORM, counts.waiting)] if counts.waiting else []
    steps += _at_rest(counts, last, unknown_started) if process is None else _at_work(process)
    if counts.ended:
        steps.append(NextStep(Action.EXPORT, counts.completed))
    return steps


def _at_work(process: Process) -> Iterator[NextStep]:
    yield NextStep(Action.FOLLOW)
    if process.alive is None:
        yield NextStep(Action.TAKE_OVER)


def _at_rest(counts: Counts, last: StoredSession | None, unknown_started: int) -> Iterator[NextStep]:
    if last is not None and last.exit_code == Exit.NOT_ALLOWED:
        yield NextStep(Action.CHECK_SETUP)
    if left := counts.planned + counts.in_flight:
        yield NextStep(Action.RESUME, left)
    elif counts.unknown:
        yield NextStep(Action.LOOK_AGAIN, counts.unknown)
    if counts.unknown:
        yield NextStep(Action.DECIDE, counts.unknown, started=unknown_started)
    again = {"failed": counts.failed + counts.timed_out, "cancelled": counts.cancelled}
    if any(again.values()):
        yield NextStep(
            Action.RETRY, sum(again.values()), tuple(state for state, rows in again.items() if rows)
        )
