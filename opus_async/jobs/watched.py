"""The state of a watched job and of its workflow: due times, statuses seen, run times learned."""

from __future__ import annotations

import asyncio
import heapq
import math
from typing import Final, Protocol

from opus_async.events import CurrentJob
from opus_async.jobs import polling
from opus_async.jobs.callback_trust import CallbackState, CallbackTrust
from opus_async.jobs.ended import Ended, ToldBy
from opus_async.jobs.run_times import RunTimeStats
from opus_async.models import JobStatus
from opus_async.platform import NOT_LISTED, StatusSource

CONFIRMATIONS = 5
"""Polls that show one bad end after another, no two alike, after which the last is believed."""


class Cohort:
    """Jobs of one workflow that learn from each other how long they run.

    Args:
        grain: See :class:`RunTimeStats`.
    """

    __slots__ = ("scouts", "times", "watched")

    def __init__(self, grain: float) -> None:
        self.times = RunTimeStats(grain)
        self.watched = 0
        """Jobs watched now."""
        self.scouts = 0
        """Of these, jobs that are polled often to find out for the others."""


class WatchedWorkflow:
    """One workflow of one platform: its status source, run times learned, and due times of its jobs.

    Args:
        source: Polls the statuses of its jobs.
        workflow_id: Empty for jobs whose workflow is not known.
        grain: See :class:`RunTimeStats`.
    """

    __slots__ = (
        "anew_at",
        "callbacks",
        "heap",
        "of_known_start",
        "of_unknown_start",
        "outdated",
        "queued_for",
        "source",
        "workflow_id",
    )

    def __init__(self, source: StatusSource, workflow_id: str, grain: float) -> None:
        self.source = source
        self.workflow_id = workflow_id
        self.callbacks = CallbackTrust(workflow_id)
        self.of_known_start = Cohort(grain)
        self.of_unknown_start = Cohort(grain)
        """Jobs that may have been started long ago; their age counts from when they were first watched."""
        self.heap: list[tuple[float, int, WatchedJob]] = []
        self.anew_at = 0.0
        """When its jobs may be planned anew next."""
        self.outdated = False
        """Whether more is known than its jobs are planned by."""
        self.queued_for = math.inf
        """The due time of its entry in the queue that counts."""

    @property
    def watched(self) -> int:
        """Jobs watched now."""
        return self.of_known_start.watched + self.of_unknown_start.watched

    def add(self, due: float, job: WatchedJob) -> None:
        """Set the due time of a job; an older entry of it is stale."""
        heapq.heappush(self.heap, (due, job.entry, job))
        if len(self.heap) > 2 * self.watched + 64:  # stale entries must not outgrow the jobs
            self.heap = [entry for entry in self.heap if entry[2].entry == entry[1]]
            heapq.heapify(self.heap)

    def urgency(self, now: float) -> float:
        """For how long its first job was not polled, in terms of the interval that was planned."""
        due, _, job = self.heap[0]
        since = due if job.called else job.last_running
        return (now - since + polling.MIN_INTERVAL) / (max(due - since, 0.0) + polling.MIN_INTERVAL)

    def take_due(self, now: float) -> list[WatchedJob]:
        """The jobs of the next poll; those that are due soon are included where one poll answers for many."""
        due_until, most = now, self.source.batch_size
        taken: list[WatchedJob] = []
        while self.heap and len(taken) < most:
            due, entry, job = self.heap[0]
            stale = job.entry != entry or job.busy
            if not stale and due > due_until:
                break
            heapq.heappop(self.heap)
            if not stale:
                job.busy = True
                taken.append(job)
                due_until = now + polling.MIN_INTERVAL if most > 1 else now
        return taken


class Waiter(Protocol):
    """Who waits for a watched job. It is told by the poller, between two polls: it must be quick."""

    def status_seen(self, status: JobStatus) -> None:
        """A status was seen that is new, has changed, or is terminal."""

    def watch_ended(self) -> None:
        """The job is watched no more; what came of it is in its ``result``."""


class _Nobody:
    def status_seen(self, status: JobStatus) -> None: ...

    def watch_ended(self) -> None: ...


NOBODY: Final[Waiter] = _Nobody()
"""Takes the place of who waited for a job that is watched no more."""


