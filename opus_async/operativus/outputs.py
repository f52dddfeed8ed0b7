"""What a run that is over gave and did: its texts and its audit, as far as the server tells them.

Two endpoints know, neither of them documented: the agent calls of its session (for the role ADMIN), and the
runs of its nodes (of workflows with edges). A server may have neither, and may show neither to this user.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from opus_async.errors import NotFound, OpusError, PermissionDenied, ProtocolError
from opus_async.models import JobStatus, Notice
from opus_async.operativus.api import Api
from opus_async.operativus.models import Run, Step
from opus_async.operativus.protocol.api_messages import NodeRun, SessionRun
from opus_async.operativus.protocol.outcomes import audit_of, outputs_of
from opus_async.platform import JobResult

log = logging.getLogger("opus_async.operativus")

RowT = TypeVar("RowT")

REFUSALS_BELIEVED = 3
"""Refusals in a row, with no answer between them, after which an endpoint is not asked any more: it is not
there, or not for this user."""


class _Endpoint:
    """An endpoint that a server may not have, or not for this user.

    Args:
        name: What it tells, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._refused = 0

    async def ask(self, read: Callable[[], Awaitable[Sequence[RowT]]]) -> Sequence[RowT]:
        """What it tells; nothing where it is absent, refused, or not understood.

        Raises:
            OpusError: It could not be asked.
        """
        if self._refused >= REFUSALS_BELIEVED:
            return ()
        try:
            rows = await read()
        except (NotFound, PermissionDenied) as error:
            self._refused += 1
            if self._refused == REFUSALS_BELIEVED:
                log.warning("%s are not told by this server, or not to this user: %s", self._name, error)
            return ()
        except ProtocolError as error:
            log.warning("%s could not be read: %s", self._name, error)
            return ()
        self._refused = 0
        return rows


class OutputReader:
    """Reads what runs left behind, for one client.

    Args:
        api: The calls.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._session_runs = _Endpoint("The agent calls of sessions")
        self._node_runs = _Endpoint("The runs of nodes")

    async def result(self, runs: Sequence[Run], *, session_id: str, steps: Sequence[Step]) -> JobResult:
        """Read the outputs, and the audit, of a session that is over.

        Args:
            runs: All of its runs, newest first; at least one.
            session_id: The session.
            steps: Of the workflow, by which the audit names what ran; empty where they are not known.

        Raises:
            OpusError: The server could not be asked.
        """
        run = runs[0]
        calls, nodes = await self._told(run, session_id)
        audit = audit_of(runs, session_runs=calls, node_runs=nodes, steps=steps)
        notices = _notices(runs)
        if run.status != JobStatus.COMPLETED:
            return JobResult(results=run.raw, audit=audit, notices=notices)
        outputs = outputs_of(run, session_runs=calls, node_runs=nodes)
        if "output" not in outputs:
            log.warning(
                "session %s: its run %s completed, and the server does not tell this user what it gave: the "
                "texts of a session are shown to the role ADMIN",
                session_id,
                run.id,
            )
            notices += (Notice.OUTPUTS_NOT_TOLD,)
        return JobResult(outputs=outputs, results=run.raw, audit=audit, notices=notices)

    async def texts(self, run: Run) -> tuple[str, ...]:
        """Read the texts that the steps of a run gave so far, in order; none where the server tells none.

        Raises:
            OpusError: The server could not be asked.
        """
        calls, nodes = await self._told(run, run.session_id or "")
        return tuple(outputs_of(run, session_runs=calls, node_runs=nodes).get("steps", ()))

    async def _told(self, run: Run, session_id: str) -> tuple[Sequence[SessionRun], Sequence[NodeRun]]:
        """The agent calls of a session, or else the runs of the nodes of its run."""
        calls: Sequence[SessionRun] = ()
        if session_id:
            calls = await self._session_runs.ask(lambda: self._api.session_runs(session_id))
        if calls:
            return calls, ()
        return (), await self._node_runs.ask(lambda: self._api.node_runs(run.id))

    async def result_of_failure(
        self, runs: Sequence[Run], *, session_id: str, steps: Sequence[Step]
    ) -> JobResult:
        """The same of a run that did not complete: an error on the way must not hide the failure."""
        try:
            return await self.result(runs, session_id=session_id, steps=steps)
        except OpusError as error:
            log.warning("session %s: what its steps did could not be read: %s", session_id, error)
            audit = audit_of(runs, steps=steps)
            return JobResult(results=runs[0].raw, audit=audit, notices=_notices(runs))


def _notices(runs: Sequence[Run]) -> tuple[Notice, ...]:
    return (Notice.RUN_AGAIN_BY_PLATFORM,) if len(runs) > 1 else ()
