"""Two runs compared: noise is unchanged, a real change is seen, and other workloads are refused by name."""

from __future__ import annotations

import json

import pytest
from load_runs import STAGES, WORKLOAD, run_of, written

from opus_async.errors import LoadRefused
from opus_async.load.comparison import Change, compare_runs
from opus_async.load.fail_if import parse_fail_if
from opus_async.load.recorded_run import load_run
from opus_async.load.terminal import comparison_text
from opus_async.load.verdict import Verdict


def slower(by):
    return lambda rng, _: by * rng.lognormvariate(1.0, 0.4)


def metric(comparison, name):
    return next(each for each in comparison.metrics if each.name == name)


@pytest.mark.parametrize("seed", range(2, 5))
def test_same_workload_again_is_unchanged(seed):
    comparison = compare_runs(run_of(seed=1), run_of(seed=seed))
    assert comparison.verdict is Change.UNCHANGED
    assert comparison.same_workload
    assert {each.verdict for each in comparison.metrics} == {Change.UNCHANGED}


@pytest.mark.parametrize("seed", range(2, 4))
def test_slower_platform_is_worse_and_by_how_much(seed):
    comparison = compare_runs(run_of(seed=1), run_of(seed=seed, service=slower(1.3)))
    assert comparison.verdict is Change.WORSE
    median = metric(comparison, "e2e_intended.p50")
    assert median.verdict is Change.WORSE
    assert median.low < 0.3 < median.high
    assert median.change == pytest.approx(median.new / median.base - 1, abs=1e-4)
    assert metric(comparison, "completed_rate").verdict is Change.UNCHANGED


def test_faster_platform_is_better():
    comparison = compare_runs(run_of(seed=1), run_of(seed=2, service=slower(0.7)))
    assert comparison.verdict is Change.BETTER
    assert metric(comparison, "e2e_service.mean").verdict is Change.BETTER
    assert metric(comparison, "queue_run.p50").verdict is Change.BETTER


def test_certain_change_below_the_floor_is_unchanged():
    """Each job takes the same time, so that 3 % more is no chance; it is no matter either."""
    base, new = (run_of(seed=seed, service=lambda *_, s=s: s) for seed, s in ((1, 2.0), (2, 2.06)))
    found = metric(compare_runs(base, new), "e2e_intended.p50")
    assert found.low > 0
    assert found.verdict is Change.UNCHANGED


def test_failures_are_worse_where_there_were_none():
    comparison = compare_runs(run_of(seed=1), run_of(seed=2, failing=0.1))
    errors = metric(comparison, "error_rate")
    assert (errors.base, errors.change, errors.verdict) == (0.0, None, Change.WORSE)
    assert errors.new == pytest.approx(0.1, abs=0.03)
    assert comparison.verdict is Change.WORSE


def test_fewer_completed_jobs_are_worse():
    comparison = compare_runs(run_of(seed=1), run_of(seed=2, rate=12.0))
    rate = metric(comparison, "completed_rate")
    assert rate.verdict is Change.WORSE
    assert rate.low < -0.4 < rate.high


def test_slow_minute_widens_the_interval():
    """Jobs of a quarter of the run are all slow: by chance it could have been another quarter, or none."""
    base = run_of(seed=1)
    wave = run_of(seed=2, service=lambda rng, at: rng.lognormvariate(1.0, 0.4) * (1.8 if 20 < at < 35 else 1))
    even = run_of(seed=2, service=slower(1.2))
    spread = [metric(compare_runs(base, run), "e2e_intended.mean") for run in (wave, even)]
    assert spread[0].high - spread[0].low > 1.5 * (spread[1].high - spread[1].low)


def test_percentiles_of_too_few_jobs_are_left_out():
    base, new = run_of(seed=1, rate=2.0), run_of(seed=2, rate=2.0)
    names = {each.name for each in compare_runs(base, new).metrics}
    assert "e2e_intended.p95" in names
    assert "e2e_intended.p99" not in names


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        (WORKLOAD | {"workflow_id": "other"}, "workflow_id: 'wf' and 'other'"),
        (WORKLOAD | {"arrivals": {"rate": 40.0, "process": "poisson"}}, "arrivals.rate: 20.0 and 40.0"),
        ({**WORKLOAD, "think": 2.0}, "think: null and 2.0"),
        ({}, "workflow_id: 'wf' and null; arrivals.rate: 20.0 and null; "),
    ],
)
def test_other_workload_is_refused_and_its_fields_are_named(workload, said):
    with pytest.raises(LoadRefused) as caught:
        compare_runs(run_of(seed=1), run_of(seed=2, name="runs/two", summary={"workload": workload}))
    assert said in str(caught.value)
    assert "'runs/one' and 'runs/two' ran different workloads" in str(caught.value)


