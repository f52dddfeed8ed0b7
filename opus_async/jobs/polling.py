"""When a job is polled next: the run times learned for a workflow, and arithmetic on them.

Pure: no clock, no asyncio; seconds go in, seconds come out.
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass

MIN_INTERVAL = 0.5
"""Seconds. Noticing an end sooner than half a second after it is of no use and costs polls."""
BLIND_POLLS = 100
"""Polls a second over all jobs of a workflow of unknown run time, until the first ends tell it."""
SAMPLES = 256
"""Run times remembered per workflow; the newest count."""
MIN_SAMPLES = 5
"""Run times after which those of a workflow count as known."""
WAITING_CAP = 300.0
"""Seconds. A job that waits for a person is polled at least every five minutes."""
FIRST_POLL_UNKNOWN = 60.0
"""Seconds until the first poll of a job of unknown run time about which a callback is expected."""
OVERDUE_FACTOR = 1.25
"""Factor over the 90th percentile after which a job whose callback did not come is polled."""
OUTLIER_FACTOR = 4.0
"""Factor over the median beyond which a run time counts as an outlier."""
MAX_INTERVAL = 1800.0
"""Seconds. An overdue job, and one of unknown run time, is polled at least every half hour; where jobs take
longer than that, once in the time that half of them take."""


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
        """Remember a run time."""
        self.seen += 1
        if len(self._recent) == SAMPLES:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(seconds)
        bisect.insort(self._sorted, seconds)

    @property
    def known(self) -> bool:
        """Whether enough run times were seen to rely on them."""
        return len(self._sorted) >= MIN_SAMPLES

    def quantile(self, share: float) -> float:
        """The run time that this share of jobs stays under; only when ``known``."""
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How long to wait until a job is polled again.

    Attributes:
        detect_lag: The wanted mean delay of noticing the end, as a share of the run time.
    """

    detect_lag: float

    def interval(self, age: float, times: RunTimeStats, crowd: int, waiting_for: float | None) -> float:
        """Seconds until the next poll.

        A mean delay of L needs polls 2 L apart. While the run time of a workflow is unknown it is at least
        the age, so the interval grows with the age. Once it is known, no job is polled before the quick ones
        end, and a job that outlives nearly all others is polled by its age again.

        Args:
            age: Seconds since the job was started.
            times: What was learned for its workflow.
            crowd: Jobs of that workflow watched now.
            waiting_for: Seconds since it was first seen waiting for a person; None when it does not.
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
        """Seconds until the next poll of a job about which a callback is expected, in case that gets lost.

        Where run times are known, a job is not polled until nearly all others would have ended. A lost
        callback is noticed after a quarter of the run time; where run times are unknown, after twice as long
        again. Of jobs that were started together the first to end are the quick ones, which say nothing of
        the others.

        Args:
            age: Seconds since the job was started.
            times: What was learned for its workflow.
            crowd: Jobs of that workflow watched now.
            waiting_for: Seconds since it was first seen waiting for a person; None when it does not.
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
