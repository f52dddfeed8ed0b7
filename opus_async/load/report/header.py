"""What a load test came to, in one sentence, and the figures that are asked for first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opus_async import text
from opus_async.load.figures import Latency
from opus_async.load.metric import E2E_INTENDED
from opus_async.load.search import RATE_LIMIT
from opus_async.load.summary import RunSummary, SearchSummary
from opus_async.load.verdict import Verdict
from opus_async.metrics.cost import cost_of
from opus_async.reporting import figures
from opus_async.reporting.costs import money

_TONES = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.INVALID: "careful"}
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a report.

    Attributes:
        tone: A class of the style sheet: ``good``, ``neutral``, ``careful``, ``bad``. The word says the same.
        word: PASS, FAIL or INVALID; Running while it goes on.
        sentence: What a manager reads.
        reasons: Why it is no PASS.
        running: Whether it goes on.
    """

    tone: str
    word: str
    sentence: str
    reasons: tuple[str, ...]
    running: bool = False


Tile = tuple[str, str, str]
"""Name, value, and a note."""


def run_header(summary: RunSummary) -> Header:
    """The head of the report of a run."""
    return Header(_TONES[summary.verdict], summary.verdict, _run_sentence(summary), tuple(summary.reasons))


def running_header(summary: RunSummary, jobs: int | None, *, warm: bool, reasons: Iterable[str]) -> Header:
    """The head of the report of a run that goes on.

    Args:
        summary: So far.
        jobs: Arrivals in all; None where that is not known.
        warm: Whether its warm-up is over.
        reasons: Why it can be no PASS any more.
    """
    counts = summary.counts
    of = text.counted(counts.offered if jobs is None else jobs, "job")
    in_flight = counts.started - counts.completed - counts.failed - counts.unknown
    begin = f"{text.count(counts.completed)} of {of} completed so far"
    e2e = summary.latency.get(E2E_INTENDED, Latency())
    if e2e.p50 is not None and e2e.p95 is not None:
        begin += f", half within {figures.duration(e2e.p50)}, 95 of 100 within {figures.duration(e2e.p95)}"
    sentence = f"{begin}; {text.count(in_flight)} in flight."
    return Header("neutral", "Running" if warm else "Warming up", sentence, tuple(reasons), running=True)


def _run_sentence(summary: RunSummary) -> str:
    completed = f"{text.count(summary.counts.completed)} of {text.counted(summary.counts.started, 'job')}"
    e2e = summary.latency.get(E2E_INTENDED, Latency())
    if e2e.p50 is None or e2e.p95 is None:
        return f"{completed} completed, none of them in the measured window."
    if summary.verdict is Verdict.INVALID:
        return f"{completed} completed, but their figures do not tell how the platform is."
    rate = "" if summary.rates.completed is None else f" at {text.figure(summary.rates.completed)} a second"
    return (
        f"{completed} completed{rate}: half within {figures.duration(e2e.p50)}, "
        f"95 of 100 within {figures.duration(e2e.p95)}."
    )


def run_tiles(summary: RunSummary) -> Iterator[Tile]:
    """The figures of a run that are asked for first."""
    counts, rates, level = summary.counts, summary.rates, summary.in_flight
    e2e = summary.latency.get(E2E_INTENDED, Latency())
    yield "Offered", _rate(rates.offered), f"{text.counted(counts.offered, 'arrival')} in all"
    yield "Completed", _rate(rates.completed), f"{text.count(counts.completed)} in all"
    yield "End to end, median", _seconds(e2e.p50), f"95\N{NO-BREAK SPACE}% within {_seconds(e2e.p95)}"
    yield "99th percentile", _seconds(e2e.p99), f"the longest took {_seconds(e2e.max)}"
    errors = summary.measured.error_rate
    yield (
        "Did not complete",
        text.NOTHING if errors is None else figures.share(errors, 1),
        f"{text.count(counts.failed)} failed, {text.count(counts.unknown)} unknown",
    )
    if counts.all_dropped:
        reasons = ", ".join(f"{text.count(number)} {name}" for name, number in counts.dropped.items())
        yield "Not started", figures.share(counts.all_dropped, counts.offered), reasons
    little = "" if summary.little is None else f"; {summary.little:.2f} of rate x time"
    yield (
        "In flight",
        text.NOTHING if level.mean is None else text.figure(level.mean),
        f"{text.count(level.max)} at the most{little}",
    )
    throttled = summary.throttled
    if throttled.responses or throttled.paused_seconds:
        share = "" if throttled.share is None else f", {figures.share(throttled.share, 1)} of all"
        yield (
            "Paused by the rate limit",
            figures.duration(throttled.paused_seconds),
            f"{text.counted(throttled.responses, 'answer')} with 429{share}",
        )
    if summary.price is not None:
        billed = money(cost_of(counts.completed, summary.price))
        yield "Billed", billed, f"at {money(summary.price)} for each completed job"


def searching_header(summary: SearchSummary, rate: str, *, completed: int, jobs: int) -> Header:
    """The head of the report of a search that goes on.

    Args:
        summary: So far.
        rate: That of the step that is run now.
        completed: Jobs of this step that have completed.
        jobs: Its jobs in all.
    """
    held = (
        "No rate has held yet" if summary.rate is None else f"{text.figure(summary.rate)} jobs a second held"
    )
    now = f"now {rate} is tried, and {text.count(completed)} of {text.counted(jobs, 'job')} completed"
    return Header("neutral", "Searching", f"{held}; {now}.", (), running=True)


def search_header(summary: SearchSummary) -> Header:
    """The head of the report of a search."""
    if summary.rate is None:
        sentence = "No rate holds."
    else:
        held = "hold" if summary.confirmed else "held for a short time, and were not confirmed"
        hour = text.count(summary.rate * _HOUR)
        sentence = f"{text.figure(summary.rate)} jobs a second {held}: {hour} an hour."
    return Header(_TONES[summary.verdict], summary.verdict, sentence, tuple(summary.reasons))


def search_tiles(summary: SearchSummary) -> Iterator[Tile]:
    """The figures of a search that are asked for first."""
    yield "Highest rate", _rate(summary.rate), "confirmed" if summary.confirmed else "not confirmed"
    limiting = summary.limiting_stage
    shown = "the rate limit" if limiting == RATE_LIMIT else limiting or text.NOTHING
    yield "What limits", shown, "the stage whose time grew most" if limiting not in {None, RATE_LIMIT} else ""
    law = summary.fit
    if law is not None and law.knee is not None and law.peak is not None:
        yield "Knee", f"{law.knee:.0f} in flight", f"{text.figure(law.peak)} jobs/s there, by the fitted law"
    yield "Steps", text.count(len(summary.steps)), f"{text.counted(summary.jobs, 'job')} started"
    if summary.price is not None:
        most = money(cost_of(summary.jobs, summary.price))
        yield "Billed at most", most, f"at {money(summary.price)} for each completed job"


def _rate(rate: float | None) -> str:
    return text.NOTHING if rate is None else f"{text.figure(rate)}/s"


def _seconds(value: float | None) -> str:
    return text.NOTHING if value is None else figures.duration(value)
