"""How jobs stand, in words, for bars and plain lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opus_async.gaps import GAP
from opus_async.metrics.bottleneck import Bottleneck, BottleneckKind
from opus_async.stages import DONE
from opus_async.text import between, coarse, count, counted, elapsed, pace, plural, row_name, size

if TYPE_CHECKING:
    from opus_async.metrics.progress import Progress
    from opus_async.metrics.recent_failures import FailedRows
    from opus_async.metrics.throughput import Rates, TimeLeft

ORDERED = "ordered"
"""What is done with, where a row is done with once it is ordered."""
_FEW = 5.0
"""Seconds of which nobody can tell how many they are."""


def done_word(progress: Progress) -> str:
    """What the rows are that are done with."""
    return ORDERED if progress.until_ordered else DONE


def speeds(progress: Progress, rates: Rates) -> list[str]:
    """How fast jobs end and files are sent, and how many attempts were repeated; nothing of what is 0."""
    words = [] if rates.quiet or not rates.jobs else [pace(rates.jobs, "jobs")]
    if rates.bytes >= 1:
        words.append(f"{size(rates.bytes)}/s up")
    if retries := progress.retries.total():
        throttled = f" ({progress.throttled:,} by 429)" if progress.throttled else ""
        words.append(f"{counted(retries, 'retry', 'retries')}{throttled}")
    return words


def limit(progress: Progress) -> Bottleneck | None:
    """What limits the jobs now, unless it is told already: hosts that are down, people who are waited for."""
    found = None if progress.outages else progress.bottleneck()
    return None if found is None or found.kind is BottleneckKind.PEOPLE else found


def standing(progress: Progress) -> list[str]:
    """Jobs in flight, and those that wait for a person, in words."""
    return [f"{progress.in_flight:,} in flight", *_waiting(progress)]


def places(progress: Progress) -> list[str]:
    """Where the rows are that are not done with, in words: by stage, and those that are not begun."""
    stages = [f"{number:,} {stage}" for stage in progress.stages if (number := progress.in_stage[stage])]
    begun = not progress.attached or progress.ending or not progress.not_begun
    return [*stages, *_waiting(progress), *([] if begun else [f"{progress.not_begun:,} not begun"])]


def _waiting(progress: Progress) -> list[str]:
    waiting = progress.waiting
    return [f"{count(waiting)} {plural(waiting, 'waits', 'wait')} for a person"] if waiting else []


def ending(progress: Progress) -> str:
    """Why no more jobs are begun."""
    return progress.why_ending() or "ending"


def outlook(progress: Progress, rates: Rates) -> str:
    """Why it ends, how long it takes until then, or that this cannot be told; empty for nothing to tell."""
    if progress.ending:
        return ending(progress)
    if rates.quiet:
        return f"none has ended for {elapsed(rates.quiet)}"
    return remaining(rates.left) if rates.left else ""


def remaining(left: TimeLeft) -> str:
    """The time left: ``about 1 min 30 s left``, or a range while the rate changes: ``12-25 min left``."""
    if left.most is not None and left.most < _FEW:
        return "a few seconds left"
    if left.most is None:
        return f"at least {coarse(left.least)} left"
    if left.steady:
        return f"about {coarse((left.least + left.most) / 2)} left"
    return f"{between(left.least, left.most)} left"


def failure(group: FailedRows) -> tuple[str, str, str]:
    """Rows that failed for one reason: the row or how many they are, why, and of several the last one."""
    last, why = group.last, group.last.cause
    if GAP in why:  # what stands in its gaps is what helps to find it
        why = " ".join((last.error or why).split())
    name = row_name(last.key, last.location)
    return (name, why, "") if group.count == 1 else (counted(group.count, "row"), why, f"(last {name})")
