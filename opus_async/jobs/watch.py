"""One scheduler that observes every job in flight.

A heap of due times, and a few workers that take from it: ten thousand watched jobs cost a heap entry each,
not a task each, and no job is asked about twice at once. When to ask is decided in
:mod:`opus_async.jobs.polling`, from the age of the job and what was learned so far; how fast to ask is
decided below, by the gate of the transport.

A callback only makes its job due now. Where the platform was asked to call, jobs are left alone until it
does; but not before a few of them, the scouts, have shown that the calls arrive, and no longer than they do.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from opus_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    HostDown,
    InvalidInputs,
    NotFound,
    OpusError,
    PermissionDenied,
    ProtocolError,
    ServerError,
    TransportError,
)
from opus_async.events import NO_CURRENT_JOB, CurrentJob, current_job
from opus_async.jobs import polling
from opus_async.jobs.ended import Ended, ToldBy
from opus_async.jobs.polling import CallbackStats, PollSchedule, RunTimeStats
from opus_async.models import JobStatus
from opus_async.platform import StatusSource
from opus_async.tasks import start
from opus_async.transport.forks import Maker

log = logging.getLogger("opus_async.jobs.watch")

TROUBLE_CAP = 30.0
"""Seconds. A job whose status cannot be read is asked about at least this often."""
DENIALS = 3
"""Consecutive denials that are believed (401, 403, 404 of a job we did not make): one can be a gateway's."""
SCOUTS = 3
"""Jobs of a workflow that are asked about as if nobody called, until it is known whether calls arrive."""
OWN_TROUBLE = 30.0
"""Seconds after which answers about one job that nobody can read are its own trouble, if the platform answers
well otherwise: longer than a node of it takes to be replaced."""
LOOKS_AFTER_CALL = 5
"""Looks that soon follow a call about a job that has not ended yet, each wait twice the one before."""
CONFIRM_AFTER = 0.5
"""Seconds until the look that has to agree before a bad end is believed: a lagging replica must not end a job
that goes on."""
CONFIRMATIONS = 5
"""Looks that show one bad end after another, no two alike, after which the last is believed."""
EARLY_CALLS = 1000
"""Calls remembered about jobs that nobody waits for yet: a quick job's call can outrun its start's answer."""


@dataclass(slots=True, eq=False)
class _Watched:
    """One job in the scheduler's hands; belongs to the scheduler alone."""

    remote_id: str
    kind: str
    started: float
    done: asyncio.Future[Ended]
    on_status: Callable[[JobStatus], None] | None
    seen: float
    """When it was last seen not terminal."""
    current: CurrentJob
    """Who is named in the events of its polls."""
    last_seen_running: float | None = None
    """When the last poll left that saw it not terminal; None when it may have ended long ago."""
    stranger: bool = False
    """Whether somebody else made it, if anybody did: it may not be there at all."""
    until_waiting: bool = False
    """Whether whoever waits wants to know at once when it waits for a person."""
    until_seen: bool = False
    """Whether whoever waits wants to know any status at once."""
    calls_back: bool = False
    """Whether the platform was asked to call when it ends."""
    scout: bool = False
    resting: bool = False
    """Whether its next look is the late one of a job whose end will be told."""
    called: bool = False
    """Whether a call is why it is looked at next."""
    looks_in_vain: int = 0
    """Looks since a call came and it had not ended: a few soon, then nobody waits for another call."""
    parked: bool = False
    """Whether it ever waited for a person."""
    turn: int = 0
    """The heap entry that counts; older ones of the same job are stale."""
    due: float = 0.0
    busy: bool = False
    woken: bool = False
    waiting_since: float | None = None
    trouble_since: float | None = None
    troubles: int = 0
    denials: int = 0
    heard: JobStatus | None = field(default=None)
    bad_end: JobStatus | None = None
    """The bad end that the last look showed, and that another one has to confirm."""
    bad_ends: int = 0