class WatchedJob(CallbackState):
    """One watched job. Only ``result`` is of use outside of the status poller.

    Args:
        waiter: Who waits for it.
        remote_id: Its id.
        workflow: Its workflow.
        now: Seconds of the event loop's clock.
        current: The job that the events of its polls name.
        started_now: Whether it was started right before; else it may have ended long ago.

    Attributes:
        result: How the wait for it ended: None while it is watched, and where it was given up.
    """

    __slots__ = (
        "busy",
        "cohort",
        "consecutive_errors",
        "current",
        "denials",
        "due",
        "entry",
        "failing_since",
        "foreign",
        "is_over",
        "is_scout",
        "jitter",
        "last_running",
        "last_seen_running",
        "last_status",
        "paused_since",
        "ready",
        "remote_id",
        "result",
        "return_when_paused",
        "return_when_seen",
        "same_id",
        "started",
        "timer",
        "unconfirmed_end",
        "unconfirmed_ends",
        "until",
        "waited",
        "waiter",
        "was_paused",
        "woken",
        "workflow",
    )

    def __init__(
        self,
        waiter: Waiter,
        remote_id: str,
        workflow: WatchedWorkflow,
        now: float,
        current: CurrentJob,
        *,
        started_now: bool,
    ) -> None:
        super().__init__()
        self.waiter = waiter
        self.remote_id = remote_id
        self.workflow = workflow
        self.cohort = workflow.of_known_start if started_now else workflow.of_unknown_start
        """The jobs that it learns from, and that learn from it."""
        self.current = current
        self.result: Ended | BaseException | None = None
        self.is_over = False
        """Whether it is watched no more."""
        self.same_id: WatchedJob | None = None
        """Another wait for the same job, begun later."""
        self.started = now
        self.until = math.inf
        """The deadline of the wait: a poll that leaves after it is the last."""
        self.timer: asyncio.TimerHandle | None = None
        """Ends the wait when the last poll is not answered; None where it has no deadline."""
        self.last_running = now
        """When it was last seen not terminal; its next poll is planned from there."""
        self.last_seen_running = now if started_now else None
        """When the last poll left that showed it not terminal; None when it may have ended long ago."""
        self.is_scout = False
        """Whether it is polled as if there were no crowd, to find out for the others how long they run."""
        self.foreign = False
        """Whether this client did not create it: then a 404 can be genuine."""
        self.return_when_paused = self.return_when_seen = False
        self.entry = 0
        """The heap entry that counts; older ones of the same job are stale."""
        self.due = now
        self.ready = now
        """Since when its next poll waits for its turn, or will: it is due then, or that was found out
        then."""
        self.waited = 0.0
        """Seconds for which its last poll waited for its turn."""
        self.jitter = 1.0
        self.busy = self.woken = False
        self.was_paused = False
        self.paused_since: float | None = None
        self.failing_since: float | None = None
        self.consecutive_errors = self.denials = 0
        self.last_status: JobStatus | None = None
        self.unconfirmed_end: JobStatus | None = None
        """The bad end that the last poll showed, and that another one has to confirm."""
        self.unconfirmed_ends = 0

    def ending(self) -> Ended:
        """How the watch of it ended, which it has.

        Raises:
            Overdue: The last poll has not shown the end, or was not answered.
            OpusError: The status could not be read for too long; :mod:`opus_async.jobs.poll_errors` tells
                which errors end the wait when.
        """
        if not isinstance(self.result, Ended):
            assert self.result is not None  # noqa: S101 - asked once it has ended
            raise self.result
        return self.result

    def needs_confirmation(self, status: JobStatus) -> bool:
        """Whether another poll has to confirm this status first: a bad end, seen once."""
        if not status.is_terminal or status == JobStatus.COMPLETED:
            self.unconfirmed_end, self.unconfirmed_ends = None, 0
            return False
        before, self.unconfirmed_end = self.unconfirmed_end, status
        self.unconfirmed_ends += 1
        return status != before and self.unconfirmed_ends < CONFIRMATIONS

    def by_deadline(self, due: float, now: float) -> float:
        """The due time of a poll, so that one is due at the deadline, and none shortly before it."""
        return self.until if now < self.until < due + polling.MIN_INTERVAL else due

    def seen_running(self, status: JobStatus, asked: float, now: float) -> bool:
        """Note that a poll, begun at ``asked`` and answered now, showed that it has not ended; learn from it.

        Returns:
            Whether so much more is known of its workflow now that other jobs should be planned anew.
        """
        self.last_running = now
        self.still_running()
        if status != JobStatus.WAITING:
            self.paused_since = None
        elif self.paused_since is None:
            self.paused_since, self.was_paused = now, True
        if status is NOT_LISTED:
            return False
        since, self.last_seen_running = self.last_seen_running, asked
        if since is None or self.was_paused:  # how long a person takes says nothing of the workflow
            return False
        return self.cohort.times.saw_running(since - self.started, asked - self.started)

    def teach(self, now: float) -> bool:
        """Learn from its end, which was seen now: its run time, and whether a callback told it.

        Returns:
            As :meth:`seen_running`.
        """
        told, learned = self.told_by is ToldBy.CALLBACK, False
        if self.last_seen_running is not None and not self.was_paused:
            since, times = self.last_seen_running - self.started, self.cohort.times
            if told:
                learned = times.learn(now - self.started, since)
            else:
                learned = times.saw_end(since, now - self.started)
        if self.trust is not None and (told or not self.polls_after_callback):
            learned = self.trust.learn(told=told) or learned
        return learned

    @property
    def polled_by_plan(self) -> bool:
        """Whether nothing but its age and what is known of its workflow decides when it is polled next."""
        return not (
            self.callback_wait
            or self.called
            or self.recently_called
            or self.consecutive_errors
            or self.unconfirmed_end is not None
            or self.paused_since is not None
        )

    @property
    def told_by(self) -> ToldBy:
        """Why the last poll was made: a callback, or its due time."""
        told = self.called or self.woken or self.recently_called
        return ToldBy.CALLBACK if told else ToldBy.POLL
