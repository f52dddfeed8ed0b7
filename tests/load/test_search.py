"""The search for the highest rate that holds, against queues whose capacity is known."""

from __future__ import annotations

import heapq
import math
import random

import pytest

from opus_async.load.reasons import Reason, ReasonCode
from opus_async.load.search import RATE_LIMIT, Search, SearchEnd, SearchPlan
from opus_async.load.slo import parse_slo
from opus_async.load.steady import Backlog
from opus_async.load.step_objectives import Breach
from opus_async.load.steps import Step, StepKind, StepResult
from opus_async.load.values import Sample, Window
from opus_async.load.verdict import Verdict


class Queue:
    """A platform with so many servers and, if wanted, a hard limit of jobs started a second.

    Args:
        servers: How many jobs it runs at once.
        service: Gives the seconds of a job.
        limit: Jobs that it takes a second; the client waits for its turn, as after a 429.
        slo: Seconds that the 95th percentile may take.
    """

    def __init__(self, *, servers, service, limit=None, slo=None, seed=1):
        self._servers, self._service, self._limit, self._slo = servers, service, limit, slo
        self._rng = random.Random(seed)
        self.steps = []

    def run(self, step: Step) -> StepResult:
        self.steps.append(step)
        free = [0.0] * self._servers
        taken, paused, samples = 0.0, 0, []
        for at in step.schedule("poisson", self._rng.randrange(1 << 30)).times:
            begin = at
            if self._limit:
                begin = max(at, taken)
                taken = begin + 1 / self._limit
                paused += begin > at + 1
            seconds = self._service(self._rng)
            start = max(begin, heapq.heappop(free))
            heapq.heappush(free, start + seconds)
            stages = {"execute": begin - at, "queue_run": start + seconds - begin}
            samples.append(
                Sample(
                    index=len(samples),
                    job_id=None,
                    status="COMPLETED",
                    intended=at,
                    started=at,
                    ended=start + seconds,
                    stages=stages,
                )
            )
        window = Window(step.settle, step.settle + step.window)
        slos = [parse_slo(f"e2e.p95 < {self._slo:g}s", [])] if self._slo else []
        return StepResult.of(step, samples, window, slos=slos, throttled=paused, paused=paused / 100)


def searched(platform, **plan):
    search = Search(SearchPlan(**plan))
    while (step := search.next_step()) is not None:
        search.take(platform.run(step))
        assert len(search.results) < 60
    return search, search.outcome()


def exponential(mean):
    return lambda rng: rng.expovariate(1 / mean)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("servers", "mean"), [(8, 0.5), (20, 1.0), (4, 0.1)])
def test_rate_of_a_queue_is_its_capacity_to_ten_percent(servers, mean, seed):
    queue = Queue(servers=servers, service=exponential(mean), slo=60 * mean, seed=seed)
    search, outcome = searched(queue, window=400 * mean / servers + 10 * mean)
    assert (outcome.verdict, outcome.confirmed) == (Verdict.PASS, True)
    assert outcome.rate == pytest.approx(servers / mean, rel=0.1)
    assert outcome.limiting_stage == "queue_run"
    assert search.jobs <= 20_000


def waiting_p95(rate, servers, mean):
    """The 95th percentile of the time in M/M/c, by bisection on its exact distribution (Erlang C)."""
    load = rate * mean
    blocked = 1.0
    for each in range(1, servers + 1):
        blocked = load * blocked / (each + load * blocked)
    wait = blocked / (1 - load / servers * (1 - blocked))
    mu, theta = 1 / mean, servers / mean - rate

    def beyond(time):
        both = (math.exp(-mu * time) - math.exp(-theta * time)) / (theta - mu)
        return (1 - wait) * math.exp(-mu * time) + wait * (math.exp(-theta * time) + theta * both)

    low, high = 0.0, 1000.0 * mean
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > 0.05 else (low, middle)
    return low


@pytest.mark.parametrize("seed", range(4))
def test_rate_under_an_objective_is_that_of_theory_to_ten_percent(seed):
    """M/M/20 with a second each, whose 95th percentile has to stay below 4 s."""
    exact = 19.9
    while waiting_p95(exact, 20, 1.0) > 4.0:
        exact -= 0.02
    queue = Queue(servers=20, service=exponential(1.0), slo=4.0, seed=seed)
    _, outcome = searched(queue, window=60)
    assert outcome.verdict is Verdict.PASS
    assert outcome.rate == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("limit", [7.0, 20.0])
def test_hard_rate_limit_is_found_to_five_percent_and_named(limit, seed):
    queue = Queue(servers=10_000, service=lambda rng: rng.uniform(1, 3), limit=limit, seed=seed)
    search, outcome = searched(queue, window=30)
    assert (outcome.verdict, outcome.limiting_stage, outcome.fit) == (Verdict.PASS, RATE_LIMIT, None)
    assert outcome.rate == pytest.approx(limit, rel=0.05)
    assert any("rate limit" in result.why(search.ceiling) for result in search.results)


def test_search_doubles_bisects_and_confirms_in_a_longer_window():
    queue = Queue(servers=8, service=exponential(0.5))
    search, _ = searched(queue, window=30, start_rate=2)
    kinds = [step.kind for step in queue.steps]
    doubled = [step.rate for step in queue.steps if step.kind is StepKind.DOUBLE]
    assert doubled == [2.0 * 2**number for number in range(len(doubled))]
    assert kinds == sorted(kinds, key=[StepKind.DOUBLE, StepKind.BISECT, StepKind.CONFIRM].index)
    last = queue.steps[-1]
    assert (last.kind, last.window) == (StepKind.CONFIRM, 90)
    assert search.next_step() is None


