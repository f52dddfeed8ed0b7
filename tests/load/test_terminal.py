"""What a load test came to, as text: what it says, line by line."""

from __future__ import annotations

import pytest
from load_runs import run_of, samples_of, summary_of

from opus_async.load.comparison import compare_runs
from opus_async.load.figures import Counts, Throttled
from opus_async.load.search import Search, SearchPlan
from opus_async.load.step_objectives import Breach
from opus_async.load.steps import Step, StepKind, StepResult
from opus_async.load.summary import Objective, SearchSummary
from opus_async.load.terminal import comparison_text, run_text, search_text
from opus_async.load.verdict import Verdict


def summary(**other):
    return summary_of(samples_of(seed=1), **other)


def lines(text):
    return [line.split() for line in text.splitlines()]


def test_run_has_verdict_stages_objectives_and_health():
    text = run_text(
        summary(
            slo=[
                Objective(expression="e2e.p95 < 9s", value=5.2, ok=True),
                Objective(expression="error_rate < 1%", value=0.021, ok=False),
            ]
        )
    )
    found = lines(text)
    assert text.startswith("PASS  1,")
    table = found.index(["stage", "mean", "p50", "p90", "p95", "p99", "max"])
    assert [line[0] for line in found[table + 1 : table + 10]] == [
        "client_wait", "presign", "upload", "initiate", "execute", "queue_run", "results", "e2e_service",
        "e2e_intended",
    ]  # fmt: skip
    assert "  ✓ e2e.p95 < 9s     5.20 s" in text
    assert "  ✕ error_rate < 1%  2.1 %" in text
    assert "loop lag p99 3 ms, starts p99 2 ms late, 20 % of a core, 80.0 MB, 40 open files" in text
    assert "1.00 of rate x time (Little's law)" in text


def test_reasons_drops_throttling_failures_and_cost_are_told():
    text = run_text(
        summary(
            verdict=Verdict.INVALID,
            reasons=["interrupted: the figures are of a part of the run"],
            counts=Counts(
                offered=110, started=100, completed=90, failed=8, unknown=2, dropped={"max_in_flight": 10}
            ),
            throttled=Throttled(responses=12, share=0.01, paused_seconds=3.0),
            failures={"no disk": 7, "": 1, "odd\x1b[31m": 2},
            price=0.1,
        )
    )
    assert text.splitlines()[:3] == [
        "INVALID  90 of 100 jobs completed",
        "",
        "  interrupted: the figures are of a part of the run",
    ]
    assert "not started: 10 max_in_flight" in text
    assert "rate limit: 12 answers with 429, 1 % of all; 3 s paused" in text
    assert "cost: 9.00, at 0.10 for each completed job" in text
    assert "  7 jobs: no disk\n  2 jobs: odd\\u001b[31m\n  1 job: no cause is known" in text


def searched(**steps):
    search = Search(SearchPlan())
    for rate, kind, more in (
        (10.0, StepKind.DOUBLE, {}),
        (10.2, StepKind.DOUBLE, {"breaches": (Breach("e2e.p95 < 1s"),), **steps}),
        (10.0, StepKind.CONFIRM, {}),
    ):
        search.take(
            StepResult(
                step=Step(kind, rate, 6, 30),
                started=360,
                offered=rate,
                completed_rate=rate,
                p95=0.5,
                in_flight=4.0,
                stages={"queue_run": rate},
                **more,
            )
        )
    return SearchSummary.of(search, search.outcome(), run_id="r", workload={}, seed=1, began=1.0, price=0.5)


def test_search_has_rate_limit_steps_and_cost():
    text = search_text(searched())
    assert text.startswith("PASS  10.0 jobs/s, 36,000 an hour: it holds")
    assert "e2e.p95 < 1s was not met" in text
    assert [line[:3] for line in lines(text) if line[:1] in (["✓"], ["✕"])] == [
        ["✓", "double", "10.0"],
        ["✕", "double", "10.2"],
        ["✓", "confirm", "10.0"],
    ]
    assert "1,080 jobs started\n  cost: 540.00 at most, at 0.50 for each completed job" in text


def test_rate_limit_is_named():
    assert "the platform's rate limit is what limits" in search_text(searched(throttled=3))


@pytest.mark.parametrize("text", [run_text(summary()), search_text(searched())])
def test_no_line_ends_in_blanks(text):
    assert all(line == line.rstrip() for line in text.splitlines())


def test_comparison_has_a_line_for_each_metric():
    found = compare_runs(
        run_of(seed=1), run_of(seed=2, service=lambda rng, _: 1.4 * rng.lognormvariate(1, 0.4))
    )
    text = comparison_text(found)
    assert text.splitlines()[0] == "worse"
    (line,) = [line for line in text.splitlines() if "e2e_intended.p50" in line]
    assert line.split()[0] == "!"
    assert line.endswith("worse")
    assert sum(metric.name in text for metric in found.metrics) == len(found.metrics)
