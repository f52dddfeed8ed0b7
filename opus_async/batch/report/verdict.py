"""What a batch came to, in one sentence, and what to do next, as commands to be copied."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from opus_async.batch.report.report_data import ReportData
from opus_async.exits import Exit
from opus_async.metrics.counts import Counts
from opus_async.reporting.words import count, rows

_PROGRAM = "opus-async"


class Tone(enum.StrEnum):
    """How a verdict is to be read; a class of the style sheet. The word beside it says the same."""

    GOOD = "good"
    NEUTRAL = "neutral"
    CAREFUL = "careful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it came to.

    Attributes:
        tone: How to read it.
        word: Two or three words.
        sentence: What a manager reads.
        why: Why it stands like this; empty where there is nothing to add.
    """

    tone: Tone
    word: str
    sentence: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        why: What it is for.
        commands: To be typed as they are; none where a person has to act elsewhere.
    """

    why: str
    commands: tuple[str, ...] = ()


def verdict(figures: ReportData) -> Verdict:
    """The verdict of a batch in any state."""
    counts = figures.counts
    if not counts.total:
        return Verdict(Tone.NEUTRAL, "Empty", "This batch has no rows.", "Its manifest held none.")
    tone, word = (Tone.NEUTRAL, "Running") if figures.running else _at_rest(figures)
    return Verdict(tone, word, _sentence(counts, running=figures.running), _why(figures))


def _at_rest(figures: ReportData) -> tuple[Tone, str]:
    """Of a batch that nobody works on."""
    counts = figures.counts
    if counts.completed == counts.total:
        return Tone.GOOD, "Complete"
    if counts.not_completed == counts.total:
        return Tone.BAD, "Nothing completed"
    if counts.ended == counts.total:
        return Tone.CAREFUL, "Needs a look"
    if counts.planned == counts.total:
        return Tone.CAREFUL if figures.sessions else Tone.NEUTRAL, "Not started"
    waiting = counts.waiting == counts.planned + counts.in_flight
    return Tone.CAREFUL, "Waiting for people" if waiting else "Unfinished"


def _sentence(counts: Counts, *, running: bool) -> str:
    total = counts.total
    if counts.completed == total:
        return "The only row completed." if total == 1 else f"All {rows(total)} completed."
    if counts.planned == total:
        planned = "The only row is" if total == 1 else f"All {rows(total)} are"
        return f"{planned} planned; nothing has been ordered yet."
    begin = f"{count(counts.completed)} of {rows(total)} completed"
    if not counts.completed:
        begin = "The only row did not complete" if total == 1 else f"None of {rows(total)} completed"
    rest = _joined(list(_rest(counts, running=running)))
    return f"{begin}{' so far' if running else ''}; {rest}."


def _rest(counts: Counts, *, running: bool) -> Iterator[str]:
    """What became of the rows that did not complete."""
    if counts.not_completed:
        yield f"{count(counts.not_completed)} {_verb(counts.not_completed, 'needs', 'need')} a look"
    working = counts.in_flight - counts.waiting
    if working:
        yield f"{count(working)} {_verb(working, 'is', 'are')} {'in flight' if running else 'under way'}"
    if counts.waiting:
        yield f"{count(counts.waiting)} {_verb(counts.waiting, 'waits', 'wait')} for a person"
    if counts.planned:
        yield f"{count(counts.planned)} {_verb(counts.planned, 'is', 'are')} still to begin"


def _why(figures: ReportData) -> str:
    if (process := figures.process) and process.alive is None:
        return (
            f"Its lock names process {process.pid} on {process.host}: from here nobody can tell if it lives."
        )
    if figures.running or not figures.sessions:
        return ""
    last = figures.sessions[-1]
    if last.died:
        return "The last session stopped without a word: it was killed, or its machine went down."
    if figures.counts.planned + figures.counts.in_flight and last.view.ended_because:
        return f"The last session ended early: {last.view.ended_because}."
    return ""


def steps(figures: ReportData) -> list[Step]:
    """What to do next, the most urgent first; the last exports what is there."""
    return [*_going_on(figures), *_deciding(figures), *_again(figures), *_taking(figures)]


def _going_on(figures: ReportData) -> Iterator[Step]:
    counts = figures.counts
    if counts.waiting:
        waiting = f"{rows(counts.waiting)} {_verb(counts.waiting, 'waits', 'wait')} for a person"
        after = "the batch notices by itself" if figures.running else "resume"
        yield Step(f"{waiting} to act in the platform. Once that is done, {after}.")
    if figures.running:
        yield Step(
            "Follow it from a terminal, or make this report again.",
            (_command(figures, "status"), _command(figures, "report")),
        )
        if figures.process and figures.process.alive is None:
            yield Step("If the process that its lock names is gone, go on.", (_command(figures, "resume"),))
        return
    if figures.sessions and figures.sessions[-1].view.exit_code == Exit.NOT_ALLOWED:
        yield Step(
            "Find out what is wrong with the key, a permission or the network.", (f"{_PROGRAM} doctor",)
        )
    if left := counts.planned + counts.in_flight:
        yield Step(
            f"Go on with the {rows(left)} that {_verb(left, 'is', 'are')} left. What completed is not run "
            "again, and what was ordered is looked up before anything else.",
            (_command(figures, "resume"),),
        )


def _deciding(figures: ReportData) -> Iterator[Step]:
    unknown = figures.counts.unknown
    if not unknown or figures.running:
        return
    if not figures.counts.planned + figures.counts.in_flight:
        yield Step(
            f"Look once more what became of the {rows(unknown)} whose end is unknown. This orders nothing.",
            (_command(figures, "resume"),),
        )
    yield Step(
        f"If the {rows(unknown)} that {_verb(unknown, 'is', 'are')} unknown stay so, find their jobs in the "
        "platform by the ids below and decide: done if they completed there, failed if they did not, retry "
        "if they did not and the next resume shall run them as new jobs. As they stand, the commands "
        "list the unknown rows and decide nothing: add the keys of rows, or --all.",
        tuple(_command(figures, "resolve", "--as", answer) for answer in ("done", "failed", "retry")),
    )


def _again(figures: ReportData) -> Iterator[Step]:
    failed, cancelled = figures.counts.failed + figures.counts.timed_out, figures.counts.cancelled
    if figures.running or not failed + cancelled:
        return
    only = "failed" if not cancelled else "cancelled" if not failed else ""
    what = {"failed": "failed", "cancelled": f"{_verb(cancelled, 'was', 'were')} cancelled"}
    yield Step(
        f"Once the causes below are dealt with, run the {rows(failed + cancelled)} that "
        f"{what.get(only, 'failed or were cancelled')} once more. Their old jobs are asked first.",
        (_command(figures, "retry", *(("--only", only) if only else ())),),
    )


def _taking(figures: ReportData) -> Iterator[Step]:
    if figures.counts.ended:
        yield Step(
            "Take what is there, inputs and outputs side by side in manifest order.",
            (_command(figures, "export", "--format", "xlsx"),),
        )


def _command(figures: ReportData, verb: str, *options: str) -> str:
    return shlex.join((_PROGRAM, "batch", verb, str(figures.directory.absolute()), *options))


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def _joined(parts: list[str]) -> str:
    *begin, end = parts
    return f"{', '.join(begin)} and {end}" if begin else end
