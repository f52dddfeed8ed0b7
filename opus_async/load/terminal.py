"""What a load test came to, as text for a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from opus_async import text
from opus_async.load.comparison import Change, ComparedMetric, Comparison
from opus_async.load.fail_if import change_text
from opus_async.load.figures import Latency
from opus_async.load.metric import SERIES, unit_of
from opus_async.load.reasons import measured
from opus_async.load.search import RATE_LIMIT
from opus_async.load.summary import RunSummary, SearchSummary
from opus_async.metrics.cost import cost_of
from opus_async.reporting.costs import money
from opus_async.terminal_text import escaped

_MET, _NOT_MET = "✓", "✕"
_SIGNS = {Change.BETTER: "+", Change.WORSE: "!", Change.UNCHANGED: "="}
_DOUBTFUL = ", but not to be relied on, because a run is INVALID"
_COLUMNS = ("mean", "p50", "p90", "p95", "p99", "max")
_MOST_CAUSES = 5
_HOUR = 3600


def run_text(summary: RunSummary) -> str:
    """The summary of a run: verdict, stages, objectives, the health of who made the load."""
    counts = summary.counts
    completed = f"{text.count(counts.completed)} of {text.counted(counts.started, 'job')} completed"
    blocks = [
        [f"{summary.verdict}  {completed}"],
        [f"  {reason}" for reason in summary.reasons],
        _table(("stage", *_COLUMNS), _latencies(summary)),
        _objectives(summary),
        [f"  {line}" for line in _facts(summary)],
        [f"  {line}" for line in _causes(summary)],
    ]
    return _joined(blocks)


def search_text(summary: SearchSummary) -> str:
    """The summary of a search: the rate, what limits it, and its steps."""
    rate = "no rate holds"
    if summary.rate is not None:
        held = "holds" if summary.confirmed else "held for a short time, and was not confirmed"
        rate = f"{text.figure(summary.rate)} jobs/s, {text.count(summary.rate * _HOUR)} an hour: it {held}"
    facts = []
    if summary.limiting_stage == RATE_LIMIT:
        facts.append("the platform's rate limit is what limits")
    elif summary.limiting_stage is not None:
        facts.append(f"what limits: {summary.limiting_stage}")
    law = summary.fit
    if law is not None:
        knee = "" if law.knee is None else f"; more than {law.knee:.0f} jobs in flight are hardly any use"
        facts.append(f"scalability law fitted with R² {law.r_squared:.2f}{knee}")
    facts.append(text.counted(summary.jobs, "job") + " started")
    if summary.price is not None:
        most = money(cost_of(summary.jobs, summary.price))
        facts.append(f"cost: {most} at most, at {money(summary.price)} for each completed job")
    steps = [
        (
            _MET if step.ok else _NOT_MET,
            step.kind,
            text.figure(step.rate),
            text.figure(step.completed_rate),
            text.NOTHING if step.p95 is None else text.duration(step.p95),
            text.figure(step.in_flight),
            step.why,
        )
        for step in summary.steps
    ]
    head = ("", "step", "jobs/s", "completed/s", "p95", "in flight", "")
    return _joined(
        [
            [f"{summary.verdict}  {rate}"],
            [f"  {reason}" for reason in summary.reasons],
            _table(head, steps, left=(0, 1, 6)),
            [f"  {line}" for line in facts],
        ]
    )


def comparison_text(comparison: Comparison) -> str:
    """What became of the figures of two runs; of an INVALID one first why they are not to be relied on."""
    doubtful = bool(comparison.warnings)
    lines = [
        (
            _SIGNS[metric.verdict],
            metric.name,
            _value(metric.name, metric.base),
            _value(metric.name, metric.new),
            _change(metric),
            metric.verdict.value,
        )
        for metric in comparison.metrics
    ]
    head = ("", "metric", "base", "new", "change (99 %)", "")
    return _joined(
        [
            [f"{comparison.verdict.value}{_DOUBTFUL}" if doubtful else comparison.verdict.value],
            [f"  {warning}" for warning in comparison.warnings],
            ["  Run it again without that (at a lower rate where a backlog grew), into a new directory."]
            if doubtful
            else [],
            _table(head, lines, left=(0, 1, 5)),
        ]
    )


def _latencies(summary: RunSummary) -> Iterator[tuple[str, ...]]:
    """Lines of the stages in their order, and of the whole time below them."""
    names = (*summary.stages, *reversed(SERIES))
    for name in names:
        latency = summary.latency.get(name, Latency())
        yield (name, *(_seconds(latency.value(column)) for column in _COLUMNS))


def _objectives(summary: RunSummary) -> list[str]:
    width = max((len(slo.expression) for slo in summary.slo), default=0)
    return [
        f"  {_MET if slo.ok else _NOT_MET} {slo.expression:<{width}}  {_value(slo.expression, slo.value)}"
        for slo in summary.slo
    ]


def _facts(summary: RunSummary) -> Iterator[str]:
    rates, level = summary.rates, summary.in_flight
    told = ((rates.offered, "offered"), (rates.started, "started"), (rates.completed, "completed"))
    known = [f"{name} {text.figure(rate)}" for rate, name in told if rate is not None]
    if known:
        yield f"jobs/s: {', '.join(known)}"
    if level.mean is not None:
        little = "" if summary.little is None else f"; {summary.little:.2f} of rate x time (Little's law)"
        yield f"in flight: {text.figure(level.mean)} on average, {text.count(level.max)} at the most{little}"
    if summary.counts.all_dropped:
        dropped = (f"{number:,} {name}" for name, number in summary.counts.dropped.items())
        yield f"not started: {', '.join(dropped)}"
    lag = summary.detect_lag
    if lag.p50 is not None and lag.p95 is not None:
        late = f"{text.duration(lag.p50)} at most (median), {text.duration(lag.p95)} (95th percentile)"
        yield f"ends noticed late: {late}"
    throttled = summary.throttled
    if throttled.responses or throttled.paused_seconds:
        share = "" if throttled.share is None else f", {text.share(throttled.share, 1)} of all"
        paused = text.duration(throttled.paused_seconds)
        yield f"rate limit: {text.counted(throttled.responses, 'answer')} with 429{share}; {paused} paused"
    yield f"this machine: {', '.join(_health(summary)) or 'not measured'}"
    if summary.price is not None:
        billed = money(cost_of(summary.counts.completed, summary.price))
        yield f"cost: {billed}, at {money(summary.price)} for each completed job"


def _health(summary: RunSummary) -> Iterator[str]:
    health = summary.health
    if health.loop_lag_p99 is not None:
        yield f"loop lag p99 {text.duration(health.loop_lag_p99)}"
    if health.start_lateness_p99 is not None:
        yield f"starts p99 {text.duration(health.start_lateness_p99)} late"
    if health.cpu_share is not None:
        yield f"{text.share(health.cpu_share, 1)} of a core"
    if health.rss_bytes is not None:
        yield text.size(health.rss_bytes)
    if health.open_files is not None:
        yield text.counted(health.open_files, "open file")


def _causes(summary: RunSummary) -> Iterator[str]:
    causes = sorted(summary.failures.items(), key=lambda cause: -cause[1])
    for cause, number in causes[:_MOST_CAUSES]:
        yield f"{text.counted(number, 'job')}: {cause or 'no cause is known'}"
    if len(causes) > _MOST_CAUSES:
        yield f"{text.counted(len(causes) - _MOST_CAUSES, 'more cause')}"


def _value(name: str, value: float | None) -> str:
    return measured(value, unit_of(name))


def _change(metric: ComparedMetric) -> str:
    return text.NOTHING if metric.change is None else change_text(metric)


def _seconds(value: float | None) -> str:
    return text.NOTHING if value is None else text.duration(value)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Lines of a table whose columns are aligned: those of ``left`` at the left, the others at the right."""
    every = [head, *lines]
    if len(every) == 1:
        return []
    widths = [max(len(line[place]) for line in every) for place in range(len(head))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in every
    ]


def _joined(blocks: Iterable[Sequence[str]]) -> str:
    """Blocks with a blank line between them; nothing in it moves a cursor, whoever wrote it."""
    return "\n\n".join("\n".join(escaped(line) for line in block) for block in blocks if block)
