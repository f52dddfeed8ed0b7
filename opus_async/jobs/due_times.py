"""The due times of watched jobs: which rule says when a job is polled next, as things stand with it."""

from __future__ import annotations

from collections.abc import Callable

from opus_async.jobs import polling
from opus_async.jobs.polling import PollSchedule
from opus_async.jobs.watched import WatchedJob

ERROR_INTERVAL_CAP = 30.0
"""Seconds. A job whose status cannot be read is polled at least this often."""
CONFIRM_AFTER = 0.5
"""Seconds until the poll that has to confirm a bad end: a replica that lags must not end a running job."""


class DueTimes:
    """Decides when watched jobs are polled. Times are seconds of the event loop's clock.

    Args:
        schedule: Intervals by age and run times.
        jitter: Returns a factor around 1, so that jobs started together do not stay together.
        sparing: Returns whether requests are scarce now.
    """

    def __init__(
        self, schedule: PollSchedule, jitter: Callable[[], float], sparing: Callable[[], bool]
    ) -> None:
        self._schedule = schedule
        self._jitter = jitter
        self._sparing = sparing

    def next_due(self, job: WatchedJob, now: float) -> float:
        """When a job, of which something was seen just now, is polled next."""
        job.callback_wait = job.may_wait_for_callback()
        job.jitter = self._jitter()
        if job.polled_by_plan:
            return self._planned(job, sparing=self._sparing())
        schedule, age, cohort = self._schedule, now - job.started, job.cohort
        paused_for = None if job.paused_since is None else now - job.paused_since
        if job.unconfirmed_end is not None and not job.consecutive_errors:
            wait = CONFIRM_AFTER
        elif job.recently_called:
            wait = job.interval_after_callback()
        elif job.callback_wait:
            wait = schedule.interval_with_callback(age, cohort.times, cohort.watched, paused_for)
        elif paused_for is not None:
            wait = schedule.interval_while_paused(age, paused_for)
        else:
            wait = max(self._planned(job, sparing=self._sparing()) - now, 0.0)
        if job.consecutive_errors:
            backoff = 2.0 ** min(job.consecutive_errors, 10) * polling.MIN_INTERVAL
            wait = min(max(wait, backoff), ERROR_INTERVAL_CAP)
        return now + wait * job.jitter

    def anew(self, now: float) -> Callable[[WatchedJob], float]:
        """When waiting jobs are polled next by what has been learned of their workflow meanwhile."""
        sparing = self._sparing()

        def due_of(job: WatchedJob) -> float:
            if job.callback_wait:
                return min(job.due, self.next_due(job, now))
            return self._planned(job, sparing=sparing) if job.polled_by_plan else job.due

        return due_of

    def _planned(self, job: WatchedJob, *, sparing: bool) -> float:
        """When a job is polled next by its age when it was seen last and what is known of its workflow."""
        cohort, seen = job.cohort, job.last_running
        age = self._schedule.next_age(
            seen - job.started,
            cohort.times,
            cohort.watched,
            together=job.workflow.source.batch_size,
            scout=job.is_scout,
            sparing=sparing,
        )
        due = job.started + age
        return due + (job.jitter - 1.0) * min(due - seen, self._schedule.spacing(age))
