"""When a job is polled next: what follows from its age, its pauses, callbacks, and the jobs beside it.

Pure: no clock, no asyncio; seconds go in, seconds come out.
"""

from __future__ import annotations

import math

from opus_async.jobs.run_times import RunTimeStats
from opus_async.lazy_dataclass import dataclass

MIN_INTERVAL = 0.5
"""Seconds. Noticing an end sooner than half a second after it is of no use and costs polls; whoever wants it
all the same asks for a smaller share of the run time than usual, see :func:`least_lag`."""
SHORT_RUN = 10.0
"""Seconds. Shorter run times count as this long: the usual share of 5 % of it is :data:`MIN_INTERVAL`."""
TIGHTEST = 0.02
"""Seconds. The least delay that can be asked for: a request to a distant platform takes longer."""
LOOSEST = 2.0
"""The largest share of the run time that polls are planned by. By three times of it and more, no job of
unknown run time would be polled before the life table ends, which is a month."""
BLIND_POLLS = 100
"""Polls a second over all jobs of a workflow for which nothing that was seen gives a reason: of a crowd a few
jobs, the scouts, are polled often and find out for all."""
BLIND_POLLS_SPARING = 10
"""The same where requests are scarce."""
SCOUTS = 16
"""Jobs of a workflow that are polled often while its run times are unknown, however many there are."""
FEWEST_SCOUTS = 4
"""As many jobs need no others to find out for them."""
SCOUTS_SHARE = 0.2
"""Of a crowd in between, this share are scouts."""
PATIENCE = 6.0
"""Times the wanted interval, up to as long again as its age, for which a job of a crowd is not polled unless
something that was seen gives a reason, until the scouts know. By experiment: of twenty jobs that begin
together, those that are no scouts take half as many polls for it, and are noticed half a second later."""
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


def scouts_of(crowd: int) -> int:
    """How many of so many jobs are polled often while their run times are unknown."""
    return min(max(FEWEST_SCOUTS, int(SCOUTS_SHARE * crowd)), SCOUTS)


def least_lag(detect_lag: float) -> float:
    """Seconds under which the wanted mean delay of noticing an end never is, by the share asked for."""
    return max(min(MIN_INTERVAL, SHORT_RUN * detect_lag), TIGHTEST)


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How long to wait until a job is polled again.

    Attributes:
        detect_lag: The wanted mean delay of noticing the end, as a share of the run time.
        least: Seconds under which that delay never is, where this is less than :data:`MIN_INTERVAL`.
    """

    detect_lag: float
    least: float = math.inf

    @property
    def floor(self) -> float:
        """Seconds under which the wanted delay never is; no two polls of a job are closer than twice that."""
        return min(MIN_INTERVAL, self.least)

    @property
    def grain(self) -> float:
        """Seconds. The age from which on the wanted delay of an unknown job grows with its age."""
        return self.floor / self.detect_lag

    def next_age(
        self,
        age: float,
        times: RunTimeStats,
        crowd: int,
        *,
        together: int = 1,
        scout: bool = False,
        sparing: bool = False,
    ) -> float:
        """The age at which a job is polled next that was last seen running at ``age``, and is not paused.

        A mean delay of L needs polls 2 L apart. While the run times of a workflow are unknown the wanted L
        grows with the age. Once they are known, jobs are polled where jobs end;
        :mod:`opus_async.jobs.poll_plan` tells how.

        Args:
            age: Seconds since the job was started; 0 for a job that was not polled yet.
            times: What was learned for its workflow.
            crowd: Jobs of that workflow watched now.
            together: Jobs that one poll answers for, where they are due together.
            scout: Whether it is polled as if there were no crowd and polls cost nothing, to learn from it.
            sparing: Whether requests are scarce: then a job takes few polls, and is noticed later for it.
        """
        plan = times.plan(self.detect_lag, 2 * self.floor)
        if scout:
            return plan.next_age(age, patience=0.0)
        patience = crowd / (BLIND_POLLS_SPARING if sparing else BLIND_POLLS)
        if crowd > FEWEST_SCOUTS * together and times.scouts_needed:
            patience = max(patience, min(PATIENCE * 2 * self.detect_lag, 1.0) * age)
        return plan.next_age(age, patience, sparing=sparing)

    def interval_while_paused(self, age: float, waiting_for: float) -> float:
        """Seconds until the next poll of a job that waits for a person.

        Args:
            age: Seconds since the job was started.
            waiting_for: Seconds since it was first seen waiting.
        """
        return min(max(self.spacing(age), waiting_for / 2), WAITING_CAP)

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
            return self.interval_while_paused(age, waiting_for)
        if not times.known or times.seen < crowd:
            return min(max(2 * age, FIRST_POLL_UNKNOWN), MAX_INTERVAL)
        median = times.quantile(0.5)
        overdue = min(OVERDUE_FACTOR * times.quantile(0.9), OUTLIER_FACTOR * median) - age
        return max(overdue, 4 * MIN_INTERVAL, min((OVERDUE_FACTOR - 1) * age, max(MAX_INTERVAL, median)))

    def spacing(self, run_time: float) -> float:
        """Seconds between polls that give the wanted mean delay for this run time."""
        return 2 * max(self.floor, self.detect_lag * run_time)
