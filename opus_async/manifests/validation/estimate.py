"""Estimates what a batch will take before it begins: jobs, bytes, requests, and time as a range."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from opus_async.metrics.cost import cost_of

RUN_SECONDS = (20.0, 120.0)
"""Seconds, from and to, that a job is assumed to run where nothing is known of the workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputAssumptions:
    """What an estimate of time assumes.

    Attributes:
        max_in_flight: Jobs that run at once.
        rate: API requests per second; None for no limit.
        run_seconds: Seconds that a job runs, from and to.
    """

    max_in_flight: int = 500
    rate: float | None = None
    run_seconds: tuple[float, float] = RUN_SECONDS


ORDINARY = ThroughputAssumptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a batch will take.

    Attributes:
        jobs: Rows that can be run.
        files: Files to upload, each path once; the same content under two names is uploaded once and counts
            twice here.
        bytes: The size of these files.
        requests: Requests that are sent at least; polls are not among them.
        seconds: The time that the batch takes, from and to.
        assumes: What the range of time assumes, in sentences.
        price: Of one job that completes; None where nobody told.
        cost: Of all jobs, if each completes once; None without a price.
    """

    jobs: int
    files: int
    bytes: int
    requests: int
    seconds: tuple[float, float]
    assumes: tuple[str, ...]
    price: float | None = None
    cost: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The estimate as JSON."""
        return asdict(self)


def estimate(
    *,
    jobs: int,
    files: int,
    size: int,
    requests: int,
    pace: ThroughputAssumptions,
    price: float | None = None,
) -> Estimate:
    """Estimate what a batch takes.

    The shortest time is that of the requests or of the runs, whichever takes longer; the longest is the sum
    of both.

    Args:
        jobs: Jobs to be run.
        files: Files to upload.
        size: Bytes of these files.
        requests: Requests that these jobs take.
        pace: What is assumed of limits and run times.
        price: Of one job; None where nobody told.
    """
    sending = requests / pace.rate if pace.rate else 0.0
    shortest, longest = pace.run_seconds
    rounds = jobs / pace.max_in_flight
    low = max(sending, shortest * max(rounds, 1.0)) if jobs else 0.0
    high = sending + longest * math.ceil(rounds)
    rate = f"{pace.rate:g} requests a second" if pace.rate else "requests answered as fast as they are sent"
    return Estimate(
        jobs=jobs,
        files=files,
        bytes=size,
        requests=requests,
        seconds=(low, high),
        assumes=(
            f"a job runs {shortest:g} to {longest:g} s, {pace.max_in_flight:,} of them at once",
            rate,
            "no failures, no person to wait for, and no time for uploads but that of their requests",
        ),
        price=price,
        cost=None if price is None else cost_of(jobs, price),
    )
