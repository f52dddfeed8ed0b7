"""What a load test came to: from what was recorded to figures, a verdict and a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opus_async.load import summary, timeline
from opus_async.load.figures import Counts, DetectLag, Health, InFlight, Latency, Rates, Throttled
from opus_async.load.health import HealthSampler
from opus_async.load.metric import E2E_INTENDED, E2E_SERVICE
from opus_async.load.reasons import Reason
from opus_async.load.recorder import Recorder
from opus_async.load.slo import Measured, Slo, SloResult
from opus_async.load.spec import OpenLoad, Plan
from opus_async.load.steady import Backlog, backlog, little_ratio
from opus_async.load.summary import Objective, RunSummary
from opus_async.load.timeline import Moment
from opus_async.load.values import Sample, Window
from opus_async.load.verdict import Evidence, Judgement, judge, unhealthy
from opus_async.metrics.histogram import Histogram
from opus_async.metrics.time_series import TimeSeries
from opus_async.models import JobStatus

_PLACES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """The figures of a run.

    Attributes:
        window: The measured window, in seconds from the start of the run.
        counts: Of the whole run.
        rates: Over the window.
        latency: Series or stage -> its statistics.
        in_flight: In the window.
        little: Jobs in flight over rate x time.
        detect_lag: Upper bounds.
        throttled: What the platform's rate limit did.
        health: How this process was.
        trend: Of the latency; None where none was looked for.
    """

    window: Window
    counts: Counts
    rates: Rates
    latency: Mapping[str, Latency]
    in_flight: InFlight
    little: float | None
    detect_lag: DetectLag
    throttled: Throttled
    health: Health
    trend: Backlog | None

    @property
    def measured(self) -> Measured:
        """What objectives are compared with."""
        return Measured.of(self.latency, self.counts, self.rates, self.throttled)


def figures_of(plan: Plan, recorder: Recorder, health: HealthSampler, *, ended_at: float) -> RunFigures:
    """The figures of what was recorded.

    Args:
        plan: What was to be run.
        recorder: What was recorded.
        health: How this process was.
        ended_at: When arrivals ended, in seconds from the start of the run.
    """
    window = Window(plan.spec.warm_up, max(ended_at, plan.spec.warm_up))
    samples = recorder.samples
    in_window = [sample for sample in samples if window.holds(sample.intended)]
    completed = sum(window.holds(sample.ended) for sample in samples if sample.status == JobStatus.COMPLETED)
    dropped = sum(window.holds(at) for at, _ in recorder.drops)
    # Of a run that has ended no job is left in flight.
    in_flight = sum(window.holds(each.intended - recorder.origin) for each in recorder.running.values())
    spans = [(sample.started, sample.ended) for sample in samples]
    mean = recorder.level.mean(window)
    latency, lags = _measured(recorder)
    lag = lags.percentiles((50, 95))
    is_open = plan.schedule is not None
    return RunFigures(
        window=window,
        counts=Counts(
            offered=recorder.offered,
            started=recorder.started,
            completed=recorder.completed,
            failed=recorder.failed,
            unknown=recorder.unknown,
            dropped=dict(Counter(str(reason) for _, reason in recorder.drops)),
        ),
        rates=Rates(
            offered=_rate(len(in_window) + in_flight + dropped, window),
            started=_rate(len(in_window) + in_flight, window),
            completed=_rate(completed, window),
        ),
        latency={name: Latency.of(times) for name, times in latency.items()},
        in_flight=InFlight(mean=_rounded(mean), max=recorder.level.most(window)),
        little=_rounded(None if mean is None else little_ratio(mean, spans, window)),
        detect_lag=DetectLag(p50=_rounded(lag[0]), p95=_rounded(lag[1])),
        throttled=Throttled(
            responses=recorder.throttling.throttled,
            share=recorder.throttling.share,
            paused_seconds=round(recorder.throttling.paused, _PLACES),
        ),
        health=Health(
            loop_lag_p99=_rounded(health.loop_lag.percentile(99)),
            start_lateness_p99=_rounded(_lateness(recorder.lateness)) if is_open else None,
            cpu_share=_rounded(health.cpu_share),
            rss_bytes=health.rss_bytes,
            open_files=health.open_files,
        ),
        trend=_trend(plan, recorder, window),
    )


def _measured(recorder: Recorder) -> tuple[dict[str, Histogram], Histogram]:
    """Series or stage -> its times, of the jobs that are measured; and the bounds of their detect lags."""
    latency = {name: Histogram() for name in (E2E_INTENDED, E2E_SERVICE, *recorder.stages.names)}
    lags = Histogram()
    for sample in recorder.samples:
        if not sample.measured:
            continue
        latency[E2E_INTENDED].record(sample.e2e_intended)
        latency[E2E_SERVICE].record(sample.e2e_service)
        for name, seconds in sample.stages.items():
            latency[name].record(seconds)
        if sample.detect_lag is not None:
            lags.record(sample.detect_lag)
    return latency, lags


def _lateness(lateness: Histogram) -> float | None:
    """The 99th percentile; of fewer than 100 jobs what all but one keep: a single hiccup is no bottleneck."""
    few = 100 * (lateness.count - 1) / lateness.count if lateness.count > 1 else 0.0
    return lateness.percentile(min(99.0, few))


def _trend(plan: Plan, recorder: Recorder, window: Window) -> Backlog | None:
    """The trend of latency where the rate was to be steady: there a growing one is a backlog."""
    load = plan.spec.load
    if not isinstance(load, OpenLoad) or len(load.segments) > 1:
        return None
    times = ((sample.intended, sample.e2e_intended) for sample in recorder.samples if sample.measured)
    return backlog(times, window)


def _rate(jobs: int, window: Window) -> float | None:
    return round(jobs / window.seconds, _PLACES) if window.seconds > 0 else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _PLACES)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to.

    Attributes:
        figures: Its figures.
        judgement: The verdict.
        slos: The objectives, and whether they were met.
        unhealthy: What says that this process was the bottleneck.
        failures: Cause -> jobs that failed, or of which it is not known how they ended.
    """

    figures: RunFigures
    judgement: Judgement
    slos: Sequence[tuple[Slo, SloResult]]
    unhealthy: tuple[Reason, ...]
    failures: Mapping[str, int] = field(default_factory=dict)


