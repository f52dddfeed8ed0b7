"""Load runs made up: jobs whose times follow a given law, and the summary that such a run has."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opus_async.layout import SAMPLES, SUMMARY
from opus_async.load.figures import (
    Counts,
    DetectLag,
    Health,
    InFlight,
    Latency,
    Rates,
    Throttled,
)
from opus_async.load.recorded_run import RecordedRun
from opus_async.load.search import Search, SearchPlan
from opus_async.load.steady import mean_in_flight, most_in_flight
from opus_async.load.step_objectives import Breach
from opus_async.load.steps import Step, StepKind, StepResult
from opus_async.load.summary import RunSummary, SearchSummary, Window, as_json
from opus_async.load.timeline import as_lines, moments
from opus_async.load.values import Sample
from opus_async.load.verdict import Verdict
from opus_async.metrics.histogram import Histogram
from opus_async.metrics.time_series import TimeSeries

STAGES = ("client_wait", "presign", "upload", "initiate", "execute", "queue_run", "results")
WORKLOAD = {"workflow_id": "wf", "arrivals": {"rate": 20.0, "process": "poisson"}, "warm_up": 5.0}
BEGAN = 1_790_000_000.0
_SHARES = (0.0, 0.02, 0.03, 0.02, 0.03, 0.85, 0.05)


def samples_of(
    *,
    seed: int,
    rate: float = 20.0,
    seconds: float = 60.0,
    warm_up: float = 5.0,
    service: Callable[[random.Random, float], float] = lambda rng, _: rng.lognormvariate(1.0, 0.4),
    failing: float = 0.0,
) -> list[Sample]:
    """Jobs of an open load, of which each takes ``service(rng, when it started)`` seconds."""
    rng = random.Random(seed)
    at, found = 0.0, []
    while (at := at + rng.expovariate(rate)) < warm_up + seconds:
        took = service(rng, at)
        ok = rng.random() >= failing
        found.append(
            Sample(
                index=len(found),
                job_id=f"job-{len(found)}",
                status="COMPLETED" if ok else "FAILED",
                intended=at,
                started=at,
                ended=at + took,
                stages={name: took * share for name, share in zip(STAGES, _SHARES, strict=True)},
                detect_lag=0.05,
                measured=ok and at >= warm_up,
            )
        )
    return found


def summary_of(
    samples: list[Sample], *, seconds: float = 60.0, warm_up: float = 5.0, **other: Any
) -> RunSummary:
    """The summary of such jobs."""
    measured = [sample for sample in samples if sample.measured]
    series = {
        "e2e_intended": [sample.e2e_intended for sample in measured],
        "e2e_service": [sample.e2e_service for sample in measured],
        **{name: [sample.stages[name] for sample in measured] for name in STAGES},
    }
    completed = sum(sample.status == "COMPLETED" for sample in samples)
    spans = [(sample.started, sample.ended) for sample in samples]
    window = Window(start=BEGAN + warm_up, end=BEGAN + warm_up + seconds)
    whole = {
        "run_id": "run-1",
        "verdict": Verdict.PASS,
        "reasons": [],
        "exit_code": 0,
        "workload": WORKLOAD,
        "seed": 1,
        "began": BEGAN,
        "window": window,
        "counts": Counts(
            offered=len(samples),
            started=len(samples),
            completed=completed,
            failed=len(samples) - completed,
            unknown=0,
        ),
        "rates": Rates(offered=20.0, started=20.0, completed=len(measured) / seconds),
        "latency": {name: Latency.of(Histogram(values)) for name, values in series.items()},
        "in_flight": InFlight(mean=mean_in_flight(spans, _relative(window)), max=most_in_flight(spans)),
        "little": 1.0,
        "detect_lag": DetectLag(p50=0.05, p95=0.05),
        "throttled": Throttled(responses=0, share=0.0),
        "health": Health(
            loop_lag_p99=0.003, start_lateness_p99=0.002, cpu_share=0.2, rss_bytes=80_000_000, open_files=40
        ),
    }
    return RunSummary(**whole | other)


def _relative(window: Window) -> Any:
    from opus_async.load.values import Window as Seconds

    return Seconds(window.start - BEGAN, window.end - BEGAN)


def run_of(
    *, seed: int, name: str = "runs/one", summary: dict[str, Any] | None = None, **how: Any
) -> RecordedRun:
    """A run, as it is read from its directory."""
    samples = samples_of(seed=seed, **how)
    return RecordedRun(name, summary_of(samples, **summary or {}), samples)


def written(directory: Path, run: RecordedRun) -> Path:
    """Write a run as a load test writes it."""
    import json

    directory.mkdir(parents=True, exist_ok=True)
    (directory / SUMMARY).write_bytes(as_json(run.summary))
    lines = "".join(f"{json.dumps(sample.as_json())}\n" for sample in run.samples)
    (directory / SAMPLES).write_text(lines)
    return directory


def timeline_of(run: RecordedRun, *, throttled: int = 0) -> bytes:
    """The lines of ``timeline.jsonl`` of such a run, with a health and so many answers with 429."""
    rng = random.Random(1)
    series = TimeSeries(1.0)
    for sample in run.samples:
        series.add("offered", sample.intended)
        series.add("started", sample.started)
        series.add("completed" if sample.status == "COMPLETED" else "failed", sample.ended)
    for _ in range(throttled):
        series.add("throttled", rng.uniform(10, 20))
    seconds = int(max(sample.ended for sample in run.samples))
    health = [
        (at + 0.5, {"loop_lag": rng.expovariate(300), "cpu_share": rng.uniform(0.2, 0.3), "open_files": 40})
        for at in range(seconds)
    ]
    return b"".join(as_lines(moments(series, health)))


def searched_summary(*, steps: int = 9, throttled: int = 0) -> SearchSummary:
    """The summary of a search on a platform that completes 20 jobs a second at the most."""
    rates = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 19.0, 20.5, 19.0][:steps]
    kinds = [StepKind.DOUBLE] * 6 + [StepKind.BISECT] * 2 + [StepKind.CONFIRM]
    search = Search(SearchPlan())
    for rate, kind in zip(rates, kinds, strict=False):
        busy = min(rate / 20, 0.97)
        search.take(
            StepResult(
                step=Step(kind, rate, 6, 30),
                started=round(36 * rate),
                offered=rate,
                completed_rate=min(rate, 20.0),
                p95=1 + 0.1 / (1 - busy) + max(rate - 20, 0) * 2,
                in_flight=rate * (1 + 0.02 / (1 - busy)) + max(rate - 20, 0) * 20,
                stages={"execute": 0.1, "queue_run": 1 / (1 - busy)},
                breaches=(Breach("e2e.p95 < 3s"),) if rate > 20 else (),
                throttled=throttled if rate > 20 else 0,
                paused=throttled / 4 if rate > 20 else 0.0,
            )
        )
    return SearchSummary.of(
        search,
        search.outcome(),
        run_id="run-2",
        workload={"workflow_id": "wf", "window": 30.0},
        seed=1,
        began=BEGAN,
        slo=["e2e.p95 < 3s"],
        price=0.12,
    )