def test_invalid_run_is_compared_with_a_warning():
    invalid = run_of(seed=2, summary={"verdict": Verdict.INVALID, "reasons": ["interrupted"]})
    found = compare_runs(run_of(seed=1), invalid)
    assert found.warnings == ["'runs/one' is INVALID: interrupted"]
    told = comparison_text(found)
    assert told.startswith("unchanged, but not to be relied on, because a run is INVALID\n")
    assert "'runs/one' is INVALID: interrupted" in told
    assert "Run it again" in told


def test_run_without_measured_jobs_is_refused():
    with pytest.raises(LoadRefused, match="has no job in its measured window"):
        compare_runs(run_of(seed=1), run_of(seed=2, failing=1.0))


def test_comparison_as_json_has_the_fields_of_the_contract():
    comparison = json.loads(compare_runs(run_of(seed=1), run_of(seed=2)).model_dump_json())
    assert {"verdict", "same_workload", "metrics"} <= comparison.keys()
    assert comparison["same_workload"] is True
    assert comparison["metrics"][0].keys() == {"name", "base", "new", "change", "low", "high", "verdict"}


def test_runs_are_read_from_their_directories(tmp_path):
    runs = run_of(seed=1), run_of(seed=2)
    read = [load_run(written(tmp_path / str(number), run)) for number, run in enumerate(runs)]
    found = compare_runs(*read)
    assert [each.name for each in found.metrics] == [each.name for each in compare_runs(*runs).metrics]
    assert found.verdict is Change.UNCHANGED


@pytest.fixture(scope="module")
def worse():
    base, new = run_of(seed=1), run_of(seed=2, service=slower(1.3), failing=0.05)
    return compare_runs(base, new), new.summary.measured


@pytest.mark.parametrize(
    ("expression", "fails"),
    [
        ("worse", True),
        ("e2e.p95 worse", True),
        ("e2e.p95 is worse", True),
        ("client_wait.p50 worse", False),
        ("e2e.p50 > 10%", True),
        ("e2e.p50 > +10%", True),
        ("e2e.p50 > 60%", False),
        ("e2e.p50 < -5%", False),
        ("completed_rate < -50%", False),
        ("e2e.p50 > 3s", True),
        ("e2e.p50 > 1m", False),
        ("error_rate > 1%", True),
        ("error_rate > 20%", False),
        ("error_rate > +20%", True),
        ("completed_rate < 100", True),
        ("throttled.share > 1%", False),
        ("e2e.p999 worse", True),
    ],
)
def test_condition_fails_a_comparison(worse, expression, fails):
    comparison, new = worse
    breach = parse_fail_if(expression, STAGES).breach(comparison, new)
    assert (breach is not None) == fails
    assert breach is None or breach.startswith(f"{expression}: ")


def test_change_within_the_noise_breaks_no_condition():
    comparison = compare_runs(run_of(seed=1, seconds=30), run_of(seed=2, seconds=30))
    tight = parse_fail_if("e2e.p99 > 0.1%", STAGES)
    assert tight.breach(comparison, run_of(seed=2).summary.measured) is None


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "is no objective"),
        ("e2e.p96 > 10%", "'p96' is no statistic (did you mean '"),
        ("e3e.p95 worse", "'e3e' is no series or stage"),
        ("e2e.p95 > 10", "'10' has no unit"),
        ("throttled.share > +10%", "the change of throttled.share is not known"),
        ("e2e.p95 better", "is no objective"),
        ("e2e.p95 ~ 5%", "a change is written as e2e.p95 > 10% or e2e.p95 worse"),
    ],
)
def test_wrong_condition_names_what_is_wrong(expression, said):
    with pytest.raises(ValueError) as caught:
        parse_fail_if(expression, STAGES)
    assert said in str(caught.value)
