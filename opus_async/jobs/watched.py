"""The state of a watched job and of its workflow: due times, statuses seen, run times learned."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

from opus_async.events import CurrentJob
from opus_async.jobs import polling
from opus_async.jobs.callback_trust import CallbackState, CallbackTrust
from opus_async.jobs.ended import Ended, ToldBy
from opus_async.jobs.polling import RunTimeStats
from opus_async.models import JobStatus
from opus_async.platform import StatusSource

CONFIRMATIONS = 5
"""Polls that show one bad end after another, no two alike, after which the last is believed."""


class WatchedWorkflow:
    """One workflow of one platform: its status source, run times learned, and due times of its jobs.

    Args:
        source: Polls the statuses of its jobs.
        workflow_id: Empty for jobs whose workflow is not known.
    """

    __slots__ = ("callbacks", "heap", "learning", "others", "queued_for", "source", "times", "workflow_id")

    def __init__(self, source: StatusSource, workflow_id: str) -> None:
        self.source = source
        self.workflow_id = workflow_id
        self.times = RunTimeStats()
        self.callbacks = CallbackTrust(workflow_id)
        self.learning = 0
        """Jobs watched now whose run times teach something."""
        self.others = 0
        self.heap: list[tuple[float, int, WatchedJob]] = []
        self.queued_for = math.inf
        """The due time of its entry in the queue that counts."""

    def add(self, due: float, job: WatchedJob) -> None:
        """Set the due time of a job; an older entry of it is stale."""
        heapq.heappush(self.heap, (due, job.entry, job))
        if len(self.heap) > 2 * (self.learning + self.others) + 64:  # stale entries must not outgrow the jobs
            self.heap = [entry for entry in self.heap if entry[2].entry == entry[1]]
            heapq.heapify(self.heap)

    def take_due(self, now: float) -> list[WatchedJob]:
        """The jobs of the next poll; those that are due soon are included where one poll answers for many."""
        due_until, most = now, self.source.batch_size
        taken: list[WatchedJob] = []
        while self.heap and len(taken) < most:
            due, entry, job = self.heap[0]
            stale = job.entry != entry or job.busy or job.done.done()
            if not stale and due > due_until:
                break
            heapq.heappop(self.heap)
            if not stale:
                job.busy = True
                taken.append(job)
                due_until = now + polling.MIN_INTERVAL if most > 1 else now
        return taken


@dataclass(slots=True, kw_only=True, eq=False)
class WatchedJob(CallbackState):
    """One watched job; belongs to the status poller alone."""

    remote_id: str
    workflow: WatchedWorkflow
    started: float
    done: asyncio.Future[Ended]
    on_status: Callable[[JobStatus], None] | None
    last_running: float
    """When it was last seen not terminal."""
    current: CurrentJob
    """The job that the events of its polls name."""
    last_seen_running: float | None = None
    """When the last poll left that showed it not terminal; None when it may have ended long ago."""
    learns: bool = True
    """Whether its run time is known from the start on, and teaches something."""
    foreign: bool = False
    """Whether this client did not create it: then a 404 can be genuine."""
    return_when_paused: bool = False
    return_when_seen: bool = False
    was_paused: bool = False
    entry: int = 0
    """The heap entry that counts; older ones of the same job are stale."""
    due: float = 0.0
    busy: bool = False
    woken: bool = False
    paused_since: float | None = None
    failing_since: float | None = None
    consecutive_errors: int = 0
    denials: int = 0
    last_status: JobStatus | None = None
    unconfirmed_end: JobStatus | None = None
    """The bad end that the last poll showed, and that another one has to confirm."""
    unconfirmed_ends: int = 0

    def needs_confirmation(self, status: JobStatus) -> bool:
        """Whether another poll has to confirm this status first: a bad end, seen once."""
        if not status.is_terminal or status == JobStatus.COMPLETED:
            self.unconfirmed_end, self.unconfirmed_ends = None, 0
            return False
        before, self.unconfirmed_end = self.unconfirmed_end, status
        self.unconfirmed_ends += 1
        return status != before and self.unconfirmed_ends < CONFIRMATIONS

    def teach(self, now: float) -> bool:
        """Learn from its end, which was seen now: its run time, and whether a callback told it.

        Returns:
            Whether so much more is known of its workflow now that other jobs may be polled sooner.
        """
        told, learned = self.told_by is ToldBy.CALLBACK, False
        if self.learns and not self.was_paused:  # how long a person takes says nothing of the workflow
            times = self.workflow.times
            ended = now if told else (self.last_running + now) / 2
            times.learn(ended - self.started)
            learned = times.known and times.seen.bit_count() == 1  # with twice as many, more is known
        if self.trust is not None and (told or not self.polls_after_callback):
            learned = self.trust.learn(told=told) or learned
        return learned

    @property
    def told_by(self) -> ToldBy:
        """Why the last poll was made: a callback, or its due time."""
        told = self.called or self.woken or self.recently_called
        return ToldBy.CALLBACK if told else ToldBy.POLL
