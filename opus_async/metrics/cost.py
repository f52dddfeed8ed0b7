"""What jobs cost at a price for each, and how much of it is certain. A currency is nobody's business here."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledJobs:
    """Jobs of a batch by whether they are billed. A job is billed when it completes, one that fails is not.

    Attributes:
        certain: Jobs that completed.
        possible: Further jobs that may have completed: those of unknown rows, of rows whose end a person
            decided, and of second orders.
        in_flight: Jobs that are billed when they complete.
    """

    certain: int
    possible: int
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a batch has cost so far.

    Attributes:
        price: Of one job that completes.
        jobs: How many are billed, may be, or will be.
    """

    price: float
    jobs: BilledJobs

    @property
    def billed(self) -> float:
        """What is billed for certain."""
        return cost_of(self.jobs.certain, self.price)

    @property
    def billed_at_most(self) -> float:
        """What is billed if every job counts that may have completed."""
        return cost_of(self.jobs.certain + self.jobs.possible, self.price)

    @property
    def in_flight(self) -> float:
        """What is added when all jobs in flight complete."""
        return cost_of(self.jobs.in_flight, self.price)

    def as_json(self) -> dict[str, Any]:
        """The cost as JSON."""
        return {
            "price": self.price,
            "billed_jobs": self.jobs.certain,
            "billed": self.billed,
            "billed_jobs_at_most": self.jobs.certain + self.jobs.possible,
            "billed_at_most": self.billed_at_most,
            "in_flight_jobs": self.jobs.in_flight,
            "in_flight": self.in_flight,
        }


def cost_of(jobs: int, price: float) -> float:
    """What so many jobs cost: 0.1 each are 0.3 for three, as people reckon."""
    return float(jobs * Decimal(repr(price)))
