"""Starts the jobs of a load test when they are due, and ends them early where that is asked for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from opus_async.errors import OpusError
from opus_async.exits import Exit
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import WhenPaused
from opus_async.jobs.shutdown import Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.load.inputs import RequestSource
from opus_async.load.recorder import Recorder
from opus_async.load.spec import ClosedLoad, Plan
from opus_async.load.values import DropReason
from opus_async.tasks import start_in
from opus_async.text import counted

_STARTS_A_TURN = 32
"""Jobs started before the loop gets its turn, where several are due at once."""


class LoadRunner:
    """Runs the jobs of one load test.

    Args:
        plan: What is to be run.
        lifecycle: How a job runs; its platform is open.
        requests: Makes the request of each job.
        recorder: Told of all that happens.
        control: Ends the run early.

    Attributes:
        on_ended: Called whenever a job has ended.
        notice: Told in a sentence what a person should know.
        arrivals_ended: When no more jobs were started, in seconds from the start of the run; infinite before.
        cancelled: Whether the task that ran it was cancelled.
    """

    def __init__(
        self,
        plan: Plan,
        lifecycle: Lifecycle[Any, Any],
        requests: RequestSource,
        recorder: Recorder,
        control: ShutdownControl,
    ) -> None:
        self.on_ended: Callable[[], None] = lambda: None
        self.notice: Callable[[str], None] = lambda _: None
        self.arrivals_ended = math.inf
        self.cancelled = False
        self._plan = plan
        self._lifecycle = lifecycle
        self._requests = requests
        self._recorder = recorder
        self._control = control
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """Key of a request -> the task that runs its job."""
        self._begun = 0

    async def run(self) -> None:
        """Run the load to its end: until every job that was started has ended, or is not waited for."""
        load = self._arrive if self._plan.schedule is not None else self._use
        self._recorder.begin()
        try:
            async with asyncio.TaskGroup() as group:
                arriving = start_in(group, load, group)
                obeying = start_in(group, self._obey, arriving)
                await asyncio.wait([arriving])
                self._end_arrivals()
                while self._tasks:
                    await asyncio.wait(list(self._tasks.values()))
                obeying.cancel()
        except asyncio.CancelledError:
            self.cancelled = True
            self._end_arrivals()
            raise

    def _end_arrivals(self) -> None:
        """Note that arrivals end now, unless they have come to their end."""
        if math.isinf(self.arrivals_ended):
            self.arrivals_ended = self._recorder.now

    # Arrivals

    async def _arrive(self, group: asyncio.TaskGroup) -> None:
        """An open load: each job at its moment, whatever became of those before."""
        recorder, most = self._recorder, self._plan.spec.max_in_flight
        schedule = self._plan.schedule
        assert schedule is not None  # noqa: S101 - only an open load comes here
        for index, intended in enumerate(schedule.times, self._requests.first):
            wait = intended - recorder.now
            if wait > 0:
                await asyncio.sleep(wait)
            elif index % _STARTS_A_TURN == 0:
                await asyncio.sleep(0)
            if recorder.in_flight >= most:
                recorder.dropped(intended, DropReason.MAX_IN_FLIGHT)
            else:
                self._start(group, index, intended)
        if (rest := schedule.length - recorder.now) > 0:
            await asyncio.sleep(rest)
        self.arrivals_ended = schedule.length

    async def _use(self, group: asyncio.TaskGroup) -> None:
        """A closed load: so many users, one job after the other."""
        load = self._plan.spec.load
        assert isinstance(load, ClosedLoad)  # noqa: S101 - only a closed load comes here
        users = [start_in(group, self._user, load.think) for _ in range(load.concurrency)]
        try:
            await asyncio.wait(users)
        except asyncio.CancelledError:
            at_work = set(self._tasks.values())
            for user in users:
                if user not in at_work:
                    user.cancel()
            raise

    async def _user(self, think: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        while self._may_begin():
            index, self._begun = self._begun, self._begun + 1
            if self._begun == self._plan.jobs and self._plan.exact:
                self.arrivals_ended = self._recorder.now
            key = self._requests.key(index)
            self._tasks[key] = task
            self._recorder.opened(key, index, self._recorder.now)
            try:
                await self._job(key, index, was_due=False)
            finally:
                del self._tasks[key]
            if think and self._control.admitting:
                await asyncio.sleep(think)

    def _may_begin(self) -> bool:
        """Whether a user of a closed load may begin another job."""
        plan = self._plan
        if not self._control.admitting:
            return False
        if plan.until is not None and self._recorder.now >= plan.until:
            self.arrivals_ended = plan.until
            return False
        if self._begun < plan.jobs:
            return True
        if not plan.exact:
            self._control.end(ShutdownMode.STOP_ADMITTING, Reason(StopKind.LIMIT_REACHED, Exit.INVALID_LOAD))
        return False

    # One job

    def _start(self, group: asyncio.TaskGroup, index: int, intended: float) -> None:
        key = self._requests.key(index)
        self._recorder.opened(key, index, intended)
        task = self._tasks[key] = start_in(group, self._job, key, index)
        task.add_done_callback(partial(self._forget, key))

    def _forget(self, key: str, _: object) -> None:
        del self._tasks[key]
        if key in self._recorder.running:  # cancelled before its first step
            self._recorder.given_up(key)

    async def _job(self, key: str, index: int, *, was_due: bool = True) -> None:
        recorder = self._recorder
        record = recorder.running[key]
        recorder.begun(record, was_due=was_due)
        try:
            outcome = await self._lifecycle.run(
                self._requests.request(index), index=index, journal=record, on_paused=WhenPaused.RETURN
            )
        except OpusError as error:
            recorder.failed_with(key, error)
        except asyncio.CancelledError:
            recorder.given_up(key)
            raise
        else:
            recorder.ended(key, outcome)
        self.on_ended()

    # The end

    async def _obey(self, arriving: asyncio.Task[None]) -> None:
        """End arrivals, and then jobs, when the control says so."""
        control = self._control
        while control.admitting:
            await control.changed()
        arriving.cancel()
        while control.mode < ShutdownMode.DRAIN:
            await control.changed()
        self._give_up(ordered=False)
        self._tell_drain()
        if control.mode < ShutdownMode.CANCEL:
            await control.wait_or_shutdown(asyncio.sleep(control.drain_seconds))
        self._give_up(ordered=True)

    def _tell_drain(self) -> None:
        ordered = sum(record.ordered for record in self._recorder.running.values())
        if self._control.mode < ShutdownMode.CANCEL:
            jobs = counted(ordered, "job that is ordered", "jobs that are ordered")
            seconds = f"{self._control.drain_seconds:g} s"
            self.notice(f"No more jobs are started. Waiting at most {seconds} for {jobs}.")

    def _give_up(self, *, ordered: bool) -> None:
        """Wait no more for jobs that were not ordered; or for any."""
        for key, task in list(self._tasks.items()):
            if ordered or not self._recorder.running[key].ordered:
                task.cancel()
