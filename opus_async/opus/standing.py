"""Whether a job runs, told from how it looks: compared with a job that was never executed.

Only what a job shows is evidence. That it is in progress, or that a node has run, is believed at once. Any
other difference from a shell never executed is believed when both look the same twice in a row: what a
gateway or a lagging replica answers must not strand a job as running.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from opus_async.errors import NotFound, OpusError, TransportError
from opus_async.models import AuditLog, JobStatus
from opus_async.opus.api import ONE_TRY, Api
from opus_async.platform import Standing

log = logging.getLogger("opus_async.opus")

Version: TypeAlias = tuple[int | None, str | None]
"""Version number and version id; (None, None) is the latest."""

LONG_ID = 6
"""Characters from which an id is looked for as it is; a shorter one could be part of a word."""
_NUMBERS = re.compile(r"\d+")
_NO_WORDS = frozenset({"", "null"})


class Looks:
    """Looks at jobs, and remembers what one looks like that was never executed, per workflow version.

    Args:
        api: Asks.
        make_shell: Makes a job of a version that is never executed; None where that cannot be done: then
            a job without evidence of running counts as unstarted.
    """

    def __init__(self, api: Api, make_shell: Callable[[Version], Awaitable[str]] | None) -> None:
        self._api = api
        self._make_shell = make_shell
        self._shells: dict[Version, str] = {}
        self._unstarted: dict[Version, _Look] = {}
        self._odd: dict[str, tuple[_Look, _Look]] = {}
        """Of each job in question, the last look and the shell's, if they differed."""
        self._learning = asyncio.Lock()

    async def standing(self, job_id: str, version: Version) -> Standing:
        """Look once.

        Raises:
            TransportError: The platform cannot be asked any more; a later look would not go better.
        """
        look = await self._look(job_id)
        if look is None:
            return Standing.UNCLEAR
        if look.shows_a_run:
            return Standing.RUNNING
        if self._make_shell is None:
            return Standing.UNSTARTED
        return self._compared(job_id, look, version, await self._learn(version))

    def _compared(self, job_id: str, look: _Look, version: Version, unstarted: _Look | None) -> Standing:
        before = self._odd.pop(job_id, None)
        if unstarted is None:
            return Standing.UNCLEAR
        if look == unstarted:
            return Standing.UNSTARTED
        if before is not None and before == (look, unstarted):
            return Standing.RUNNING
        self._odd[job_id] = (look, unstarted)
        self._unstarted.pop(version, None)  # it may be the shell that was seen wrongly: it is looked at again
        return Standing.UNCLEAR

    async def _learn(self, version: Version) -> _Look | None:
        """What an unstarted job of this version looks like, from two looks that agree."""
        assert self._make_shell is not None  # noqa: S101 - asked only where there is one
        async with self._learning:  # jobs whose answers were lost together share one shell
            if version in self._unstarted:
                return self._unstarted[version]
            try:
                if version not in self._shells:
                    self._shells[version] = await self._make_shell(version)
            except OpusError as error:
                log.warning("What a job never executed looks like could not be learned: %s", error)
                return None
            first = await self._look(self._shells[version])
            if first is not None and first == await self._look(self._shells[version]):
                self._unstarted[version] = first
            return self._unstarted.get(version)

    async def _look(self, job_id: str) -> _Look | None:
        try:
            status = await self._api.status(job_id, policy=ONE_TRY)
            if status == JobStatus.UNKNOWN and status.raw.strip() in _NO_WORDS:
                return None  # an answer without a status tells nothing
            try:
                audit = await self._api.audit(job_id, policy=ONE_TRY)
            except NotFound:
                return _Look.of(job_id, status, None)
        except OpusError as error:
            if isinstance(error, TransportError) and not error.retryable:
                raise  # a closed client, say: no later look will tell more
            return None
        return _Look.of(job_id, status, audit)


@dataclass(frozen=True, slots=True)
class _Look:
    """What is the same for all jobs that were never executed: no times, and no numbers in texts."""

    status: str
    raw_status: str
    audited: bool
    running_node: str | None
    nodes: tuple[tuple[str, str | None], ...]
    executed: tuple[str, ...]
    failed: tuple[str, ...]
    actions: tuple[str, ...]

    @classmethod
    def of(cls, job_id: str, status: JobStatus, audit: AuditLog | None) -> _Look:
        seen = audit or AuditLog()

        def without_id(text: str) -> str:
            whole = text.replace(job_id, "#") if len(job_id) >= LONG_ID else text
            return _NUMBERS.sub("#", whole)

        return cls(
            status=str(status),
            raw_status=status.raw,
            audited=audit is not None,
            running_node=seen.running_node and without_id(seen.running_node),
            nodes=tuple((without_id(node.name), node.status) for node in seen.nodes),
            executed=seen.executed_nodes,
            failed=seen.failed_nodes,
            actions=tuple(without_id(entry.action) for entry in seen.trail),
        )

    @property
    def shows_a_run(self) -> bool:
        """Whether this can be no job that was never executed."""
        moving = self.status not in {JobStatus.PENDING, JobStatus.UNKNOWN}
        return moving or bool(self.executed or self.failed or self.running_node)
