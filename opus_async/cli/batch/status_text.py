"""The state of a batch as text: figures, what did not complete and why, and what to do next."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from opus_async.batch.choices import DIED, ended_text
from opus_async.cli import platforms
from opus_async.cli.errors import as_called
from opus_async.cli.program import command_line
from opus_async.cli.tables import columns, printable, terminal_width, wrapped
from opus_async.cli.target import Target
from opus_async.layout import FAILURES, REPORT, RESULTS
from opus_async.metrics.failure_groups import says_more
from opus_async.text import between, coarse, counted, elapsed, pace, row_name

if TYPE_CHECKING:
    from pathlib import Path

    from opus_async.batch.ledger.stored import FailureGroup, StoredRow
    from opus_async.batch.outputs.status import Status

_MOST_CAUSES = 5
_SHOWN = 120
"""Characters of an error that are shown; failures.jsonl and the report have all of it."""
_CLOCK_TOLERANCE = 1.0
"""Seconds that the clock of the file system and that of the ledger may differ."""
_WRITTEN_AT_THE_END = ("Failures", "Report")
"""Files that are written at the end of a session only, and may be older than the ledger."""


def as_text(status: Status) -> str:
    """All that is known of a batch, for a terminal.

    Raises:
        ConfigurationError: This version does not know its platform.
    """
    entry = platforms.entry(status.platform)
    parts = [
        "\n".join(wrapped(headline(status), terminal_width())),
        _figures(status, entry.title),
        _cost(status),
        _work(status),
        _failures(status),
        _waiting(status, Target(entry)),
    ]
    return "\n\n".join(filter(None, [*parts, _files(status), _next(status)]))


def headline(status: Status) -> str:
    """The batch and whether a process works on it, in one line."""
    from opus_async.batch.observer import ending_text

    name = printable(str(status.directory))
    if status.process is not None:
        process, since = status.process, status.process.since
        age = f" for {elapsed(max(time.time() - since, 0))}" if since is not None else ""
        ending = f"; {printable(ending_text(status.ending))}" if status.ending else ""
        return f"{name}: at work{age} (process {process.pid} on {printable(process.host)}){ending}"
    if status.session is None:
        return f"{name}: planned, and not begun"
    if status.ended_because == DIED:
        return f"{name}: the process that worked on it died; nothing is lost"
    took = elapsed(status.session.seen_at - status.session.began_at)
    if status.counts.completed == status.counts.total:
        return f"{name}: all rows are completed (last session {took})"
    return f"{name}: {printable(ended_text(status.ended_because or ''))} (last session {took})"


def _figures(status: Status, platform: str) -> str:
    """Rows by state."""
    counts = status.counts
    remarks = {
        "unknown": "nobody can tell how they ended: look again, or decide",
        "waiting": f"for a person to act in {platform}",
        "in flight": "" if status.process else "they go on remotely; a resume collects what they give",
    }
    numbers = {
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "timed out": counts.timed_out,
        "unknown": counts.unknown,
        "in flight": counts.ordering + counts.running,
        "waiting": counts.waiting,
        "not started": counts.planned,
    }
    width = len(f"{counts.total:,}")
    rows = [
        (f"  {name}", f"{number:{width},}", remarks.get(name, ""))
        for name, number in numbers.items()
        if number or name in {"completed", "failed"}
    ]
    return columns([*rows, ("  total", f"{counts.total:{width},}", "")], width=terminal_width())


def _cost(status: Status) -> str:
    """What was billed so far; empty where nobody told a price."""
    if status.cost is None:
        return ""
    from opus_async.reporting.costs import cost_text

    counts = status.counts
    so_far = "" if counts.ended == counts.total and not counts.unknown else " so far"
    return "\n".join(wrapped(f"Billed{so_far}: {cost_text(status.cost)}", terminal_width()))


def _work(status: Status) -> str:
    """Throughput, time left, stages and bottleneck; empty when no process works on the batch."""
    words = []
    if status.process is not None and status.rest_waits:
        words.append("the rest waits for a person")
    elif status.speed is not None:
        words.append(pace(status.speed.rate, "rows"))
    if status.left is not None:
        least, most = status.left.least, status.left.most
        words.append(f"at least {coarse(least)} left" if most is None else f"{between(least, most)} left")
    lines = [f"  {', '.join(words)}"] if words else []
    if status.inside_at is not None:
        stages = ", ".join(f"{number:,} in {stage}" for stage, number in status.inside.items() if number)
        ago = elapsed(max(time.time() - status.inside_at, 0))
        lines.append(f"  by stage, {ago} ago: {stages}")
    if status.bottleneck and status.process is not None and not status.rest_waits:
        from opus_async.reporting.bottlenecks import bottleneck_text

        lines.append(f"  bottleneck: {bottleneck_text(status.bottleneck)}")
    return "\n".join(piece for line in lines for piece in wrapped(line, terminal_width()))


def _failures(status: Status) -> str:
    """Why rows did not complete, with an example each."""
    if not status.failures:
        return ""
    width, lines = terminal_width(), [f"{counted(status.counts.not_completed, 'row')} did not complete:"]
    for group in status.failures[:_MOST_CAUSES]:
        for line in (f"  {group.count:,} x {printable(as_called(group.told))}", *_examples(group)):
            lines += wrapped(line, width)
    if more := len(status.failures) - _MOST_CAUSES:
        lines += [f"  ... and {more:,} more reasons; report.html has them all"] if more > 0 else []
    return "\n".join(lines)


def _examples(group: FailureGroup) -> Iterator[str]:
    for row in group.examples[:1]:
        error = printable(as_called(row.reason or ""))
        short = f"{error[: _SHOWN - 3]}..." if len(error) > _SHOWN else error
        job = f", job {row.remote_id}" if row.remote_id else ""
        why = f": {short}" if says_more(row.reason, group.told) else ""
        yield f"      e.g. {printable(row_name(row.key, row.location))}{job}{why}"


def _waiting(status: Status, target: Target) -> str:
    """Rows that wait for a person, and how each is answered."""
    if not status.waiting:
        return ""
    rows = [
        (f"  {row_name(row.key, row.location)}", _job(row, status.aliases), _since(row.waiting_since))
        for row in status.waiting
    ]
    more = status.counts.waiting - len(rows)
    lines = [
        f"Waiting for a person to act in {target.entry.title}:",
        columns(rows, width=terminal_width()),
        *([f"  ... and {more:,} more"] if more > 0 else []),
    ]
    answers = [target.answer(status.aliases.get(row.id), row.status) for row in status.waiting]
    if commands := [f"      {answer}" for answer in answers if answer]:
        lines += ["  or from here, with the text that each of them goes on with:", *commands]
    return "\n".join(lines)


def _job(row: StoredRow, aliases: Mapping[int, str]) -> str:
    alias = aliases.get(row.id)
    return f"job {row.remote_id}" if alias is None else f"job {row.remote_id}, run {alias}"


def _since(moment: float | None) -> str:
    return "" if moment is None else f"for {elapsed(max(time.time() - moment, 0))}"


def _files(status: Status) -> str:
    """Where results, failures and report lie, once a session has ended."""
    if status.process is not None or status.session is None:
        return ""
    named = {"Results": RESULTS, "Failures": FAILURES, "Report": REPORT}
    there = {what: path for what, name in named.items() if (path := status.directory / name).exists()}
    if not status.counts.not_completed:
        there.pop("Failures", None)
    if not status.counts.completed:
        there.pop("Results", None)
    lines = [
        (f"{what}:", f"'{command_line('batch', 'report', str(status.directory))}' makes it anew")
        if what in _WRITTEN_AT_THE_END and _is_behind(path, status.session.seen_at)
        else (f"{what}:", str(path))
        for what, path in there.items()
    ]
    return columns(lines) if lines else ""


def _is_behind(path: Path, seen_at: float) -> bool:
    """Whether a file is older than the last entry of a session."""
    return path.stat().st_mtime < seen_at - _CLOCK_TOLERANCE


def _next(status: Status) -> str:
    """Commands that can be run next."""
    from opus_async.batch.outputs.status import commands

    steps = [f"  {why}:\n      {command_line(*command)}" for why, command in commands(status)]
    return "\n".join(["Next:", *steps]) if steps else ""
