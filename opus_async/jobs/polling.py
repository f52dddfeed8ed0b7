"""When a job is asked about again: what is known of a workflow's run times, and arithmetic on it.

Pure: no clock, no asyncio; seconds go in, seconds come out.
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass

MIN_INTERVAL = 0.5
"""Seconds. Noticing an end sooner than half a second after it buys nobody anything and costs polls."""
BLIND_POLLS = 100
"""Polls a second over all jobs of a workflow of unknown run time: the first ends teach the rest."""
SAMPLES = 256
"""Run times remembered per workflow; the newest count."""
ENOUGH = 5
"""Run times that make a workflow known."""
WAITING_CAP = 300.0
"""Seconds. A job parked for a person is asked about at least every five minutes."""
FIRST_POLL_UNKNOWN = 60.0
"""Seconds until the first look at a job of unknown run time whose end the platform has promised to tell."""
OVERDUE_FACTOR = 1.25
"""Factor over the 90th percentile after which a job whose callback did not come is polled."""
OUTLIER_FACTOR = 4.0
"""Times the median: a run time beyond it is one that the others need not wait for."""
MAX_INTERVAL = 1800.0
"""Seconds. An overdue job, and one of unknown run time, is asked about at least every half hour; where jobs
take longer than that, once in the time that half of them take."""


class RunTimeStats:
    """The run times seen for one workflow, newest :data:`SAMPLES`, in seconds.

    Attributes:
        seen: How many were learned in all.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def learn(self, seconds: float) -> None:
        """Remember one."""
        self.seen += 1
        if len(self._recent) == SAMPLES:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(seconds)
        bisect.insort(self._sorted, seconds)

    @property
    def known(self) -> bool:
        """Whether enough were seen to rely on them."""
        return len(self._sorted) >= ENOUGH

    def quantile(self, share: float) -> float:
        """The run time that this share of jobs stays under; only when ``known``."""
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How long to wait until a job is asked about again. Pure arithmetic.

    Attributes:
        detect_lag: The wanted mean delay of noticing the end, as a share of the run time.
    """

    detect_lag: float

    def interval(self, age: float, times: RunTimeStats, crowd: int, waiting_for: float | None) -> float:
        """Seconds until the next look.

        A mean delay of L needs looks 2 L apart. While a workflow is unknown its run time is at least the
        age, so the interval grows with the age. Once it is known nobody asks before the quick ones end, and
        a job that outlives nearly all others is asked by its age again.

        Args:
            age: Seconds since the job was started.
            times: What was learned for its workflow.
            crowd: Jobs of that workflow watched now.
            waiting_for: Seconds since it was first seen parked for a person; None when it is not.
        """
        if waiting_for is not None:
            return min(max(self._spacing(age), waiting_for / 2), WAITING_CAP)
        if not times.known:
            return max(self._spacing(age), crowd / BLIND_POLLS)
        quick, slow = 0.9 * times.quantile(0.1), 1.5 * times.quantile(0.9)
        if age > slow:
            return self._spacing(age)
        spacing = self._spacing(times.quantile(0.5))
        return max(spacing, min(quick - age, 10 * spacing))

    def interval_with_callback(
        self, age: float, times: RunTimeStats, crowd: int, waiting_for: float | None
    ) -> float:
        """Seconds until the next look at a job whose end will be told: the net under a call that gets lost.

        A known workflow's jobs are left alone until nearly all of them have ended. A lost call is found
        after a quarter of the run time, in a workflow of unknown run time after twice as long again. Of a
        crowd that was started together the first to end are the quick ones: they say nothing of the others.

        Args:
            age: Seconds since the job was started.
            times: What was learned for its workflow.
            crowd: Jobs of that workflow watched now.
            waiting_for: Seconds since it was first seen parked for a person; None when it is not.
        """
        if waiting_for is not None:
            return self.interval(age, times, crowd, waiting_for)
        if not times.known or times.seen < crowd:
            return min(max(2 * age, FIRST_POLL_UNKNOWN), MAX_INTERVAL)
        median = times.quantile(0.5)
        overdue = min(OVERDUE_FACTOR * times.quantile(0.9), OUTLIER_FACTOR * median) - age
        return max(overdue, 4 * MIN_INTERVAL, min((OVERDUE_FACTOR - 1) * age, max(MAX_INTERVAL, median)))

    def _spacing(self, run_time: float) -> float:
        return 2 * max(MIN_INTERVAL, self.detect_lag * run_time)
