"""The verdict of a run: never PASS where its figures are not those of the platform, or of a part of it."""

from __future__ import annotations

import pytest

from opus_async.exits import Exit
from opus_async.load.figures import Counts, Health, Latency
from opus_async.load.reasons import Reason, ReasonCode
from opus_async.load.slo import Measured, parse_slo
from opus_async.load.steady import Backlog
from opus_async.load.verdict import Evidence, Verdict, jobs_needed, judge

STAGES = ("upload", "execute")


def latency(count=1000, p50=4.0, p95=8.0):
    return Latency(count=count, mean=p50, p50=p50, p90=p95, p95=p95, p99=p95, p999=p95, max=p95)


def evidence(*slos, **other) -> Evidence:
    series = other.pop("latency", {"e2e_intended": latency(), "upload": latency(1000, 0.1, 0.2)})
    measured = Measured(
        latency=series, completed=1000, failed=0, unknown=0, completed_rate=20.0, throttled_share=0.0
    )
    objectives = [parse_slo(each, STAGES) for each in slos]
    whole = {
        "counts": Counts(offered=1000, started=1000, completed=1000, failed=0, unknown=0),
        "health": Health(loop_lag_p99=0.004, start_lateness_p99=0.002, cpu_share=0.3),
        "backlog": Backlog(0.001, 0.4, 1000),
        "little": 1.01,
    }
    return Evidence(
        measured=measured, slos=[(each, each.check(measured)) for each in objectives], **whole | other
    )


def codes(judgement):
    return [reason.code for reason in judgement.reasons]


def test_objectives_that_were_met_are_a_pass():
    judgement = judge(evidence("e2e.p95 < 9s", "error_rate < 1%", "completed_rate > 19"))
    assert (judgement.verdict, judgement.reasons, judgement.exit) == (Verdict.PASS, (), Exit.OK)


def test_run_without_objectives_is_a_pass():
    assert judge(evidence()).verdict is Verdict.PASS


def test_objective_that_was_not_met_fails():
    judgement = judge(evidence("e2e.p95 < 9s", "upload.p50 < 50ms", "completed_rate >= 25"))
    assert (judgement.verdict, judgement.exit) == (Verdict.FAIL, Exit.SLO_FAILED)
    assert [str(reason) for reason in judgement.reasons] == [
        "upload.p50 < 50ms was not met: 0.10 s",
        "completed_rate >= 25 was not met: 20.0 a second",
    ]


@pytest.mark.parametrize(
    ("other", "code", "said"),
    [
        (
            {"health": Health(start_lateness_p99=0.11)},
            ReasonCode.LATE_STARTS,
            "the bottleneck: jobs were started 0.11 s late (99th percentile; the limit is 0.10 s)",
        ),
        ({"health": Health(cpu_share=0.91)}, ReasonCode.CPU, "the load took 91 % of a core"),
        ({"health": Health(loop_lag_p99=0.12)}, ReasonCode.LOOP_LAG, "its event loop was 0.12 s late"),
        (
            {
                "counts": Counts(
                    offered=1000,
                    started=985,
                    completed=985,
                    failed=0,
                    unknown=0,
                    dropped={"max_in_flight": 15},
                )
            },
            ReasonCode.TOO_MANY_DROPPED,
            "1.5 % of the arrivals were not started (15 max_in_flight)",
        ),
        ({"backlog": Backlog(0.2, 5.0, 1000)}, ReasonCode.BACKLOG, "each second made jobs 0.20 s slower"),
        ({"little": 1.2}, ReasonCode.LITTLE, "jobs in flight are 1.20 of rate x time"),
        ({"little": 0.8}, ReasonCode.LITTLE, "0.80"),
        ({"latency": {}}, ReasonCode.NO_JOBS, "no job of the measured window completed"),
        ({"latency": {"e2e_intended": Latency()}}, ReasonCode.NO_JOBS, "no job"),
        (
            {"cut_short": [Reason(ReasonCode.CAP_REACHED, {"jobs": 1000})]},
            ReasonCode.CAP_REACHED,
            "cap of 1,000 jobs",
        ),
        (
            {"cut_short": [Reason(ReasonCode.NOT_DRAINED, {"jobs": 1, "seconds": 60.0})]},
            ReasonCode.NOT_DRAINED,
            "1 job was not waited for to the end, but for 1 min",
        ),
    ],
)
def test_worthless_figures_are_invalid_whatever_they_say(other, code, said):
    judgement = judge(evidence("error_rate < 1%", **other))
    assert (judgement.verdict, judgement.exit, codes(judgement)) == (
        Verdict.INVALID,
        Exit.INVALID_LOAD,
        [code],
    )
    assert said in str(judgement.reasons[0])


def test_lateness_is_held_against_the_time_of_a_job():
    short = {"e2e_intended": latency(p50=0.2)}
    late = Health(start_lateness_p99=0.02)
    assert codes(judge(evidence(latency=short, health=late))) == [ReasonCode.LATE_STARTS]
    assert judge(evidence(health=late)).verdict is Verdict.PASS


@pytest.mark.parametrize("drops", [0, 10])
def test_few_drops_are_no_other_load(drops):
    counts = Counts(
        offered=1000,
        started=1000 - drops,
        completed=900,
        failed=0,
        unknown=0,
        dropped={"max_in_flight": drops},
    )
    assert judge(evidence(counts=counts)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("statistic", "needed"),
    [("p50", 5), ("p90", 29), ("p95", 59), ("p99", 299), ("p999", 2995), ("mean", 5), ("max", 1)],
)
def test_percentile_of_too_few_jobs_says_how_many_it_takes(statistic, needed):
    assert jobs_needed(statistic) == needed
    slo = f"e2e.{statistic} < 9s"
    assert judge(evidence(slo, latency={"e2e_intended": latency(needed)})).verdict is Verdict.PASS
    if needed > 1:
        judgement = judge(evidence(slo, latency={"e2e_intended": latency(needed - 1)}))
        assert judgement.verdict is Verdict.INVALID
        assert f"too few jobs: e2e_intended.{statistic} is of {needed - 1:,} and takes {needed:,}" in str(
            judgement.reasons[0]
        )


def test_interrupted_run_is_invalid_and_exits_as_interrupted():
    judgement = judge(evidence("e2e.p95 < 1s", cut_short=[Reason(ReasonCode.INTERRUPTED)]))
    assert (judgement.verdict, judgement.exit) == (Verdict.INVALID, Exit.INTERRUPTED)
    assert codes(judgement) == [ReasonCode.INTERRUPTED, ReasonCode.SLO]


def test_every_reason_has_words():
    values = {"expression": "e2e.p95 < 1s", "value": None, "unit": "s", "metric": "e2e.p95", "error": "a key"}
    values |= {"jobs": 3, "needed": 59, "dropped": {"x": 1}, "offered": 10, "seconds": 1.0, "limit": 0.1}
    values |= {"slope": 0.1, "ratio": 0.5, "share": 0.95}
    for code in ReasonCode:
        assert str(Reason(code, values))
