"""The tables of a report: which columns they have, and what a line says in each."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from opus_async import text
from opus_async.load.comparison import Change, ComparedMetric, Comparison
from opus_async.load.fail_if import change_text
from opus_async.load.figures import Health, Latency
from opus_async.load.metric import E2E_INTENDED, E2E_SERVICE, unit_of
from opus_async.load.reasons import measured
from opus_async.load.summary import Objective, RunSummary, SearchedRate
from opus_async.load.values import Sample
from opus_async.load.verdict import CPU_SHARE, LATENESS, LATENESS_SHARE, LOOP_LAG
from opus_async.reporting import figures
from opus_async.reporting.html import Column, Table, code, isolated

_WAITS = "waits in this client: for its start, and for the turns of its requests"
_DOES = (
    "uploads the files",
    "makes the job, unbilled",
    "starts it",
    "from the answer to its start until its end is noticed",
    "fetches what it left",
)
"""What happens in the last stages of every platform, in their order."""
_WHOLE = {
    E2E_SERVICE: "from when it was started to its end",
    E2E_INTENDED: "from when it was meant to start to its end",
}
_STATISTICS = {
    "Mean": "mean",
    "Median": "p50",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "p99.9": "p999",
    "Longest": "max",
}
"""Title of a column -> the statistic in it."""
SLOWEST = 10
_CAUSES = 12
_SHOWN = {Change.BETTER: "✓ better", Change.WORSE: "✕ worse", Change.UNCHANGED: "unchanged"}


def objectives(summary: RunSummary, *, running: bool = False) -> Table[Objective]:
    """The objectives, and whether they were met; of a run that goes on, whether they are so far."""
    return Table(
        "Objectives",
        (
            Column("Objective", lambda slo: code(slo.expression), "key"),
            Column("Measured", lambda slo: _value(slo.expression, slo.value), "number"),
            Column("", lambda slo: _met(slo, running=running), "short"),
        ),
        summary.slo,
    )


def _met(slo: Objective, *, running: bool) -> str:
    if running:
        return "" if slo.value is None else "✓ so far" if slo.ok else "✕ not so far"
    return "✓ met" if slo.ok else "✕ not met"


def stages(summary: RunSummary) -> Table[tuple[str, Latency]]:
    """Where the time of a job goes."""
    first, *_ = names = summary.stages
    does = {first: _WAITS, **dict(zip(names[-len(_DOES) :], _DOES, strict=False)), **_WHOLE}
    whole = summary.latency.get(E2E_INTENDED, Latency()).mean

    def share(line: tuple[str, Latency]) -> str:
        return text.NOTHING if not whole or line[1].mean is None else figures.share(line[1].mean, whole)

    return Table(
        "Time by stage",
        (
            Column("Stage", lambda line: Markup("<b>{}</b>").format(line[0]), "short"),
            Column("What it is", lambda line: does.get(line[0], "")),
            *(_column(title, name) for title, name in _STATISTICS.items()),
            Column("Share of time", share, "number"),
        ),
        [(name, summary.latency[name]) for name in (*names, *_WHOLE) if name in summary.latency],
    )


def _column(title: str, statistic: str) -> Column[tuple[str, Latency]]:
    return Column(title, lambda line: _seconds(line[1].value(statistic)), "number")


def slowest(samples: Sequence[Sample]) -> Table[Sample]:
    """The jobs that took longest."""
    return Table(
        "Slowest jobs",
        (
            Column("Job", lambda sample: code(sample.job_id or text.NOTHING), "job"),
            Column("Began", lambda sample: f"at {figures.duration(sample.intended)}", "short"),
            Column("Took", lambda sample: figures.duration(sample.e2e_intended), "number"),
            Column("Most of it in", _most_of_it, "short"),
        ),
        sorted(samples, key=lambda sample: -sample.e2e_intended)[:SLOWEST],
    )


def failures(summary: RunSummary) -> Table[tuple[str, int]]:
    """Why jobs did not complete."""
    causes = sorted(summary.failures.items(), key=lambda cause: -cause[1])
    return Table(
        "Failures by cause",
        (
            Column("Cause", lambda line: isolated(line[0] or "no cause is known"), "error"),
            Column("Jobs", lambda line: text.count(line[1]), "number"),
        ),
        causes[:_CAUSES],
    )


def health(summary: RunSummary) -> Table[tuple[str, str, str, str]]:
    """How the process was that made the load, and from what on its figures would be worthless."""
    return Table(
        "Health of the load generator",
        (
            Column("Figure", lambda line: line[0], "short"),
            Column("Measured", lambda line: line[1], "number"),
            Column("Limit", lambda line: line[2], "number"),
            Column("", lambda line: line[3], "short"),
        ),
        list(_health(summary.health, summary.latency.get(E2E_INTENDED, Latency()).p50)),
    )


def _health(found: Health, median: float | None) -> list[tuple[str, str, str, str]]:
    late = LATENESS if median is None else min(LATENESS, LATENESS_SHARE * median)
    lines: list[tuple[str, str, str, str]] = []
    for name, value, limit in (
        ("Starts late, 99th percentile", found.start_lateness_p99, late),
        ("Event loop late, 99th percentile", found.loop_lag_p99, LOOP_LAG),
    ):
        if value is not None:
            lines.append((name, figures.duration(value), figures.duration(limit), _within(value, limit)))
    if found.cpu_share is not None:
        share = figures.share(found.cpu_share, 1)
        lines.append(
            ("CPU time, of one core", share, figures.share(CPU_SHARE, 1), _within(found.cpu_share, CPU_SHARE))
        )
    if found.rss_bytes is not None:
        lines.append(("Memory at the most", figures.size(found.rss_bytes), "", ""))
    if found.open_files is not None:
        lines.append(("Open files at the most", text.count(found.open_files), "", ""))
    return lines


def compared(found: Comparison) -> Table[ComparedMetric]:
    """What became better or worse."""
    return Table(
        "Compared",
        (
            Column("Metric", lambda metric: Markup("<b>{}</b>").format(metric.name), "short"),
            Column("Was", lambda metric: _value(metric.name, metric.base), "number"),
            Column("Is", lambda metric: _value(metric.name, metric.new), "number"),
            Column("Change (99 % confidence)", _change, "number"),
            Column("", lambda metric: _SHOWN[metric.verdict], "short"),
        ),
        found.metrics,
    )


def steps(found: Sequence[SearchedRate]) -> Table[SearchedRate]:
    """The steps of a search."""
    return Table(
        "Steps",
        (
            Column("Step", lambda step: step.kind, "short"),
            Column("Offered", lambda step: f"{text.figure(step.rate)}/s", "number"),
            Column("Completed", lambda step: f"{text.figure(step.completed_rate)}/s", "number"),
            Column("p95", lambda step: _seconds(step.p95), "number"),
            Column("In flight", lambda step: text.figure(step.in_flight), "number"),
            Column("Jobs", lambda step: text.count(step.jobs), "number"),
            Column("", lambda step: "✓ holds" if step.ok else "✕", "short"),
            Column("Why", lambda step: isolated(step.why), "error"),
        ),
        found,
    )


def workload(values: Sequence[tuple[str, object]]) -> Table[tuple[str, object]]:
    """What was run: what must be equal for two runs to be compared."""
    return Table(
        "Workload",
        (
            Column("Setting", lambda line: line[0], "short"),
            Column("Value", lambda line: code(text.NOTHING if line[1] is None else line[1])),
        ),
        values,
        "pairs",
    )


def _most_of_it(sample: Sample) -> str:
    if not sample.stages:
        return text.NOTHING
    stage = max(sample.stages, key=lambda name: sample.stages[name])
    return f"{stage}, {figures.duration(sample.stages[stage])}"


def _within(value: float, limit: float) -> str:
    return "✓" if value <= limit else "✕ too much"


def _change(metric: ComparedMetric) -> str:
    return figures.unbroken(change_text(metric)) if metric.change is not None else text.NOTHING


def _value(name: str, value: float | None) -> str:
    return measured(value, unit_of(name)).replace(" ", "\N{NO-BREAK SPACE}")


def _seconds(value: float | None) -> str:
    return text.NOTHING if value is None else figures.duration(value)
