"""A second platform made of plain Python: late, paged, pausing, with a token that expires and a second id.

Its jobs are not listed until a while after their start, oldest start first; one paged listing of a workflow
tells of all its jobs; a job can pause for a person and be resumed; every call needs a token.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fake_platform import FakePlatform

from opus_async.errors import AuthenticationError, TransportError
from opus_async.models import JobRequest, JobStatus
from opus_async.platform import NOT_LISTED, AboutToSend, AmbiguousStart, StartCheck, nothing
from opus_async.remote_urls import is_web_url
from opus_async.transport.auth import RenewingAuth
from opus_async.transport.limits import Priority, RequestLimiter
from opus_async.transport.rates import OperationLimit

PAGE = 20
LISTED_AFTER = 60.0
PICKED_UP_AFTER = 30.0
"""Seconds until an answer to a paused job has an effect."""


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(eq=False)
class Server:
    """What all platform objects of a client share: the runs, their listing, the token, the limiter."""

    listed_after: float = LISTED_AFTER
    token_life: float = 3600.0
    password_works: bool = True
    limits: tuple[OperationLimit, ...] = ()
    batch_size: int = 1000
    started: dict[str, float] = field(default_factory=dict)
    """When the run of each session was started, in the order of the starts."""
    workflow_of: dict[str, str] = field(default_factory=dict)
    run_times: dict[str, float] = field(default_factory=dict)
    ends_as: dict[str, JobStatus] = field(default_factory=dict)
    pauses: Counter[str] = field(default_factory=Counter)
    """How often each session pauses, from its start on, until it is resumed."""
    goes_on_at: dict[str, float] = field(default_factory=dict)
    """When the answer to a pause has an effect."""
    answers: list[tuple[str, str]] = field(default_factory=list)
    run_ids: dict[str, str] = field(default_factory=dict)
    """Of each session, as listings have told."""
    polls: list[tuple[str, int]] = field(default_factory=list)
    """Of each poll, the workflow and how many jobs it asked about."""
    pages: int = 0
    log_ins: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.auth = RenewingAuth(self._log_in)
        self.limiter = RequestLimiter(1000, operation_limits=self.limits)
        self._tokens = itertools.count(1)
        self._issued: dict[str, float] = {}

    async def _log_in(self) -> Mapping[str, str]:
        self.log_ins += 1
        await asyncio.sleep(0.5)
        if not self.password_works:
            raise AuthenticationError("wrong password", status=401)
        token = f"token-{next(self._tokens)}"
        self._issued[token] = now()
        return {"Authorization": token}

    async def call(self, *, repeatable: bool = True) -> None:
        """One call: refused without a token that is alive, renewed once, sent again if it may be."""
        headers = self.auth.headers or await self.auth.renew(None)
        if self._accepts(headers):
            return
        if not repeatable or not self._accepts(await self.auth.renew(headers)):
            raise AuthenticationError("the token has expired", status=401)

    def _accepts(self, headers: Mapping[str, str]) -> bool:
        alive = now() - self._issued.get(headers["Authorization"], float("-inf")) < self.token_life
        self.refused += not alive
        return alive

    # The listing, which is also the StatusSource

    async def poll(self, workflow_id, remote_ids):
        await self.call()
        self.polls.append((workflow_id, len(remote_ids)))
        mixed = {self.workflow_of.get(session, workflow_id) for session in remote_ids} - {workflow_id}
        assert not mixed, f"a listing of {workflow_id} was asked about jobs of {mixed}"
        wanted, seen = set(remote_ids), {}
        for page in self._pages(workflow_id):
            self.pages += 1
            await asyncio.sleep(0.01)
            seen |= {session: self.status(session) for session in page if session in wanted}
            self.run_ids |= {session: f"run-of-{session}" for session in page}
            if len(seen) == len(wanted):
                break
        return {session: seen.get(session, NOT_LISTED) for session in remote_ids}

    async def is_well(self) -> bool:
        return True

    def _pages(self, workflow_id: str) -> Iterator[list[str]]:
        """Newest first."""
        listed = [name for name in self.started if self.is_listed(name)]
        rows = [name for name in reversed(listed) if self.workflow_of.get(name, workflow_id) == workflow_id]
        for first in range(0, max(len(rows), 1), PAGE):
            yield rows[first : first + PAGE]

    def is_listed(self, session: str) -> bool:
        began = self.started.get(session)
        return began is not None and now() - began >= self.listed_after

    def status(self, session: str) -> JobStatus:
        since = self.goes_on_at.get(session, self.started[session])
        if now() < since:
            return JobStatus.IN_PROGRESS  # the pause that was answered is not shown again
        if self.pauses[session]:
            return JobStatus("WAITING", raw="PAUSED")
        if now() - since < self.run_times.get(session, 5.0):
            return JobStatus.IN_PROGRESS
        return self.ends_as.get(session, JobStatus.COMPLETED)


class SecondPlatform(FakePlatform):
    """See :class:`Server`; what each step does is a script, as on the first one.

    Attributes:
        lost_answers: Jobs that are started although their start gets no clear answer.
        judges_by_order: Whether an uncertain start is judged by later ones alone: the queue is served oldest
            first. If not, a job that is not listed counts as not started, and the grace has to be long.
    """

    def __init__(
        self,
        *,
        step: float = 0.1,
        run_time: float = 5.0,
        workflow_id: str = "flow",
        server: Server | None = None,
        judges_by_order: bool = False,
    ) -> None:
        super().__init__(step=step, run_time=run_time)
        self.server = server or Server()
        self.workflow_id = workflow_id
        self.status_source = self.server
        self.start_visible_after = self.server.listed_after + 1
        self.has_file = is_web_url
        self.operation_limits = self.server.limits
        self.started = self.server.started
        self.judges_by_order = judges_by_order
        self.lost_answers: set[str] = set()
        self.aliases: dict[str, str] = {}
        self._sent_at: dict[str, float] = {}
        self._accepted_at: dict[str, float] = {}

    async def _do(self, name: str, what: Any) -> None:
        await self.server.call()
        await super()._do(name, what)

    async def start(
        self, remote_id: str, ready: dict[str, Any], about_to_send: AboutToSend = nothing
    ) -> None:
        async with self.server.limiter.slot(Priority.WORK, "start"):
            pass
        if (telling := about_to_send()) is not None:
            await telling
        self.starts[remote_id] = self.starts.get(remote_id, 0) + 1
        self._sent_at[remote_id] = now()
        try:
            await self.server.call(repeatable=False)
        except AuthenticationError as error:
            raise AmbiguousStart(error) from error
        await super()._do("start", remote_id)
        self.server.workflow_of[remote_id] = self.workflow_id
        self.server.run_times[remote_id] = self.run_time
        self.server.ends_as[remote_id] = self.ends_as
        self.started.setdefault(remote_id, now())
        if remote_id in self.lost_answers:
            raise AmbiguousStart(TransportError("lost", request_sent=True))
        self._accepted_at[remote_id] = now()

    async def check_started(self, remote_id: str) -> StartCheck:
        await self._do("check_started", remote_id)
        if self.standings:
            return self.standings.pop(0)
        if self.server.is_listed(remote_id):
            return StartCheck.RUNNING
        if not self.judges_by_order:
            return StartCheck.NOT_STARTED
        sent_at = self._sent_at.get(remote_id, 0.0)
        listed = {name: self.server.is_listed(name) for name in self._accepted_at}
        if any(listed[name] for name, at in self._accepted_at.items() if at > sent_at):
            return StartCheck.NOT_STARTED
        return StartCheck.INCONCLUSIVE if all(listed.values()) else StartCheck.NO_EVIDENCE_YET

    def attach(self, remote_id: str, request: JobRequest, *, alias: str | None = None, **known: Any) -> None:
        super().attach(remote_id, request, alias=alias, **known)
        if alias is not None:
            self.aliases[remote_id] = alias

    def alias_of(self, remote_id: str) -> str | None:
        return self.server.run_ids.get(remote_id) or self.aliases.get(remote_id)

    def can_resume(self, status: JobStatus) -> bool:
        return status.raw == "PAUSED"

    async def resume(self, remote_id: str, answer: str) -> None:
        await self._do("resume", (remote_id, answer))
        self.server.answers.append((remote_id, answer))
        self.server.pauses[remote_id] -= 1
        self.server.goes_on_at[remote_id] = now() + PICKED_UP_AFTER
