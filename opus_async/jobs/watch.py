"""The status poller: one scheduler for every job in flight, of whatever workflow and platform.

A few workers take due jobs from a queue (:mod:`opus_async.jobs.poll_queue`): ten thousand watched jobs cost a
heap entry each, not a task each, and no job is polled twice at once. Due jobs of one workflow share a poll,
as far as the platform can answer for many. When to poll is decided in :mod:`opus_async.jobs.polling`, from
the age of the job and the run times learned so far; how fast to poll is decided below, by the request limiter
of the transport. Callbacks only make their job due now, see :mod:`opus_async.jobs.callback_trust`.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping

from opus_async.errors import OpusError, ProtocolError
from opus_async.events import NO_CURRENT_JOB, current_job, current_jobs
from opus_async.jobs import polling
from opus_async.jobs.callback_trust import EarlyCallbacks
from opus_async.jobs.due_times import DueTimes
from opus_async.jobs.ended import AFTER_DEADLINE, Ended, Overdue
from opus_async.jobs.poll_errors import PollErrors
from opus_async.jobs.poll_queue import PollQueue
from opus_async.jobs.polling import PollSchedule
from opus_async.jobs.watched import NOBODY, Waiter, WatchedJob, WatchedWorkflow
from opus_async.models import JobStatus
from opus_async.platform import StatusSource
from opus_async.tasks import start
from opus_async.transport.forks import Maker
from opus_async.transport.wait_clock import WaitClock, wait_clock

ANEW_AFTER = 50e-6
"""Seconds for each watched job until all are planned anew again: that takes 3 us a job."""
ON_TIME = 0.01
"""Seconds. A poll that leaves so soon after it was due has not waited for its turn: the loop was busy."""


class Watcher:
    """Polls jobs until they end. One for each client, shared by all tasks that wait.

    Args:
        detect_lag: See :class:`opus_async.config.Limits`.
        patience: Seconds for which malformed or contradictory answers about a job are tolerated.
        outage: Seconds for which the platform may be down, or answer nothing but web pages, before that ends
            the wait; None to wait as long as it takes.
        workers: Polls at once.
        sparing: Returns whether requests are scarce now: other work waits for the rate that polls use, too.
        jitter: Returns a factor around 1, so that jobs started together do not stay together.
    """

    def __init__(
        self,
        *,
        detect_lag: float,
        patience: float,
        outage: float | None = None,
        workers: int = 32,
        sparing: Callable[[], bool] = lambda: False,
        jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1),  # noqa: S311 - spreads load, guards nothing
    ) -> None:
        schedule = PollSchedule(min(detect_lag, polling.LOOSEST), polling.least_lag(detect_lag))
        self._due_times = DueTimes(schedule, jitter, sparing)
        self._errors = PollErrors(patience, outage)
        self._max_workers = workers
        self._queue = PollQueue(schedule.grain)
        self._jobs: dict[str, WatchedJob] = {}
        """By id; where several wait for one job, each tells the next."""
        self._watched = 0
        self._early = EarlyCallbacks()
        self._tasks: set[asyncio.Task[None]] = set()
        self._workers = 0
        """Workers that will poll again; a task that is ending is still in the set for a moment."""
        self._closed = False
        self._maker = Maker()

    def __len__(self) -> int:
        """Jobs watched now."""
        return self._watched

    async def wait(
        self,
        source: StatusSource,
        remote_id: str,
        *,
        workflow_id: str = "",
        on_status: Callable[[JobStatus], None] | None = None,
        poll_now: bool = False,
        exists: bool = False,
        calls_back: bool = False,
        return_when_paused: bool = False,
        return_when_seen: bool = False,
        until: float = math.inf,
    ) -> Ended:
        """Wait for a terminal status of one job. Cancel it to stop waiting; the job itself goes on.

        Args:
            source: See :meth:`watch`, as the others.
            remote_id: The id of the job.
            workflow_id: Its workflow.
            on_status: Called with every status seen, the terminal one included.
            poll_now: Whether the job may have ended long ago.
            exists: Whether it is known that there is such a job.
            calls_back: Whether the platform was asked to call when it ends.
            return_when_paused: Whether to return WAITING, too, as soon as that is seen.
            return_when_seen: Whether to return any status, as soon as one is seen.
            until: When to make the last poll.

        Returns:
            The status, and how late it was noticed at most.

        Raises:
            Overdue: The last poll has not shown the end.
            OpusError: The status could not be read for too long.
        """
        waiter = _Awaited(on_status)
        job = self.watch(
            waiter,
            source,
            remote_id,
            workflow_id=workflow_id,
            poll_now=poll_now,
            exists=exists,
            calls_back=calls_back,
            return_when_paused=return_when_paused,
            return_when_seen=return_when_seen,
            until=until,
        )
        try:
            await waiter.ended
        finally:
            self.unwatch(job)
        return job.ending()

    def watch(
        self,
        waiter: Waiter,
        source: StatusSource,
        remote_id: str,
        *,
        workflow_id: str = "",
        poll_now: bool = False,
        exists: bool = False,
        calls_back: bool = False,
        return_when_paused: bool = False,
        return_when_seen: bool = False,
        until: float = math.inf,
    ) -> WatchedJob:
        """Poll a job until it ends; nothing is awaited for that, and no task is kept.

        The events of its polls name the current job of the task that calls this.

        Args:
            waiter: Told of its statuses, and when the job is watched no more.
            source: The platform's statuses.
            remote_id: The id of the job.
            workflow_id: Its workflow: jobs of one are polled together, and share learned run times.
            poll_now: Whether the job may have ended long ago: then it is polled at once, and how long it goes
                on from there teaches something of such jobs alone.
            exists: Whether it is known that there is such a job: then a 404 is taken for a passing error.
            calls_back: Whether the platform was asked to call when it ends; see :meth:`wake`.
            return_when_paused: Whether WAITING ends the watch, too, as soon as that is seen.
            return_when_seen: Whether any status ends it, as soon as one is seen; and a job is given up whose
                polls get nothing but 5xx, which may be so for ever.
            until: When to make the last poll, by the event loop's clock. Its answer is waited for no longer
                than :data:`~opus_async.jobs.ended.AFTER_DEADLINE`.

        Returns:
            The job; when the watch has ended, :meth:`WatchedJob.ending` tells how.

        Raises:
            OpusError: The client is closed.
            ConfigurationError: It belongs to another process or event loop.
        """
        if self._closed:
            raise _client_closed(remote_id)
        self._maker.check()
        loop = asyncio.get_running_loop()
        now = loop.time()
        workflow = self._queue.workflow(source, workflow_id)
        job = WatchedJob(waiter, remote_id, workflow, now, current_job.get(), started_now=not poll_now)
        job.foreign = poll_now and not exists
        job.return_when_paused, job.return_when_seen = return_when_paused, return_when_seen
        if until < math.inf:
            job.until = until
            job.timer = loop.call_at(max(until, now) + AFTER_DEADLINE, self._give_up, job)
        if calls_back and not poll_now:
            self._expect_callback(job)
        self._add(job)
        at_once = poll_now or job.called or until <= now
        self._queue.schedule(job, now if at_once else self._due_times.next_due(job, now), now)
        self._start_worker()
        return job

    def unwatch(self, job: WatchedJob) -> None:
        """Stop watching a job; does nothing where it is watched no more."""
        if not job.is_over:
            self._remove(job)

    def wake(self, remote_id: str) -> None:
        """Poll this job now, because a callback named it. The callback itself is not trusted."""
        if remote_id not in self._jobs:
            self._early.add(remote_id)
        now = asyncio.get_running_loop().time()
        for job in self._with_id(remote_id):
            if job.busy:
                job.woken = True
            else:
                job.called = True
                self._queue.schedule(job, now, now)

    async def close(self) -> None:
        """Stop the workers. Whoever still waits gets an OpusError; the jobs go on."""
        self._closed = True
        for job in list(self._all()):
            self._end(job, _client_closed(job.remote_id))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._queue.close()

    # The watched jobs

    def _add(self, job: WatchedJob) -> None:
        first = self._jobs.setdefault(job.remote_id, job)
        if first is not job:
            job.same_id, first.same_id = first.same_id, job
        self._watched += 1
        cohort = job.cohort
        cohort.watched += 1
        polled = not job.may_wait_for_callback()
        if polled and cohort.times.scouts_needed and cohort.scouts < polling.scouts_of(cohort.watched):
            job.is_scout = True
            cohort.scouts += 1

    def _give_up(self, job: WatchedJob) -> None:
        self._end(job, Overdue())

    def _end(self, job: WatchedJob, result: Ended | BaseException) -> None:
        """End the watch of a job that is still watched."""
        if not job.is_over:
            job.result = result
            waiter = job.waiter
            self._remove(job)
            waiter.watch_ended()

    def _remove(self, job: WatchedJob) -> None:
        job.is_over, job.entry, job.waiter = True, 0, NOBODY
        if job.timer is not None:
            job.timer.cancel()
        self._watched -= 1
        self._forget_id(job)
        workflow = job.workflow
        job.cohort.watched -= 1
        job.cohort.scouts -= job.is_scout
        if job.is_probe:
            self._replace_probe(job)
        if not workflow.watched:
            workflow.heap.clear()
            workflow.queued_for = math.inf
        if not self._jobs:
            self._queue.clear()

    def _forget_id(self, job: WatchedJob) -> None:
        first = self._jobs[job.remote_id]
        if first is not job:
            before = next(each for each in self._with_id(job.remote_id) if each.same_id is job)
            before.same_id = job.same_id
        elif job.same_id is not None:
            self._jobs[job.remote_id] = job.same_id
        else:
            del self._jobs[job.remote_id]

    def _with_id(self, remote_id: str) -> Iterator[WatchedJob]:
        """The waits for one job: more than one where several ask about it."""
        job = self._jobs.get(remote_id)
        while job is not None:
            following = job.same_id
            yield job
            job = following

    def _all(self) -> Iterator[WatchedJob]:
        return itertools.chain.from_iterable(map(self._with_id, self._jobs))

    def _expect_callback(self, job: WatchedJob) -> None:
        job.trust = job.workflow.callbacks
        job.called = self._early.take(job.remote_id)
        if job.trust.needs_probe:
            job.is_probe = True
            job.trust.probes += 1

    def _replace_probe(self, probe: WatchedJob) -> None:
        """Make another job the probe when one is gone and it is not known yet whether callbacks arrive."""
        trust = probe.workflow.callbacks
        trust.probes -= 1
        if not trust.needs_probe:
            return
        job = next(self._in_callback_wait(probe.workflow), None)
        if job is not None:
            job.is_probe = True
            trust.probes += 1
            now = asyncio.get_running_loop().time()
            self._queue.schedule(job, self._due_times.next_due(job, now), now)

    def _in_callback_wait(self, workflow: WatchedWorkflow) -> Iterator[WatchedJob]:
        for job in self._all():
            waits = job.callback_wait and not (job.busy or job.called)
            if waits and job.workflow is workflow:
                yield job

    # The workers

    def _start_worker(self) -> None:
        """Start another worker, unless there are as many as jobs, or as may be."""
        if self._workers < min(self._max_workers, self._watched):
            self._workers += 1
            worker = start("opus_async watcher", self._work)
            self._tasks.add(worker)
            worker.add_done_callback(self._worker_ended)

    async def _work(self) -> None:
        clock = WaitClock()
        wait_clock.set(clock)  # it is this worker's: polls of one job do not hold it up, but for the last
        try:
            await self._poll_until_none_is_left(clock)
        finally:
            self._workers -= 1

    async def _poll_until_none_is_left(self, clock: WaitClock) -> None:
        time = asyncio.get_running_loop().time
        while self._jobs:
            now = time()
            due = self._queue.take_due(now)
            if due:
                self._queue.wake_for_due(now)  # one worker wakes the next
                await self._poll(*due, clock, time)
            else:
                await self._queue.wait()

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._tasks.discard(worker)
        if not worker.cancelled() and (broken := worker.exception()):  # a bug of ours must not hang a job
            for job in list(self._all()):
                self._end(job, broken)

    # One poll

    async def _poll(
        self,
        workflow: WatchedWorkflow,
        jobs: list[WatchedJob],
        clock: WaitClock,
        time: Callable[[], float],
    ) -> None:
        alone = len(jobs) == 1
        current_job.set(jobs[0].current if alone else NO_CURRENT_JOB)
        current_jobs.set(() if alone else tuple(job.current for job in jobs))
        asked = time()
        try:
            seen = await workflow.source.poll(workflow.workflow_id, [job.remote_id for job in jobs])
        except OpusError as error:
            seen = {job.remote_id: error for job in jobs}
        except Exception as error:  # noqa: BLE001 - a bug of ours ends the jobs of this poll, and no others
            for job in jobs:
                self._end(job, error)
            return
        finally:
            for job in jobs:
                job.busy = False
        now, waited = time(), clock.take()
        for job in jobs:
            if job.is_over:
                continue
            late = asked - job.ready
            job.waited = waited + (late if late > ON_TIME else 0.0)
            answer = seen.get(job.remote_id) or ProtocolError("The platform said nothing of this job")
            if isinstance(answer, OpusError):
                if await self._errors.ends_wait(job, answer, now):
                    self._end(job, answer)
            else:
                self._status(job, answer, asked, now)
            self._schedule_next(job, asked, now)
        if len(jobs) > 1 or len(seen) > 1:
            self._take_others(workflow, jobs, seen, asked, time())

    def _take_others(
        self,
        workflow: WatchedWorkflow,
        jobs: list[WatchedJob],
        seen: Mapping[str, JobStatus | OpusError],
        asked: float,
        now: float,
    ) -> None:
        """Take what a poll, begun at ``asked``, told of other jobs of the workflow than it asked about."""
        polled = {job.remote_id for job in jobs}
        if len(seen) <= len(polled):
            return
        for remote_id, answer in seen.items():
            if remote_id in polled or isinstance(answer, OpusError):
                continue
            for job in self._with_id(remote_id):
                if job.workflow is workflow and not job.busy:
                    job.waited = 0.0  # it may be watched, or have been polled itself, since the poll began
                    self._status(job, answer, max(asked, job.started, job.last_seen_running or asked), now)
                    self._schedule_next(job, asked, now)

    def _schedule_next(self, job: WatchedJob, asked: float, now: float) -> None:
        if job.is_over:
            return
        if asked >= job.until and job.unconfirmed_end is None:
            self._end(job, Overdue())
            return
        due = now if job.woken else self._due_times.next_due(job, now)
        job.called, job.woken = job.called or job.woken, False
        self._queue.schedule(job, due, now)

    def _status(self, job: WatchedJob, status: JobStatus, asked: float, now: float) -> None:
        job.failing_since, job.consecutive_errors, job.denials = None, 0, 0
        if job.needs_confirmation(status):
            return
        if status != job.last_status or status.is_terminal:
            job.waiter.status_seen(status)
        job.last_status = status
        if status.is_terminal:
            learned = job.teach(now)
            self._end(job, Ended(status, now, job.last_seen_running, job.told_by, job.waited))
        elif job.return_when_seen or (job.return_when_paused and status == JobStatus.WAITING):
            ended = Ended(status, now, job.last_seen_running, job.told_by, job.waited)
            learned = job.seen_running(status, asked, now)
            self._end(job, ended)
        else:
            learned = job.seen_running(status, asked, now)
        job.workflow.outdated = job.workflow.outdated or learned
        if job.workflow.outdated and now >= job.workflow.anew_at:
            self._plan_anew(job.workflow, now)

    def _plan_anew(self, workflow: WatchedWorkflow, now: float) -> None:
        """Plan the polls of all jobs of a workflow by what is known of it now."""
        workflow.outdated, workflow.anew_at = False, now + ANEW_AFTER * workflow.watched
        self._queue.plan_anew(workflow, self._due_times.anew(now))


class _Awaited:
    """Who awaits the end of a watch in a task of its own."""

    __slots__ = ("_on_status", "ended")

    def __init__(self, on_status: Callable[[JobStatus], None] | None) -> None:
        self._on_status = on_status
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def status_seen(self, status: JobStatus) -> None:
        if self._on_status is not None:
            self._on_status(status)

    def watch_ended(self) -> None:
        if not self.ended.done():  # cancelled a moment ago
            self.ended.set_result(None)


def _client_closed(remote_id: str) -> OpusError:
    return OpusError(
        "The client was closed while this job was waited for. It goes on remotely; wait for it anew",
        job_id=remote_id,
    )
