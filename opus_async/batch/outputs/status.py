"""``batch status``: how a batch stands now, from another terminal while it runs, and after it died."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from opus_async.batch.choices import DIED, RUNNING
from opus_async.batch.ledger.lock import Process, holder
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.ledger.stored import FailureGroup, StoredRow, StoredSample, StoredSession
from opus_async.batch.outputs.next_steps import Action, NextStep, next_steps
from opus_async.batch.outputs.outlook import Outlook, rows_left
from opus_async.batch.outputs.table_writers import iso
from opus_async.batch.rows import RowState
from opus_async.metrics.bottleneck import Bottleneck
from opus_async.metrics.cost import Cost
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Ending
from opus_async.metrics.throughput import Throughput, TimeLeft
from opus_async.reporting.bottlenecks import bottleneck_text
from opus_async.text import counted

_FRESH = 10.0
"""Seconds after which a sample tells nothing of the stages that rows are in."""
_SHOWN = 10
"""Rows that wait for a person, of those that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a batch stands.

    Attributes:
        directory: Of the batch.
        platform: Whose jobs the rows are.
        workflow_id: What the rows are jobs of.
        manifest: Where they came from.
        counts: Rows by state.
        process: Who works on it; None when nobody does.
        session: The last one; None before the first.
        ended_because: Why that one ended; ``died`` when it could not say, ``running`` while it runs, None
            before the first.
        speed: None unless it runs and enough was seen.
        left: Until all but the rows that wait for a person have ended. None unless it runs, enough was seen
            and such rows are left; and where it is being ended early, with rows that it does not begin.
        inside: Stage -> rows that hold a slot and were in it at ``inside_at``; empty when nobody works on
            it, and when nothing recent is known that fits the counts.
        inside_at: When that was seen, in seconds since the epoch; None when ``inside`` is empty.
        ending: Why and how it is being ended early; None while it is not, or nobody works on it.
        bottleneck: What limits it, by the last sample; None when nothing does, or nobody works on it.
        waiting: The first rows that wait for a person.
        aliases: The ledger's number of such a row -> the second id of its job, where one is known.
        failures: Rows that ended without completing, by reason, with one example each.
        cost: What it has cost so far; None where nobody told a price.
        steps: What can be done next, the first thing first; nothing while a process is at work.
    """

    directory: Path
    platform: str | None
    workflow_id: str | None
    manifest: str | None
    counts: Counts
    process: Process | None
    session: StoredSession | None
    ended_because: str | None
    speed: Throughput | None
    left: TimeLeft | None
    inside: Mapping[str, int]
    inside_at: float | None
    ending: Ending | None
    bottleneck: Bottleneck | None
    waiting: tuple[StoredRow, ...]
    aliases: Mapping[int, str]
    failures: tuple[FailureGroup, ...]
    cost: Cost | None
    steps: tuple[NextStep, ...]

    @property
    def rest_waits(self) -> bool:
        """Whether all rows that have no end wait for a person."""
        return bool(self.counts.waiting) and not rows_left(self.counts)


AnswerWords: TypeAlias = Callable[[str | None, str | None], Sequence[str] | None]


def _nobody_answers(_alias: str | None, _status: str | None) -> None:
    return None


def read_status(directory: Path) -> Status:
    """Look at a batch, whatever state it is in; changes nothing.

    Raises:
        LedgerError: There is none, or its ledger cannot be read.
    """
    process = holder(directory)
    with LedgerReader(directory) as ledger, ledger.snapshot():
        counts = ledger.counts()
        sessions = ledger.sessions()
        session = sessions[-1] if sessions else None
        works = process is not None and session is not None and session.ended_at is None
        outlook = Outlook.of(ledger, session, counts) if works and session else Outlook()
        last = outlook.last
        seen = last if last and _tells_stages(last, counts) else None
        ended_because = _ending(session, works=works)
        waiting = tuple(islice(ledger.rows([RowState.WAITING]), _SHOWN))
        return Status(
            directory=directory,
            platform=ledger.meta.fingerprint.platform,
            workflow_id=ledger.meta.fingerprint.workflow_id,
            manifest=ledger.meta.manifest.path,
            counts=counts,
            process=process,
            session=session,
            ended_because=ended_because,
            speed=outlook.speed,
            left=outlook.left,
            inside=seen.sample.inside if seen else {},
            inside_at=seen.at if seen else None,
            ending=outlook.ending,
            bottleneck=last.sample.bottleneck if last else None,
            waiting=waiting,
            aliases={row.id: alias for row in waiting if (alias := ledger.alias_of(row)) is not None},
            failures=ledger.failures_by_cause(1),
            cost=ledger.cost(),
            steps=() if process else tuple(_steps(ledger, counts, session)),
        )


def as_json(status: Status, answer: AnswerWords = _nobody_answers) -> dict[str, Any]:
    """The status for programs: numbers as they are, times in ISO 8601, commands as lists of words.

    Args:
        status: The status.
        answer: Gives the arguments of our command that answers a paused job, by the second id of the job and
            the platform's own word for the pause; None where there is no such command.
    """
    session = status.session
    return {
        "directory": str(status.directory),
        "platform": status.platform,
        "workflow_id": status.workflow_id,
        "manifest": status.manifest,
        "total": status.counts.total,
        **asdict(status.counts),
        "in_flight": status.counts.in_flight,
        "process": _process_as_json(status.process),
        "session": session and session.id,
        "began_at": session and iso(session.began_at),
        "seen_at": session and iso(session.seen_at),
        "ended_because": status.ended_because,
        "exit_code": session and session.exit_code,
        "rows_per_second": status.speed and round(status.speed.rate, 3),
        "seconds_left": status.left and [status.left.least, status.left.most],
        "inside": dict(status.inside),
        "inside_at": iso(status.inside_at),
        "ending": status.ending and {"kind": status.ending.kind, "mode": status.ending.mode},
        "bottleneck": bottleneck_text(status.bottleneck) if status.bottleneck else "",
        "cost": status.cost and status.cost.as_json(),
        "waiting_rows_shown": len(status.waiting),
        "waiting_rows": [
            {
                "index": row.index,
                "location": row.location,
                "key": row.key,
                "job_id": row.remote_id,
                "alias": status.aliases.get(row.id),
                "status": row.status,
                "since": iso(row.waiting_since),
                "answer": answer(status.aliases.get(row.id), row.status),
            }
            for row in status.waiting
        ],
        "failures": [_failure_as_json(group) for group in status.failures],
        "next": [{"why": why, "command": list(command)} for why, command in commands(status)],
    }


def _steps(ledger: LedgerReader, counts: Counts, session: StoredSession | None) -> list[NextStep]:
    started = ledger.unknown_started() if counts.unknown else 0
    return next_steps(counts, session, None, unknown_started=started)


def commands(status: Status) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What can be done next: why, in a few words, and the arguments of our command that does it."""
    for step in status.steps:
        yield from _commands(step, str(status.directory))


