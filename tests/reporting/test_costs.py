"""Sums of money, and what a batch has cost, in words."""

from __future__ import annotations

import pytest

from opus_async.metrics.cost import BilledJobs, Cost, cost_of
from opus_async.reporting.costs import billed, cost_text, money


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (120.0, "120.00"),
        (1234.5, "1,234.50"),
        (0.0035, "0.0035"),
        (0.0, "0.00"),
        (2.0, "2.00"),
        (1e6, "1,000,000.00"),
    ],
)
def test_money_has_two_places_or_as_many_as_it_needs(amount, text):
    assert money(amount) == text


@pytest.mark.parametrize(
    ("jobs", "price", "cost"), [(3, 0.1, 0.3), (1000, 0.12, 120.0), (7, 0.07, 0.49), (0, 0.12, 0.0)]
)
def test_cost_of_jobs_is_as_people_reckon(jobs, price, cost):
    assert cost_of(jobs, price) == cost


def test_cost_that_is_certain_is_one_sum():
    cost = Cost(price=0.12, jobs=BilledJobs(certain=98, possible=0, in_flight=0))
    assert billed(cost) == "11.76"
    assert cost_text(cost) == "11.76 for 98 completed jobs, at 0.12 each."


def test_cost_with_possible_jobs_is_a_range():
    cost = Cost(price=0.12, jobs=BilledJobs(certain=1, possible=2, in_flight=1))
    assert billed(cost) == "0.12 to 0.36"
    assert cost_text(cost) == (
        "0.12 for 1 completed job, at 0.12 each; at most 0.36, if 2 more completed unseen (unknown rows, "
        "second orders); 0.12 more if the job in flight completes."
    )
    assert cost.as_json() == {
        "price": 0.12,
        "billed_jobs": 1,
        "billed": 0.12,
        "billed_jobs_at_most": 3,
        "billed_at_most": 0.36,
        "in_flight_jobs": 1,
        "in_flight": 0.12,
    }
