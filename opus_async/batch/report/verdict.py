"""What a batch came to, in one sentence, and what to do next, as commands to be copied."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from opus_async.batch.report.report_data import ReportData
from opus_async.exits import Exit
from opus_async.metrics.counts import Counts
from opus_async.text import count, counted, plural

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


def verdict(data: ReportData) -> Verdict:
    """The verdict of a batch in any state."""
    counts = data.counts
    if not counts.total:
        return Verdict(Tone.NEUTRAL, "Empty", "This batch has no rows.", "Its manifest held none.")
    tone, word = (Tone.NEUTRAL, "Running") if data.running else _at_rest(data)
    return Verdict(tone, word, _sentence(counts, running=data.running), _why(data))


def _at_rest(data: ReportData) -> tuple[Tone, str]:
    """Of a batch that nobody works on."""
    counts = data.counts
    if counts.completed == counts.total:
        return Tone.GOOD, "Complete"
    if counts.not_completed == counts.total:
        return Tone.BAD, "Nothing completed"
    if counts.ended == counts.total:
        return Tone.CAREFUL, "Needs a look"
    if counts.planned == counts.total:
        return Tone.CAREFUL if data.sessions else Tone.NEUTRAL, "Not started"
    waiting = counts.waiting == counts.planned + counts.in_flight
    return Tone.CAREFUL, "Waiting for people" if waiting else "Unfinished"


def _sentence(counts: Counts, *, running: bool) -> str:
    total = counts.total
    if counts.completed == total:
        return "The only row completed." if total == 1 else f"All {counted(total, 'row')} completed."
    if counts.planned == total:
        planned = "The only row is" if total == 1 else f"All {counted(total, 'row')} are"
        return f"{planned} planned; nothing has been ordered yet."
    begin = f"{count(counts.completed)} of {counted(total, 'row')} completed"
    if not counts.completed:
        begin = (
            "The only row did not complete" if total == 1 else f"None of {counted(total, 'row')} completed"
        )
    rest = _joined(list(_rest(counts, running=running)))
    return f"{begin}{' so far' if running else ''}; {rest}."


def _rest(counts: Counts, *, running: bool) -> Iterator[str]:
    """What became of the rows that did not complete."""
    if counts.not_completed:
        yield f"{count(counts.not_completed)} {plural(counts.not_completed, 'needs', 'need')} a look"
    working = counts.in_flight - counts.waiting
    if working:
        yield f"{count(working)} {plural(working, 'is', 'are')} {'in flight' if running else 'under way'}"
    if counts.waiting:
        yield f"{count(counts.waiting)} {plural(counts.waiting, 'waits', 'wait')} for a person"
    if counts.planned:
        yield f"{count(counts.planned)} {plural(counts.planned, 'is', 'are')} still to begin"


def _why(data: ReportData) -> str:
    if (process := data.process) and process.alive is None:
        return (
            f"Its lock names process {process.pid} on {process.host}: from here nobody can tell if it lives."
        )
    if data.running or not data.sessions:
        return ""
    last = data.sessions[-1]
    if last.died:
        return "The last session stopped without a word: it was killed, or its machine went down."
    if data.counts.planned + data.counts.in_flight and last.view.ended_because:
        return f"The last session ended early: {last.view.ended_because}."
    return ""


def steps(data: ReportData) -> list[Step]:
    """What to do next, the most urgent first; the last exports what is there."""
    return [*_going_on(data), *_deciding(data), *_again(data), *_taking(data)]


def _going_on(data: ReportData) -> Iterator[Step]:
    counts = data.counts
    if counts.waiting:
        waiting = f"{counted(counts.waiting, 'row')} {plural(counts.waiting, 'waits', 'wait')} for a person"
        after = "the batch notices by itself" if data.running else "resume"
        yield Step(f"{waiting} to act in the platform. Once that is done, {after}.")
    if data.running:
        yield Step(
            "Follow it from a terminal, or make this report again.",
            (_command(data, "status"), _command(data, "report")),
        )
        if data.process and data.process.alive is None:
            yield Step("If the process that its lock names is gone, go on.", (_command(data, "resume"),))
        return
    if data.sessions and data.sessions[-1].view.exit_code == Exit.NOT_ALLOWED:
        yield Step(
            "Find out what is wrong with the key, a permission or the network.", (f"{_PROGRAM} doctor",)
        )
    if left := counts.planned + counts.in_flight:
        yield Step(
            f"Go on with the {counted(left, 'row')} that {plural(left, 'is', 'are')} left. What completed is "
            "not run again, and what was ordered is looked up before anything else.",
            (_command(data, "resume"),),
        )


def _deciding(data: ReportData) -> Iterator[Step]:
    unknown = data.counts.unknown
    if not unknown or data.running:
        return
    if not data.counts.planned + data.counts.in_flight:
        yield Step(
            f"Look once more what became of the {counted(unknown, 'row')} whose end is unknown. "
            "This orders nothing.",
            (_command(data, "resume"),),
        )
    yield Step(
        f"If the {counted(unknown, 'row')} that {plural(unknown, 'is', 'are')} unknown stay so, find their "
        "jobs in the platform by the ids below and decide: done if they completed there, failed if they did "
        "not, retry if they did not and the next resume shall run them as new jobs. As they stand, the "
        "commands list the unknown rows and decide nothing: add the keys of rows, or --all.",
        tuple(_command(data, "resolve", "--as", answer) for answer in ("done", "failed", "retry")),
    )


def _again(data: ReportData) -> Iterator[Step]:
    failed, cancelled = data.counts.failed + data.counts.timed_out, data.counts.cancelled
    if data.running or not failed + cancelled:
        return
    only = "failed" if not cancelled else "cancelled" if not failed else ""
    what = {"failed": "failed", "cancelled": f"{plural(cancelled, 'was', 'were')} cancelled"}
    yield Step(
        f"Once the causes below are dealt with, run the {counted(failed + cancelled, 'row')} that "
        f"{what.get(only, 'failed or were cancelled')} once more. Their old jobs are asked first.",
        (_command(data, "retry", *(("--only", only) if only else ())),),
    )


def _taking(data: ReportData) -> Iterator[Step]:
    if data.counts.ended:
        yield Step(
            "Take what is there, inputs and outputs side by side in manifest order.",
            (_command(data, "export", "--format", "xlsx"),),
        )


def _command(data: ReportData, verb: str, *options: str) -> str:
    return shlex.join((_PROGRAM, "batch", verb, str(data.directory.absolute()), *options))


def _joined(parts: list[str]) -> str:
    *begin, end = parts
    return f"{', '.join(begin)} and {end}" if begin else end
