"""Gets one job to run, whatever an earlier process did: checks its request, sends files, makes and starts it.

An id belongs to one job: when the platform gives one out again, it is refused and another job made. A job
that was made for another version or workflow is never started.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias

from opus_async.config import RetryPolicy
from opus_async.errors import OpusError, ProtocolError
from opus_async.jobs.job_ids import JobIds
from opus_async.jobs.job_run import JobRun
from opus_async.jobs.previous_job import PreviousJobs
from opus_async.jobs.request_check import check
from opus_async.jobs.start import JobStarter
from opus_async.jobs.watch import Watcher
from opus_async.models import JobRequest, JobStatus
from opus_async.platform import BoundT, IdTaken, Platform, ReadyT, RecoveredJob, RetryRequest

log = logging.getLogger("opus_async.jobs")

MAX_CREATES = 5
"""Jobs made for one request: an id that comes twice comes from a cache in between, which soon runs out."""

ReadStatus: TypeAlias = Callable[[], Awaitable[JobStatus]]
"""Reads the status of one job, with retries."""


class Launcher(Generic[BoundT, ReadyT]):
    """Gets the jobs of one platform to run.

    Args:
        platform: The platform adapter.
        watcher: The status poller.
        policy: What to do with an uncertain start; see :mod:`opus_async.jobs.start`.
        ids: Which job ids are taken.
    """

    def __init__(
        self, platform: Platform[BoundT, ReadyT], watcher: Watcher, policy: RetryPolicy, ids: JobIds
    ) -> None:
        self._platform = platform
        self._starter = JobStarter(platform, policy)
        self._old_jobs = PreviousJobs(platform, watcher, self._starter)
        self._ids = ids

    def attach(self, run: JobRun, request: JobRequest, recovered: RecoveredJob) -> None:
        """Take over the job that an earlier process created, if it did."""
        run.job_id, run.alias, run.start_sent = (
            recovered.remote_id,
            recovered.alias,
            recovered.starts_sent > 0,
        )
        if recovered.remote_id is not None:
            self._ids.take(recovered.remote_id)
            self._platform.attach(
                recovered.remote_id,
                request,
                starts_sent=recovered.starts_sent,
                accepted=recovered.start_accepted,
                overtaken=recovered.overtaken,
                other_version=recovered.made_for_other_version,
                alias=recovered.alias,
            )

    def get_to_run(
        self, run: JobRun, request: JobRequest, recovered: RecoveredJob, confirm_exists: ReadStatus | None
    ) -> Awaitable[bool]:
        """Get the job started, whatever an earlier process did; returns whether it was started here."""
        if confirm_exists is not None:
            return self._confirm_exists(run, request, confirm_exists)
        if recovered.retry is not None:
            return self._ask_previous_job(run, recovered, recovered.retry)
        return self._start(run, request, recovered)

    async def _confirm_exists(self, run: JobRun, request: JobRequest, read_status: ReadStatus) -> bool:
        """Raise if there is no such job; False if there is, as it was not started here.

        An end that is not COMPLETED is left to the watcher to confirm.
        """
        check(request)
        run.enter_stage(self._platform.stages.watch)
        status = await read_status()
        run.exists = True
        if status == JobStatus.COMPLETED:
            run.status_seen(status)
        return False

    async def _ask_previous_job(self, run: JobRun, recovered: RecoveredJob, retry: RetryRequest) -> bool:
        """Ask the earlier job of a request that is tried again; False if it counts after all, as above."""
        run.enter_stage(self._platform.stages.watch)
        status = await self._old_jobs.ask(
            run.known_id, retry, accepted=recovered.start_accepted, doubt=recovered.doubt
        )
        await run.start_accepted()
        if status.is_terminal:
            run.status_seen(status)
        return False

    async def _start(self, run: JobRun, request: JobRequest, recovered: RecoveredJob) -> bool:
        """Start a job, unless it is known to run; returns whether it was started here."""
        if recovered.start_accepted:
            return False
        platform, stages = self._platform, self._platform.stages
        starts_sent = recovered.starts_sent
        if recovered.starts_sent and await self._start_took_effect(run, recovered):
            return False
        if recovered.made_for_other_version and run.job_id is not None:
            platform.orphaned_jobs += not recovered.starts_sent
            await self._supersede(run)
        run.enter_stage(stages.bind)
        check(request)
        bound = await platform.bind(request)
        run.enter_stage(stages.prepare)
        ready = await platform.prepare(bound)
        for _ in range(MAX_CREATES):
            try:
                if run.job_id is None:
                    await self._create(run, bound)
                    starts_sent = 0
                run.enter_stage(stages.start)
                await self._starter.start(
                    run.known_id,
                    ready,
                    starts_sent=starts_sent,
                    before_send=run.start_intent,
                    on_doubt=run.second_start_forbidden,
                )
                await run.start_accepted()
            except IdTaken as taken:
                if run.job_id is not None:
                    self._forget(run)
                log.warning("job %s: this id came for another job, too; making a new one", taken)
            else:
                return True
        raise ProtocolError(
            f"The platform gave out the id of another job {MAX_CREATES} times when a new one was to be made; "
            "nothing was started. Is there a proxy in between that keeps answers?",
            stage=stages.create,
        )

    async def _create(self, run: JobRun, bound: BoundT) -> None:
        run.enter_stage(self._platform.stages.create)
        job_id = await self._platform.create(bound)
        if job_id in self._ids:
            raise IdTaken(job_id)
        self._ids.take(job_id)
        await run.job_created(job_id)

    async def _supersede(self, run: JobRun) -> None:
        """Record that a new job takes the place of the earlier one."""
        if run.journal:
            await run.journal.job_superseded(run.known_id)
        self._forget(run)

    def _forget(self, run: JobRun) -> None:
        self.release(run.known_id)
        run.job_id = None

    def release(self, job_id: str) -> None:
        """Forget a job that is done with here."""
        self._ids.release(job_id)
        self._platform.release(job_id)

    async def _start_took_effect(self, run: JobRun, recovered: RecoveredJob) -> bool:
        """Whether a start request of an earlier process took effect; if not, one more may be sent."""
        run.enter_stage(self._platform.stages.start)
        lost = OpusError("An earlier process got no answer to the order to start")
        if not await self._starter.start_took_effect(
            run.known_id,
            lost,
            starts_sent=recovered.starts_sent,
            doubt=recovered.doubt,
            on_doubt=run.second_start_forbidden,
        ):
            run.start_sent = False
            return False
        await run.start_accepted()
        return True