def _commands(step: NextStep, place: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    match step.action:
        case Action.CHECK_SETUP:
            yield "check key, network and limits", ("doctor",)
        case Action.RESUME:
            yield (
                f"go on with {counted(step.rows, 'row that is left', 'rows that are left')}",
                (
                    "batch",
                    "resume",
                    place,
                ),
            )
        case Action.LOOK_AGAIN:
            yield "look at the unknown rows again", ("batch", "resume", place)
        case Action.DECIDE:
            decide = ("batch", "resolve", place, "--as")
            yield "list the unknown rows, to decide about some of them", (*decide, "done")
            yield "or decide that all of them are done", (*decide, "done", "--all")
            if not step.started:  # else both are refused
                yield "or that all of them failed", (*decide, "failed", "--all")
                yield "or that none of them ever ran, and all shall run", (*decide, "retry", "--all")
        case Action.RETRY:
            for state in step.states:
                yield f"run {state} rows again", ("batch", "retry", place, "--only", state)
        case Action.EXPORT if step.rows:
            yield "results in a table", ("batch", "export", place, "--format", "csv")


def _ending(session: StoredSession | None, *, works: bool) -> str | None:
    if session is None:
        return None
    if session.ended_at is not None:
        return session.ended_because
    return RUNNING if works else DIED


def _tells_stages(seen: StoredSample, counts: Counts) -> bool:
    """Whether a sample is recent and can be true of these counts."""
    inside = sum(seen.sample.inside.values())
    # Rows that hold a slot can still be planned: their files are on the way.
    return 0 < inside <= rows_left(counts) and abs(time.time() - seen.at) <= _FRESH


def _process_as_json(process: Process | None) -> dict[str, Any] | None:
    return {**asdict(process), "since": iso(process.since)} if process else None


def _failure_as_json(group: FailureGroup) -> dict[str, Any]:
    return {
        "cause": group.cause,
        "told": group.told,
        "count": group.count,
        **{state.value: count for state, count in group.states.items()},
        "examples": [
            {
                "index": row.index,
                "location": row.location,
                "key": row.key,
                "job_id": row.remote_id,
                "stage": row.stage,
                "error": row.reason,
            }
            for row in group.examples
        ],
    }
