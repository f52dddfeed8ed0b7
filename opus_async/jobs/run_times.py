"""The run times learned for one workflow, and when the polls of its jobs are planned by them anew.

Pure: no clock, no asyncio; seconds go in, seconds come out.
"""

from __future__ import annotations

import bisect
from collections import deque

from opus_async.jobs.life_table import LifeTable
from opus_async.jobs.poll_plan import PollPlan, unknown_plan

SAMPLES = 256
"""Run times remembered per workflow; the newest count."""
MIN_SAMPLES = 5
"""Run times after which those of a workflow count as known."""
DOUBLED_UNTIL = 256
"""Ends up to which the plan is made anew whenever there are twice as many; from then on, after every half as
many."""
FRONTIER_STEP = 1.1
"""Factor of the oldest age seen after which the plan is made anew, while few ends are known."""
FRONTIER_ENDS = 64


class RunTimeStats:
    """The run times seen for one workflow, the newest counting most.

    Args:
        grain: Seconds; see :class:`opus_async.jobs.life_table.LifeTable`.

    Attributes:
        seen: How many were learned in all.
    """

    __slots__ = (
        "_grain",
        "_oldest",
        "_plan",
        "_planned_with",
        "_recent",
        "_renew_at",
        "_sorted",
        "_table",
        "seen",
    )

    def __init__(self, grain: float = 10.0) -> None:
        self.seen = 0
        self._grain = grain
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._table: LifeTable | None = None
        self._plan: PollPlan | None = None
        self._planned_with: tuple[float, float] | None = None
        """What the plan was made for; None when it has to be made anew."""
        self._renew_at = 1
        """Ends in the life table at which the plan is made anew."""
        self._oldest = 0.0
        """The oldest age that a plan was made anew for."""

    @property
    def known(self) -> bool:
        """Whether enough run times were seen to rely on them."""
        return len(self._sorted) >= MIN_SAMPLES

    @property
    def scouts_needed(self) -> bool:
        """Whether so little is known that a few jobs should be polled often, to find out for the others."""
        return self._table is None or self._table.ends < MIN_SAMPLES

    def quantile(self, share: float) -> float:
        """The run time that this share of jobs stays under; only when ``known``."""
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]

    def learn(self, seconds: float, since: float = 0.0) -> bool:
        """Remember the exact run time of a job that was last seen running at ``since``.

        Returns:
            Whether so much more is known now that waiting jobs should be planned anew.
        """
        self._life_table().saw_running(since, seconds)
        return self.saw_end(seconds, seconds)

    def saw_end(self, since: float, age: float) -> bool:
        """Remember a job that was seen running at ``since`` and to have ended at ``age``.

        Returns:
            As :meth:`learn`.
        """
        self._remember((since + age) / 2)
        table = self._life_table()
        if not table.ends:
            table.renew()  # so that it is placed where jobs were not seen running
        if table.saw_end(since, age):
            return self._start_anew(age)
        if table.ends < self._renew_at:
            return False
        doubled = table.ends <= DOUBLED_UNTIL or table.ends.bit_count() == 1
        self._renew_at = 2 * table.ends if table.ends < DOUBLED_UNTIL else table.ends + DOUBLED_UNTIL // 2
        self._renew()
        return doubled

    def saw_running(self, since: float, age: float) -> bool:
        """Remember a job that was seen running at ``age``, and before that at ``since``.

        Returns:
            As :meth:`learn`.
        """
        table = self._life_table()
        if table.saw_running(since, age):
            return self._start_anew(age)
        if not 0 < table.ends < FRONTIER_ENDS or age < FRONTIER_STEP * self._oldest:
            return False
        self._oldest = age
        self._renew()
        return True

    def plan(self, detect_lag: float, shortest: float) -> PollPlan:
        """When jobs are polled, by what is known now; for the arguments see :class:`PollPlan`."""
        if self._table is None:
            return unknown_plan(detect_lag, shortest)
        if self._plan is None or self._planned_with != (detect_lag, shortest):
            bound = None if self._plan is None else self._plan.bound
            self._plan = PollPlan(self._table.curve, detect_lag, shortest, bound)
            self._planned_with = detect_lag, shortest
        return self._plan

    def _life_table(self) -> LifeTable:
        if self._table is None:
            self._table = LifeTable(self._grain)
        return self._table

    def _start_anew(self, age: float) -> bool:
        self._renew_at, self._oldest = MIN_SAMPLES, age
        self._renew()
        return True

    def _renew(self) -> None:
        self._life_table().renew()
        self._planned_with = None

    def _remember(self, seconds: float) -> None:
        self.seen += 1
        if len(self._recent) == SAMPLES:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(seconds)
        bisect.insort(self._sorted, seconds)