def judged(
    figures: RunFigures, slos: Sequence[Slo], cut_short: Sequence[Reason], failures: Mapping[str, int]
) -> RunResult:
    """Compare figures with the objectives, and judge them."""
    measured = figures.measured
    results = [(slo, slo.check(measured)) for slo in slos]
    evidence = Evidence(
        measured=measured,
        counts=figures.counts,
        health=figures.health,
        backlog=figures.trend,
        little=figures.little,
        slos=results,
        cut_short=cut_short,
    )
    return RunResult(
        figures=figures,
        judgement=judge(evidence),
        slos=results,
        unhealthy=tuple(unhealthy(evidence)),
        failures=dict(failures),
    )


def summary_of(
    result: RunResult,
    *,
    run_id: str,
    workload: Mapping[str, Any],
    began: float,
    seed: int,
    price: float | None,
) -> RunSummary:
    """The summary of a run, as ``summary.json`` has it."""
    figures, judgement = result.figures, result.judgement
    return RunSummary(
        run_id=run_id,
        verdict=judgement.verdict,
        reasons=[str(reason) for reason in judgement.reasons],
        exit_code=int(judgement.exit),
        workload=dict(workload),
        seed=seed,
        began=round(began, 3),
        window=summary.Window(
            start=round(began + figures.window.start, 3), end=round(began + figures.window.end, 3)
        ),
        counts=figures.counts,
        rates=figures.rates,
        latency=dict(figures.latency),
        in_flight=figures.in_flight,
        little=figures.little,
        detect_lag=figures.detect_lag,
        throttled=figures.throttled,
        health=figures.health,
        slo=[Objective.of(each) for _, each in result.slos],
        failures=dict(result.failures),
        price=price,
    )


def timeline_of(recorder: Recorder, health: HealthSampler) -> Iterator[Moment]:
    """A run over time, second by second."""
    series, origin = TimeSeries(), recorder.origin
    for sample in recorder.samples:
        series.add(timeline.OFFERED, sample.intended)
        series.add(timeline.STARTED, sample.started)
        series.add(_ending(sample), sample.ended)
    for record in recorder.running.values():
        series.add(timeline.OFFERED, record.intended - origin)
        series.add(timeline.STARTED, record.started - origin)
    for at, _ in recorder.drops:
        series.add(timeline.OFFERED, at)
        series.add(timeline.DROPPED, at)
    for at in recorder.throttling.at:
        series.add(timeline.THROTTLED, at - origin)
    seen = (
        (
            each.at - origin - series.interval / 2,
            {
                "loop_lag": each.loop_lag,
                "cpu_share": each.cpu_share,
                "rss_bytes": each.rss_bytes,
                "open_files": each.open_files,
            },
        )
        for each in health.samples
    )
    return timeline.moments(series, seen)


def _ending(sample: Sample) -> str:
    if sample.status is None:
        return timeline.UNKNOWN
    return timeline.COMPLETED if sample.status == JobStatus.COMPLETED else timeline.FAILED
