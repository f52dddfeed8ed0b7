"""Which workflow is polled next: a queue of due times, and the workers that wait for them.

Each workflow has a heap of its jobs' due times; the queue orders the workflows by the first of them, and
where polls come late, by how late.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator

from opus_async.jobs.watched import WatchedJob, WatchedWorkflow
from opus_async.platform import StatusSource

WORKFLOWS = 200
"""Workflows whose run times are remembered while none of their jobs is watched: about 50 kB each."""
PLANNED_TOGETHER = 500
"""Waiting jobs that are planned anew in one turn of the loop: some milliseconds."""
COMPARED = 16
"""Workflows with late polls of which the most urgent one is polled first."""


class PollQueue:
    """The due times of all watched jobs; wakes one waiting worker when the first is due.

    Args:
        grain: See :class:`opus_async.jobs.run_times.RunTimeStats`.
    """

    def __init__(self, grain: float) -> None:
        self._grain = grain
        self._workflows: dict[tuple[StatusSource, str], WatchedWorkflow] = {}
        self._queue: list[tuple[float, int, WatchedWorkflow]] = []
        """Workflows by the time of their next poll; of several entries of one, ``queued_for`` counts."""
        self._entries = itertools.count(1)
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        """When it is up; on uvloop the timer itself does not tell where that has passed already."""
        self._planning: dict[WatchedWorkflow, asyncio.Handle] = {}
        """The next turn of planning the jobs of a workflow anew, where that is not done yet."""

    def workflow(self, source: StatusSource, workflow_id: str) -> WatchedWorkflow:
        """The state of a workflow, the same object at each call, unless it was idle for very long."""
        workflow = self._workflows.pop((source, workflow_id), None)
        if workflow is None:
            workflow = WatchedWorkflow(source, workflow_id, self._grain)
            if len(self._workflows) >= WORKFLOWS:
                self._forget_idle()
        self._workflows[source, workflow_id] = workflow  # at the end: the first was not asked for longest
        return workflow

    def schedule(self, job: WatchedJob, due: float, now: float) -> None:
        """Poll this job at this time of the loop's clock, instead of whenever it was due."""
        due = job.by_deadline(due, now)
        job.ready = max(due, now)
        self._set_due(job, due)
        self._enqueue(job.workflow)

    def plan_anew(self, workflow: WatchedWorkflow, due_of: Callable[[WatchedJob], float]) -> None:
        """Ask for the due time of each waiting job of a workflow, and go by that from now on.

        Of a large crowd some are asked for in each turn of the loop, so that it does not stall.
        """
        if pending := self._planning.pop(workflow, None):
            pending.cancel()
        self._plan_some(workflow, due_of, iter(workflow.heap.copy()))

    def _plan_some(
        self,
        workflow: WatchedWorkflow,
        due_of: Callable[[WatchedJob], float],
        waiting: Iterator[tuple[float, int, WatchedJob]],
    ) -> None:
        """Plan some of those that waited when it began, unless they were polled or are gone since then."""
        self._planning.pop(workflow, None)
        loop = asyncio.get_running_loop()
        now, asked = loop.time(), 0
        for _, entry, job in itertools.islice(waiting, PLANNED_TOGETHER):
            asked += 1
            if job.entry != entry or job.busy:
                continue
            due = job.by_deadline(due_of(job), now)
            if due == job.due:
                continue
            if job.ready > now or due > now:  # what was due before has been waiting since then
                job.ready = max(due, now)
            self._set_due(job, due)
        if workflow.heap:
            self._enqueue(workflow)
        if asked == PLANNED_TOGETHER:
            self._planning[workflow] = loop.call_soon(self._plan_some, workflow, due_of, waiting)

    def _set_due(self, job: WatchedJob, due: float) -> None:
        job.entry, job.due = next(self._entries), due
        job.workflow.add(due, job)

    def take_due(self, now: float) -> tuple[WatchedWorkflow, list[WatchedJob]] | None:
        """The jobs of the next poll, which are busy from now on; None when none is due."""
        while (workflow := self._most_urgent(now)) is not None:
            workflow.queued_for = math.inf
            taken = workflow.take_due(now)
            if workflow.heap:
                self._enqueue(workflow)
            if taken:
                return workflow, taken
        return None

    async def wait(self) -> None:
        """Wait until something may be due, or nothing is watched any more."""
        self._arm()
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(sleeper)
        await sleeper

    def wake_for_due(self, now: float) -> None:
        """End the wait of one worker now if something is due, or when something is."""
        if self._queue and self._queue[0][0] <= now:
            self.wake_worker()
        else:
            self._arm()

    def wake_worker(self) -> None:
        """End the wait of one worker."""
        while self._idle:
            sleeper = self._idle.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return

    def clear(self) -> None:
        """Forget all due times and end the wait of every worker: nothing is watched any more."""
        self._queue.clear()
        self._disarm()
        while self._idle:
            self.wake_worker()

    def close(self) -> None:
        """Leave no timer behind."""
        self._disarm()
        while self._planning:
            self._planning.popitem()[1].cancel()

    def _forget_idle(self) -> None:
        """Forget the workflow that was idle for longest, if one is."""
        idle = next((key for key, workflow in self._workflows.items() if not workflow.watched), None)
        if idle is not None:
            del self._workflows[idle]

    def _most_urgent(self, now: float) -> WatchedWorkflow | None:
        """Take the workflow to be polled first out of the queue; None when nothing is due.

        Where polls come late, each is late in proportion to its interval: jobs of seconds need not wait
        behind a crowd of jobs of hours.
        """
        due: list[tuple[float, int, WatchedWorkflow]] = []
        while self._queue and self._queue[0][0] <= now and len(due) < COMPARED:
            entry = heapq.heappop(self._queue)
            if entry[0] == entry[2].queued_for:
                due.append(entry)
        if not due:
            return None
        first = due[0] if len(due) == 1 else max(due, key=lambda entry: entry[2].urgency(now))
        for entry in due:
            if entry is not first:
                heapq.heappush(self._queue, entry)
        return first[2]

    def _enqueue(self, workflow: WatchedWorkflow) -> None:
        """See that a workflow is polled when its next job is due."""
        due = workflow.heap[0][0]
        if due >= workflow.queued_for:
            return
        workflow.queued_for = due
        heapq.heappush(self._queue, (due, next(self._entries), workflow))
        if len(self._queue) > 2 * len(self._workflows) + 64:
            self._queue = [entry for entry in self._queue if entry[0] == entry[2].queued_for]
            heapq.heapify(self._queue)
        if self._queue[0][2] is workflow:
            self._arm()

    def _arm(self) -> None:
        """See that a worker wakes when the first is due: one that wakes too early looks and waits on.

        A timer that is cancelled stays in the event loop's heap, where it costs more than such a look.
        """
        if not self._queue:
            self._disarm()
        elif self._timer is None or self._queue[0][0] < self._timer_at:
            self._disarm()
            self._timer_at = self._queue[0][0]
            self._timer = asyncio.get_running_loop().call_at(self._timer_at, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self.wake_worker()

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