def test_law_is_fitted_to_what_was_measured():
    queue = Queue(servers=20, service=exponential(1.0))
    _, outcome = searched(queue, window=60)
    assert outcome.fit.r_squared > 0.8
    assert outcome.fit.peak == pytest.approx(20, rel=0.15)


def test_platform_that_holds_nothing_is_a_fail():
    queue = Queue(servers=1, service=lambda _: 10.0, slo=5.0)
    _, outcome = searched(queue)
    assert (outcome.verdict, outcome.rate, outcome.confirmed) == (Verdict.FAIL, None, False)
    assert outcome.reasons == (SearchEnd.NOTHING_HOLDS,)


def test_search_never_starts_more_jobs_than_it_may():
    queue = Queue(servers=1_000, service=exponential(0.5))
    search, outcome = searched(queue, max_jobs=500)
    assert sum(step.jobs for step in queue.steps) <= 500
    assert (outcome.verdict, outcome.confirmed) == (Verdict.INVALID, False)
    assert outcome.reasons == (SearchEnd.CAP,)
    assert outcome.rate is not None, "what held so far is told"
    assert search.next_step() is None


def test_interrupted_search_is_invalid_and_tells_what_held():
    queue = Queue(servers=8, service=exponential(0.5))
    search = Search(SearchPlan())
    for _ in range(3):
        search.take(queue.run(search.next_step()))
    outcome = search.outcome(["interrupted"])
    assert (outcome.verdict, outcome.reasons) == (Verdict.INVALID, ("interrupted",))
    assert outcome.rate == pytest.approx(4.0, rel=0.3)


def result(rate, *, kind=StepKind.DOUBLE, **values):
    whole = {"started": 10, "offered": rate, "completed_rate": rate, "p95": 1.0, "in_flight": rate}
    return StepResult(step=Step(kind, rate, 6, 30), **whole | values)


def test_busy_generator_ends_the_search_as_invalid():
    search = Search(SearchPlan())
    search.take(result(1.0))
    search.take(result(2.0, unhealthy=(Reason(ReasonCode.CPU, {"share": 0.95}),)))
    assert search.next_step() is None
    outcome = search.outcome()
    assert (outcome.verdict, outcome.reasons, outcome.rate) == (Verdict.INVALID, (SearchEnd.GENERATOR,), 1.0)
    assert "95 % of a core" in search.results[-1].why(None)


def test_rate_that_does_not_hold_for_longer_is_lowered_until_one_does():
    search = Search(SearchPlan())
    search.take(result(10.0))
    search.take(result(10.3, breaches=(Breach("e2e.p95 < 1s"),)))
    confirmation = search.next_step()
    assert (confirmation.kind, confirmation.rate) == (StepKind.CONFIRM, 10.0)
    search.take(result(10.0, kind=StepKind.CONFIRM, breaches=(Breach("e2e.p95 < 1s"),)))
    lower = search.next_step()
    assert lower.kind is StepKind.CONFIRM
    assert lower.rate == pytest.approx(9.5)
    search.take(result(lower.rate, kind=StepKind.CONFIRM))
    assert search.next_step() is None
    assert (search.outcome().verdict, search.outcome().rate) == (Verdict.PASS, lower.rate)


def test_search_gives_up_when_nothing_holds_for_longer():
    search = Search(SearchPlan())
    search.take(result(10.0))
    search.take(result(10.3, breaches=(Breach("slow"),)))
    while (step := search.next_step()) is not None:
        assert step.kind is StepKind.CONFIRM
        search.take(result(step.rate, kind=StepKind.CONFIRM, breaches=(Breach("slow"),)))
    assert search.outcome().reasons == (SearchEnd.UNCONFIRMED,)
    assert search.outcome().verdict is Verdict.INVALID


def test_ceiling_seen_later_refutes_a_rate_that_seemed_to_hold():
    """Too few jobs to tell at 12 a second; at 24 it is plain that 10 are all that complete."""
    search = Search(SearchPlan())
    search.take(result(6.0))
    search.take(result(12.0, completed_rate=10.2))
    assert search.holds(search.results[1])
    search.take(result(24.0, completed_rate=10.0, backlog=Backlog(1.4, 5.0, 1000)))
    assert not search.holds(search.results[1])
    assert search.next_step().rate == pytest.approx(9.6)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"breaches": (Breach("e2e.p95 < 1s"),)}, "e2e.p95 < 1s was not met"),
        ({"errors": 0.2}, "20 % of the jobs did not complete"),
        ({"dropped": 0.5}, "50 % of the arrivals were not started"),
        (
            {"backlog": Backlog(0.5, 5.0, 1000), "completed_rate": 5.0},
            "the backlog grew: 5.00 of 10.0 jobs/s completed",
        ),
        (
            {"breaches": (Breach("x"),), "throttled": 12, "paused": 3.5},
            "x was not met; rate limit of the platform met (12 answers with 429, 3.50 s paused)",
        ),
    ],
)
def test_why_a_step_failed_is_told(values, said):
    assert result(10.0, **values).why(None) == said
    assert result(10.0, **values).failures(None)


def test_rate_limit_that_was_met_is_told_of_a_rate_that_holds():
    held = result(10.0, throttled=1)
    assert not held.failures(None)
    assert held.why(None) == "rate limit of the platform met (1 answer with 429)"