class Watcher:
    """Observes jobs until they end. One for each client; shared by everything that waits.

    Args:
        observer: Who is asked.
        detect_lag: See :class:`opus_async.config.Limits`.
        patience: Seconds for which malformed or contradictory answers about a job are tolerated.
        outage: Seconds for which the platform may be gone, or answer nothing but web pages: then a HostDown
            ends the waiting. None: it is waited for as long as it takes.
        workers: Looks at once.
        jitter: Returns a factor around 1, so that jobs started together do not stay together.
    """

    def __init__(
        self,
        observer: StatusSource,
        *,
        detect_lag: float,
        patience: float,
        outage: float | None = None,
        workers: int = 32,
        jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1),  # noqa: S311 - spreads load, guards nothing
    ) -> None:
        self._observer = observer
        self._pace = PollSchedule(detect_lag)
        self._patience = patience
        self._outage = outage
        self._workers = workers
        self._jitter = jitter
        self._heap: list[tuple[float, int, _Watched]] = []
        self._turns = itertools.count(1)
        self._watched: dict[str, list[_Watched]] = {}
        self._crowds: dict[str, int] = {}
        self._times: dict[str, RunTimeStats] = {}
        self._calls: dict[str, CallbackStats] = {}
        self._scouts: dict[str, int] = {}
        self._warned: set[str] = set()
        self._early: OrderedDict[str, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._working = 0
        """Workers that will look again; a task that is ending is still in the set for a moment."""
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._maker = Maker()

    def __len__(self) -> int:
        """Jobs watched now."""
        return sum(self._crowds.values())

    async def wait(
        self,
        remote_id: str,
        *,
        kind: str = "",
        on_status: Callable[[JobStatus], None] | None = None,
        look_now: bool = False,
        exists: bool = False,
        calls_back: bool = False,
        until_waiting: bool = False,
        until_seen: bool = False,
    ) -> Ended:
        """Wait for a terminal status. Cancel it to stop watching; the job itself goes on.

        The events of its polls name the current job of whoever waits.

        Args:
            remote_id: The job.
            kind: What run times are learned for.
            on_status: Called with every status seen, the terminal one included.
            look_now: Whether the job may have ended long ago: then it is asked about at once, and its run
                time teaches nothing.
            exists: Whether it is known that there is such a job: then a "not found" is not believed so soon.
            calls_back: Whether the platform was asked to call when it ends; see :meth:`wake`.
            until_waiting: Whether to return WAITING, too, as soon as that is seen.
            until_seen: Whether to return any status, as soon as one is seen; and to give up on a job whose
                status is nothing but a failure of the server, which may be so for ever.

        Raises:
            OpusError: The platform kept denying it, or kept answering what cannot be read.
        """
        if self._closed:
            raise _client_closed(remote_id)
        self._maker.check()
        loop = asyncio.get_running_loop()
        now = loop.time()
        current = current_job.get()
        job = _Watched(remote_id, kind, now, loop.create_future(), on_status, seen=now, current=current)
        job.until_waiting, job.until_seen = until_waiting, until_seen
        if look_now:
            job.kind, job.stranger = "", not exists
        else:
            job.last_seen_running = now
            if calls_back:
                self._expect_call(job)
        self._watched.setdefault(remote_id, []).append(job)
        self._crowds[job.kind] = self._crowds.get(job.kind, 0) + 1
        self._schedule(job, now if look_now or job.called else now + self._next(job, now))
        if self._working < min(self._workers, len(self)):
            self._working += 1
            worker = start("opus_async watcher", self._work)
            self._tasks.add(worker)
            worker.add_done_callback(self._worker_ended)
        try:
            return await job.done
        finally:
            self._forget(job)

    def wake(self, remote_id: str) -> None:
        """Look at this job now: somebody says that it has ended. Who says so is not believed."""
        if remote_id not in self._watched:
            self._early[remote_id] = None
            if len(self._early) > EARLY_CALLS:
                self._early.popitem(last=False)
        for job in self._watched.get(remote_id, ()):
            if job.busy:
                job.woken = True
            else:
                job.called = True
                self._schedule(job, asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Stop the workers. Whoever still waits gets an OpusError; the jobs go on."""
        self._closed = True
        for job in itertools.chain.from_iterable(self._watched.values()):
            if not job.done.done():
                job.done.set_exception(_client_closed(job.remote_id))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._timer:
            self._timer.cancel()

    # The schedule

    def _expect_call(self, job: _Watched) -> None:
        job.calls_back = True
        if job.remote_id in self._early:
            del self._early[job.remote_id]
            job.called = True
        calls = self._calls.setdefault(job.kind, CallbackStats())
        if calls.reliable is None and self._scouts.get(job.kind, 0) < SCOUTS:
            self._make_scout(job)

    def _make_scout(self, job: _Watched) -> None:
        job.scout = True
        self._scouts[job.kind] = self._scouts.get(job.kind, 0) + 1

    def _relieve(self, scout: _Watched) -> None:
        """When a scout leaves and nothing is known yet, another job goes in its place."""
        self._scouts[scout.kind] -= 1
        if self._calls[scout.kind].reliable is not None:
            return
        job = next(self._resting(scout.kind), None)
        if job is not None:
            self._make_scout(job)
            now = asyncio.get_running_loop().time()
            self._schedule(job, now + self._next(job, now))

    def _resting(self, kind: str) -> Iterator[_Watched]:
        for job in itertools.chain.from_iterable(self._watched.values()):
            if job.kind == kind and job.resting and not (job.busy or job.called or job.done.done()):
                yield job

    def _schedule(self, job: _Watched, due: float) -> None:
        job.turn, job.due = next(self._turns), due
        heapq.heappush(self._heap, (due, job.turn, job))
        if len(self._heap) > 2 * len(self._watched) + 64:  # stale entries must not outgrow the jobs
            self._heap = [entry for entry in self._heap if entry[2].turn == entry[1]]
            heapq.heapify(self._heap)
        if self._heap[0][2] is job:
            self._arm()

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._wake_worker)

    def _wake_worker(self) -> None:
        while self._idle:
            sleeper = self._idle.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return

    def _take_due(self) -> list[_Watched]:
        due_until = asyncio.get_running_loop().time()
        if self._observer.batch_size > 1:
            due_until += polling.MIN_INTERVAL  # those who are due soon ride along in the same question
        taken: list[_Watched] = []
        while self._heap and len(taken) < self._observer.batch_size:
            due, turn, job = self._heap[0]
            stale = job.turn != turn or job.busy or job.done.done()
            if not stale and due > due_until:
                break
            heapq.heappop(self._heap)
            if not stale:
                job.busy = True
                taken.append(job)
        return taken

    async def _work(self) -> None:
        try:
            await self._look_until_none_is_left()
        finally:
            self._working -= 1

    async def _look_until_none_is_left(self) -> None:
        while self._watched:
            due = self._take_due()
            if due:
                self._wake_worker()  # there may be more: one worker calls the next
                await self._look(due)
                continue
            self._arm()
            sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(sleeper)
            await sleeper

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._tasks.discard(worker)
        if not worker.cancelled() and (broken := worker.exception()):  # a bug of ours must not hang a job
            for job in itertools.chain.from_iterable(self._watched.values()):
                if not job.done.done():
                    job.done.set_exception(broken)

    def _forget(self, job: _Watched) -> None:
        job.turn = 0
        others = self._watched[job.remote_id]
        others.remove(job)
        if not others:
            del self._watched[job.remote_id]
        self._crowds[job.kind] -= 1
        if not self._crowds[job.kind]:
            del self._crowds[job.kind]
        if job.scout:
            self._relieve(job)
        if not self._watched:  # the last one lets the workers go home
            self._heap.clear()
            if self._timer:
                self._timer.cancel()
                self._timer = None
            while self._idle:
                self._wake_worker()

    # One look

    async def _look(self, jobs: list[_Watched]) -> None:
        loop = asyncio.get_running_loop()
        current_job.set(jobs[0].current if len(jobs) == 1 else NO_CURRENT_JOB)
        asked = loop.time()
        try:
            seen = await self._observer.poll([job.remote_id for job in jobs])
        except OpusError as error:
            seen = {job.remote_id: error for job in jobs}
        except Exception as error:  # noqa: BLE001 - a bug of ours ends the jobs of this look, and no others
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)
            return
        finally:
            for job in jobs:
                job.busy = False
        now = loop.time()
        for job in jobs:
            if job.done.done():
                continue
            what = seen.get(job.remote_id) or ProtocolError("The platform said nothing of this job")
            if isinstance(what, OpusError):
                await self._trouble(job, what, now)
            else:
                self._status(job, what, asked, now)
            if not job.done.done():
                due = now if job.woken else now + self._next(job, now)
                job.called, job.woken = job.called or job.woken, False
                self._schedule(job, due)

    def _status(self, job: _Watched, status: JobStatus, asked: float, now: float) -> None:
        job.trouble_since, job.troubles, job.denials = None, 0, 0
        if self._is_doubtful(job, status):
            return
        if job.on_status and (status != job.heard or status.is_terminal):
            job.on_status(status)
        job.heard = status
        ended = Ended(status, now, job.last_seen_running, _told_by(job))
        if status.is_terminal:
            job.done.set_result(ended)
            self._learn(job, now)
            return
        job.seen, job.last_seen_running = now, asked
        if job.until_seen:
            job.done.set_result(ended)
            return
        if job.called or job.looks_in_vain:
            job.called, job.looks_in_vain = False, job.looks_in_vain + 1
        if status != JobStatus.WAITING:
            job.waiting_since = None
        elif job.until_waiting:
            job.done.set_result(ended)
        elif job.waiting_since is None:
            job.waiting_since, job.parked = now, True

    def _is_doubtful(self, job: _Watched, status: JobStatus) -> bool:
        """Whether this is a bad end that another look has to confirm first."""
        if not status.is_terminal or status == JobStatus.COMPLETED:
            job.bad_end, job.bad_ends = None, 0
            return False
        before, job.bad_end = job.bad_end, status
        job.bad_ends += 1
        return status != before and job.bad_ends < CONFIRMATIONS

    def _learn(self, job: _Watched, now: float) -> None:
        told, anew = _told_by(job) is ToldBy.CALLBACK, False
        if job.kind and not job.parked:  # a person's pace teaches nothing of the workflow's
            times = self._times.setdefault(job.kind, RunTimeStats())
            ended = now if told else (job.seen + now) / 2
            times.learn(ended - job.started)
            anew = times.known and times.seen.bit_count() == 1  # with twice as many, more is known
        if job.calls_back and (told or not job.looks_in_vain):
            calls = self._calls[job.kind]
            trusted = calls.reliable is not False
            calls.learn(told=told)
            if trusted and calls.reliable is False:
                level = logging.DEBUG if job.kind in self._warned else logging.WARNING
                log.log(level, "Calls about jobs of %s do not arrive in time: polling them instead", job.kind)
                self._warned.add(job.kind)
                anew = True
        if anew:
            self._reconsider(job.kind, now)

    def _reconsider(self, kind: str, now: float) -> None:
        """Look sooner at the jobs that rest, where what is known now says so."""
        for job in self._resting(kind):
            due = now + self._next(job, now)
            if due < job.due:
                self._schedule(job, due)

    async def _trouble(self, job: _Watched, error: OpusError, now: float) -> None:
        job.troubles += 1
        if job.trouble_since is None:
            job.trouble_since = now
        log.debug("job %s: status could not be read (%d in a row): %s", job.remote_id, job.troubles, error)
        if isinstance(error, InvalidInputs | ConfigurationError):  # it will never be otherwise
            job.done.set_exception(error)
        elif isinstance(error, AuthenticationError | PermissionDenied) or (
            isinstance(error, NotFound) and job.stranger and job.heard is None
        ):
            job.denials += 1
            if job.denials >= DENIALS:
                job.done.set_exception(error)
        elif isinstance(error, HostDown):
            if self._outage is not None:
                job.done.set_exception(error)
        else:
            lasting = now - job.trouble_since
            worn_out = self._wears_out(job, error) and lasting >= self._patience_with(error)
            if (worn_out or await self._is_its_own(error, lasting)) and not job.done.done():
                job.done.set_exception(error)

    async def _is_its_own(self, error: OpusError, lasting: float) -> bool:
        """Whether only one job is answered like that: then no waiting for the platform will help it."""
        answered = not isinstance(error, TransportError) or error.request_sent
        if lasting < OWN_TROUBLE or not answered or not _is_lasting(error):
            return False
        return await self._observer.is_well()

    def _wears_out(self, job: _Watched, error: OpusError) -> bool:
        """Whether it is borne for a while only: what fails for every job ends by the host, if it may end."""
        bounded = (self._outage is not None and isinstance(error, APIError)) or (
            job.until_seen and isinstance(error, ServerError)
        )
        return bounded or _is_lasting(error)

    def _patience_with(self, error: OpusError) -> float:
        if isinstance(error, ProtocolError) or not _is_lasting(error):  # of something in between, maybe
            return max(self._patience, self._outage or 0.0)
        return self._patience

    def _next(self, job: _Watched, now: float) -> float:
        times = self._times.setdefault(job.kind, RunTimeStats()) if job.kind else RunTimeStats()
        waiting_for = None if job.waiting_since is None else now - job.waiting_since
        job.resting = self._rests(job)
        if job.bad_end is not None and not job.troubles:
            wait = CONFIRM_AFTER
        elif 0 < job.looks_in_vain <= LOOKS_AFTER_CALL:  # the call can be a little ahead of the status
            wait = polling.MIN_INTERVAL * 2.0 ** (job.looks_in_vain - 1)
        elif job.resting:
            wait = self._pace.rest(now - job.started, times, self._crowds[job.kind], waiting_for)
        else:
            wait = self._pace.interval(now - job.started, times, self._crowds[job.kind], waiting_for)
        if job.troubles:
            wait = min(max(wait, 2.0 ** min(job.troubles, 10) * polling.MIN_INTERVAL), TROUBLE_CAP)
        return wait * self._jitter()

    def _rests(self, job: _Watched) -> bool:
        if not job.calls_back or job.called or job.looks_in_vain:
            return False
        reliable = self._calls[job.kind].reliable
        return not job.scout if reliable is None else reliable


def _told_by(job: _Watched) -> ToldBy:
    told = job.called or job.woken or 0 < job.looks_in_vain <= LOOKS_AFTER_CALL
    return ToldBy.CALLBACK if told else ToldBy.POLL


def _is_lasting(error: OpusError) -> bool:
    """Whether waiting is unlikely to help: an answer about this very job, or a connection that cannot be."""
    if isinstance(error, TransportError):
        return not error.retryable
    refused = isinstance(error, APIError) and error.status < 500 and error.status != 429  # noqa: PLR2004 - HTTP
    return refused or isinstance(error, ProtocolError)


def _client_closed(remote_id: str) -> OpusError:
    return OpusError(
        "The client was closed while this job was waited for. It goes on remotely; wait for it anew",
        job_id=remote_id,
    )
