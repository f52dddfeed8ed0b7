"""What a batch came to, in one sentence."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from opus_async.batch.choices import ALL_ORDERED, LIMIT_REACHED, ended_text
from opus_async.batch.observer import ending_text
from opus_async.batch.report.report_data import ReportData
from opus_async.metrics.counts import Counts
from opus_async.progress.progress_text import remaining
from opus_async.text import count, counted, pace, plural


class Tone(enum.StrEnum):
    """How a verdict is to be read; a class of the style sheet. The word beside it says the same."""

    GOOD = "good"
    NEUTRAL = "neutral"
    CAREFUL = "careful"
    BAD = "bad"


_GOALS = {LIMIT_REACHED: "Trial done", ALL_ORDERED: "All ordered"}
"""Ends of a session that had gone as far as it was told to go."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a batch came to, in a sentence.

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
    if word := _GOALS.get(data.sessions[-1].view.ended_because or "") if data.sessions else None:
        return Tone.CAREFUL if counts.not_completed else Tone.NEUTRAL, word
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
        return _outlook(data)
    last = data.sessions[-1]
    if last.died:
        return "The last session stopped without a word: it was killed, or its machine went down."
    because = last.view.ended_because
    if not because or not data.counts.planned + data.counts.in_flight:
        return ""
    why = ended_text(because)
    if because in _GOALS:
        return f"{why[0].upper()}{why[1:]}."
    return f"The last session ended early: {why}."


def _outlook(data: ReportData) -> str:
    """How fast it goes, what is left, why it is being ended early; empty where nobody works on it."""
    outlook = data.outlook
    words = [] if outlook.speed is None else [pace(outlook.speed.rate, "rows")]
    if outlook.left is not None:
        words.append(remaining(outlook.left))
    if outlook.ending is not None:
        words.append(ending_text(outlook.ending))
    if not words:
        return ""
    told = ", ".join(words)
    return f"{told[0].upper()}{told[1:]}."


def _joined(parts: list[str]) -> str:
    *begin, end = parts
    return f"{', '.join(begin)} and {end}" if begin else end
