"""Whether a start took effect, judged by comparing the job with one that was never executed.

Only what a job shows is evidence, and what a job never executed shows is learned before anything is believed
to show a run. A status that no such job shows, or nodes at work where such a job has none, are believed at
once. Any other difference is believed when it is seen twice in a row: what a gateway or a lagging replica
answers must not strand a job as running. Seen once, it forbids to say that the job was never started.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from opus_async.clients.sender import ONE_TRY
from opus_async.errors import AuthenticationError, NotFound, OpusError, TransportError
from opus_async.models import JobStatus
from opus_async.opus.api import Api
from opus_async.platform import StartCheck

if TYPE_CHECKING:
    from opus_async.opus.protocol.snapshots import Baseline, Snapshot

log = logging.getLogger("opus_async.opus")

Version: TypeAlias = tuple[int | None, str | None]
"""Version number and version id; (None, None) is the latest."""

SHELL_TITLE = "opus_async: never executed"
SHELL_DESCRIPTION = "Unbilled. Made once to learn what a job looks like that was never executed."
_SHELL_TEXTS = (SHELL_TITLE, SHELL_DESCRIPTION)
_NO_WORDS = frozenset({"", "null"})
_MOVED = frozenset(
    {JobStatus.IN_PROGRESS, JobStatus.WAITING, JobStatus.COMPLETED}
    | {JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT}
)
_MOVED_FOR_SURE = _MOVED - {JobStatus.WAITING}
"""Where it cannot be learned what a job never executed shows: it may wait for its order."""
_SHOWN = 5
"""Differences that are named in the log."""


class StartChecker:
    """Checks whether jobs were started; learns, per workflow version, what a job shows that never was.

    Args:
        api: For status and audit.
        make_shell: Makes a job of a version that is never executed; None where that cannot be done: then a
            job counts as unstarted unless its status or its nodes say that it moved.
    """

    def __init__(self, api: Api, make_shell: Callable[[Version], Awaitable[str]] | None) -> None:
        self._api = api
        self._make_shell = make_shell
        self._shells: dict[Version, str] = {}
        self._baselines: dict[Version, Baseline] = {}
        self._odd: dict[str, Snapshot] = {}
        """Of each job in question, the last look if it differed from a shell."""
        self._learning = asyncio.Lock()

    async def check(self, job_id: str, version: Version, *, given: Sequence[str] = ()) -> StartCheck:
        """Look at a job once, and compare it.

        Args:
            job_id: The job.
            version: Of the workflow, that the job was made with.
            given: Texts that it was made with.

        Raises:
            AuthenticationError: The key is refused, whatever is asked.
            TransportError: The platform cannot be asked any more; a later check would not go better.
        """
        before = self._odd.pop(job_id, None)
        look = await self._look(job_id, given)
        if look is None:
            return StartCheck.INCONCLUSIVE
        if self._make_shell is None:
            moved = look.status in _MOVED_FOR_SURE or look.worked
            return StartCheck.RUNNING if moved else StartCheck.NOT_STARTED
        baseline = self._baselines.get(version) or await self._learn(version)
        if baseline is None:
            return StartCheck.RUNNING if look.status.is_terminal else StartCheck.INCONCLUSIVE
        if self._moved(look, baseline):
            return StartCheck.RUNNING
        return await self._compared(job_id, look, version, baseline, before)

    async def _compared(
        self, job_id: str, look: Snapshot, version: Version, baseline: Baseline, before: Snapshot | None
    ) -> StartCheck:
        """Judge a look that shows no run by itself.

        Args:
            job_id: The job.
            look: What it shows.
            version: Of the workflow.
            baseline: What an unstarted job of that version shows.
            before: The last look at the job, if that differed; seen twice, a difference is believed.
        """
        if not baseline.differences(look):
            return StartCheck.NOT_STARTED
        # It may be the shell that changed, or was seen wrongly: it is looked at again.
        baseline = await self._learn(version) or baseline
        different = baseline.differences(look)
        if not different:
            return StartCheck.NOT_STARTED
        log.info("job %s differs from one never executed in: %s", job_id, ", ".join(different[:_SHOWN]))
        if before is not None and not before.differences(look):
            return StartCheck.RUNNING
        self._odd[job_id] = look
        return StartCheck.DIFFERENT

    async def check_alone(self, job_id: str) -> StartCheck:
        """Look once at a job that cannot be compared, because it was made for another version.

        Raises:
            OpusError: It does not show that it moved, and no later look would prove the opposite.
        """
        look = await self._look(job_id, ())
        if look is None:
            return StartCheck.INCONCLUSIVE
        if look.status in _MOVED_FOR_SURE:
            return StartCheck.RUNNING
        raise OpusError(
            "It was made for another version of the workflow, so that nothing tells what it looks like if it "
            "was never started. Go on with that version, or decide about it"
        )

    def is_shell(self, job_id: str) -> bool:
        """Whether this is one of the jobs that are never executed."""
        return job_id in self._shells.values()

    def forget(self, job_id: str) -> None:
        """Forget what was seen of this job."""
        self._odd.pop(job_id, None)

    def _moved(self, look: Snapshot, baseline: Baseline) -> bool:
        """Whether a job shows beyond doubt that it was started: what no unstarted job here shows."""
        seen = {status for known in self._baselines.values() for status in known.statuses}
        return (look.status in _MOVED and look.status not in seen) or (look.worked and not baseline.worked)

    async def _learn(self, version: Version) -> Baseline | None:
        """Learn what an unstarted job of this version shows, from two looks at one; None if that fails."""
        from opus_async.opus.protocol.snapshots import Baseline  # noqa: PLC0415 - few starts are uncertain

        assert self._make_shell is not None  # noqa: S101 - asked only where there is one
        async with self._learning:  # jobs whose answers were lost together share one shell
            try:
                if version not in self._shells:
                    self._shells[version] = await self._make_shell(version)
            except OpusError as error:
                log.warning("What a job never executed looks like could not be learned: %s", error)
                return None
            shell = self._shells[version]
            first, second = [await self._look(shell, _SHELL_TEXTS) for _ in range(2)]
            if first is None or second is None or first.status.raw != second.status.raw:
                return None
            if (first.answers[1] is None) != (second.answers[1] is None):  # its audit is on its way, or lags
                return None
            if first.status.is_terminal:  # no such job: an id that a proxy kept from one that has ended
                del self._shells[version]
                return None
            baseline = self._baselines.setdefault(version, Baseline(first))
            for look in (first, second):
                baseline.learn(look)
            return baseline

    async def _look(self, job_id: str, given: Sequence[str]) -> Snapshot | None:
        """What a job shows now; None when that could not be read."""
        from opus_async.opus.protocol.snapshots import Snapshot  # noqa: PLC0415 - few starts are uncertain

        try:
            status, body = await self._api.status_and_body(job_id)
            if status == JobStatus.UNKNOWN and status.raw.strip() in _NO_WORDS:
                return None  # an answer without a status tells nothing
            try:
                audit = await self._api.audit(job_id, policy=ONE_TRY)
            except NotFound:
                audit = None
        except AuthenticationError:
            await self._api.status(job_id)  # raises it again, unless it was a fluke
            return None
        except OpusError as error:
            if isinstance(error, TransportError) and not error.retryable:
                raise  # a closed client, say: no later look will tell more
            return None
        return Snapshot.of(job_id, status, body, audit, given=given)
