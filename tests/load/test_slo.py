"""Service level objectives: their grammar, what is said of a wrong one, and whether they are met."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.load.figures import Latency
from opus_async.load.metric import STATISTICS, Metric
from opus_async.load.slo import Measured, parse_slo
from opus_async.metrics.histogram import Histogram

STAGES = ("client_wait", "presign", "upload", "initiate", "execute", "queue_run", "results")


def measured(**values) -> Measured:
    whole = {
        "latency": {},
        "completed": 0,
        "failed": 0,
        "unknown": 0,
        "completed_rate": None,
        "throttled_share": None,
    }
    return Measured(**whole | values)


@pytest.mark.parametrize(
    ("expression", "metric", "comparison", "bound"),
    [
        ("e2e.p95 < 90s", Metric("e2e_intended", "p95"), "<", 90.0),
        ("e2e_intended.p50<=800ms", Metric("e2e_intended", "p50"), "<=", 0.8),
        ("e2e_service.p999 < 2m", Metric("e2e_service", "p999"), "<", 120.0),
        ("  queue_run.mean  >=  0.5 s ", Metric("queue_run", "mean"), ">=", 0.5),
        ("upload.max>1.5s", Metric("upload", "max"), ">", 1.5),
        ("error_rate < 1%", Metric("error_rate"), "<", 0.01),
        ("error_rate <= 0.01", Metric("error_rate"), "<=", 0.01),
        ("throttled.share < .5%", Metric("throttled.share"), "<", 0.005),
        ("completed_rate >= 18", Metric("completed_rate"), ">=", 18.0),
        ("completed_rate > 0.5/s", Metric("completed_rate"), ">", 0.5),
    ],
)
def test_expression_is_read(expression, metric, comparison, bound):
    slo = parse_slo(expression, STAGES)
    assert (slo.metric, slo.comparison, slo.bound) == (metric, comparison, pytest.approx(bound))
    assert slo.expression == expression.strip()


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "'' is no objective: write it as e2e.p95 < 90s"),
        ("e2e.p95", "'e2e.p95' is no objective"),
        ("< 90s", "is no objective"),
        ("e2e.p95 <", "is no objective"),
        ("e2e.p95 == 90s", "'==' is no comparison; there are <, <=, > and >="),
        ("e2e.p95 =< 90s", "'=<' is no comparison"),
        (
            "quue_run.p95 < 9s",
            "'quue_run' is no series or stage (did you mean 'queue_run'?); there are e2e, ",
        ),
        ("e2e_intendet.p95 < 9s", "(did you mean 'e2e_intended'?)"),
        (
            "watch.p95 < 9s",
            "'watch' is no series or stage; there are e2e, e2e_intended, e2e_service, client_wait, ",
        ),
        ("e2e.p96 < 9s", "'p96' is no statistic (did you mean 'p99"),
        (
            "e2e.median < 9s",
            "'median' is no statistic (did you mean 'mean'?); there are p50, p90, p95, p99, p999, mean, max",
        ),
        ("e2e < 9s", "'e2e' needs a statistic: e2e.p50, e2e.p90, "),
        ("eror_rate < 1%", "'eror_rate' is no metric (did you mean 'error_rate'?)"),
        ("throttled.shares < 1%", "'throttled' is no series or stage"),
        ("e2e.p95 < 90", "'90' has no unit: write time with its unit, like 800ms, 90s or 2m"),
        ("e2e.p95 < 90sec", "'sec' is no unit of e2e_intended.p95: write time with its unit"),
        ("e2e.p95 < soon", "'soon' is no time with its unit"),
        ("e2e.p95 < -1s", "'-1s' is no time"),
        ("e2e.p95 < 1e3s", "'e3s' is no unit of e2e_intended.p95"),
        ("error_rate < 1s", "'s' is no unit of error_rate: write share, like 1% or 0.01"),
        ("error_rate < 150%", "'150%' is more than everything"),
        ("error_rate < 5", "'5' is more than everything"),
        ("completed_rate > 5%", "'%' is no unit of completed_rate: write number of jobs a second"),
    ],
)
def test_wrong_expression_names_the_part_and_what_fits(expression, said):
    with pytest.raises(ValueError) as caught:
        parse_slo(expression, STAGES)
    assert said in str(caught.value)
    assert repr(expression.strip()) in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        slo = parse_slo(text, STAGES)
    except ValueError:
        return
    assert slo.bound >= 0


def test_stages_are_those_of_the_platform():
    assert parse_slo("login.p50 < 1s", ["login", "watch"]).metric == Metric("login", "p50")
    with pytest.raises(ValueError, match="'login' is no series or stage"):
        parse_slo("login.p50 < 1s", STAGES)


@pytest.mark.parametrize(
    ("expression", "value", "ok"),
    [
        ("e2e.p50 < 2s", 2.0, False),
        ("e2e.p50 <= 2s", 2.0, True),
        ("e2e.max > 2s", 4.0, True),
        ("upload.p50 < 2s", None, False),
        ("error_rate <= 20%", 0.2, True),
        ("error_rate < 20%", 0.2, False),
        ("completed_rate >= 8", 8.0, True),
        ("throttled.share > 0.1", 0.1, False),
    ],
)
def test_objective_is_compared_with_what_was_measured(expression, value, ok):
    found = measured(
        latency={
            "e2e_intended": Latency(count=3, mean=2.3, p50=2.0, p90=4.0, p95=4.0, p99=4.0, p999=4.0, max=4.0)
        },
        completed=8,
        failed=1,
        unknown=1,
        completed_rate=8.0,
        throttled_share=0.1,
    )
    result = parse_slo(expression, STAGES).check(found)
    assert (result.value, result.ok, result.expression) == (value, ok, expression)


@pytest.mark.parametrize(
    "expression", ["error_rate < 1%", "throttled.share < 1%", "completed_rate > 0", "e2e.max < 1s"]
)
def test_what_was_not_measured_meets_no_objective(expression):
    result = parse_slo(expression, STAGES).check(measured())
    assert (result.value, result.ok) == (None, False)


def test_latency_has_the_statistics_of_a_histogram():
    latency = Latency.of(Histogram(float(value) for value in range(1, 1001)))
    assert (latency.count, latency.mean, latency.max) == (1000, 500.5, 1000.0)
    assert [latency.value(each) for each in STATISTICS[:5]] == pytest.approx(
        [500, 900, 950, 990, 999], rel=0.005
    )


def test_latency_of_nothing_is_none():
    latency = Latency.of(Histogram())
    assert latency.count == 0
    assert {latency.value(each) for each in STATISTICS} == {None}
