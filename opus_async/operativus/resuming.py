"""Answers a run that waits for a person: sent once, and judged by the run itself.

The server accepts an answer whatever becomes of it, and takes it from the same queue as orders, half a minute
later or more. So an acceptance proves nothing but that the answer is on its way, and a lost one is judged by
whether the run leaves its pause: it is never sent again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import (
    AmbiguousExecution,
    APIError,
    AuthenticationError,
    JobPaused,
    OpusError,
    ProtocolError,
    TransportError,
)
from opus_async.events import FailureClass
from opus_async.gaps import gapped
from opus_async.models import JobStatus
from opus_async.operativus.api import Api
from opus_async.operativus.listing.source import WorkflowRuns
from opus_async.operativus.listing.tracked import PauseSeen, Tracked
from opus_async.operativus.models import Run
from opus_async.operativus.protocol.hints import hint
from opus_async.platform import Cache
from opus_async.transport.failures import Failure

log = logging.getLogger("opus_async.operativus")

LEAVES_WITHIN = 65.0
"""Seconds for which a run is watched whose answer may be lost: two turns of the server's queue, not counting
the time for which the queue still holds orders of ours that were sent before. For as long, a run is looked
for that cannot be seen before it is answered."""
FIRST_LOOK, LAST_LOOK = 0.5, 10.0
"""Seconds between two such looks: twice as long each time, within these bounds."""

AboutToAnswer: TypeAlias = Callable[[Run], Awaitable[None]]


async def _tell_nobody(_: Run) -> None:
    """Do nothing."""


class AnswersSent:
    """Which pauses were answered, also by an earlier process, whose answers may be in the server's queue.

    Args:
        memory: Where that is kept; None for nowhere.
    """

    def __init__(self, memory: Cache | None) -> None:
        self._memory = memory
        self._sent_here: set[str] = set()

    def forget(self, key: str) -> None:
        """Forget a run that is done with here; what earlier processes have to know is kept."""
        self._sent_here.discard(key)

    async def note(self, key: str, run: Run) -> None:
        """Record that the pause which a run is in is answered now.

        Raises:
            JobPaused: It was answered before. A second answer could meet the next pause of the run.
        """
        if self._memory is None:
            return
        pause = PauseSeen.of(run)
        name, value = f"answered {key}", json.dumps([pause.run_id, pause.word, pause.step_order])
        if key not in self._sent_here and await self._memory.get(name) == value:
            raise _answered_before(run)
        self._sent_here.add(key)
        self._memory.put(name, value)
        await self._memory.get(name)  # it is kept in order: what came before this is on the disk by now


class Resumer:
    """Answers pauses of one workflow's runs.

    Args:
        api: The calls.
        runs: What is known of its runs.
    """

    def __init__(self, api: Api, runs: WorkflowRuns) -> None:
        self._api = api
        self._listing = runs.listing
        self._starts = runs.starts

    async def resume(self, key: str, answer: str, about_to_send: AboutToAnswer = _tell_nobody) -> None:
        """Answer the pause that a run is in; returns when the answer is known to have been taken.

        Args:
            key: The id by which the run is looked after.
            answer: What its next step is given.
            about_to_send: Awaited with the run right before it is sent; what it raises is raised, and nothing
                is sent.

        Raises:
            OpusError: It is not known to have been taken, or was refused.
        """
        tracked = await self._still_paused(key)
        if tracked is None:
            return  # somebody else has answered it meanwhile
        run = tracked.run
        assert run is not None  # noqa: S101 - it waits, so it was seen
        pause = PauseSeen.of(run)
        try:
            await about_to_send(run)
        except JobPaused:
            tracked.answered_before = pause
            raise
        sent_at = asyncio.get_running_loop().time()
        try:
            await self._send(key, pause, answer)
        except OpusError as error:
            if turned_down(error):
                raise
            log.warning("run %s: no clear yes to its answer (%s); seeing whether it goes on", run.id, error)
            if not await self._leaves(key, pause, sent_at):
                raise unclear(run.id, error) from error
        if tracked.run is not None and PauseSeen.of(tracked.run) == pause:
            tracked.answer()

    async def _send(self, key: str, pause: PauseSeen, answer: str) -> None:
        """Send an answer; again where its token had just expired, so that nobody has read it."""
        try:
            await self._api.resume(pause.run_id, answer)
        except AuthenticationError:
            tracked = await self._still_paused(key)  # which renews the token, or is refused as well
            if tracked is not None and tracked.run is not None and PauseSeen.of(tracked.run) == pause:
                await self._api.resume(pause.run_id, answer)

    async def _still_paused(self, key: str) -> Tracked | None:
        """The run, seen to wait just now: a person may have taken long; None where it does not any more.

        Raises:
            OpusError: It could not be seen, for a while or for good: the answer was not sent.
        """
        waited, wait = 0.0, FIRST_LOOK
        while True:
            seen = (await self._listing.look([key])).get(key)
            if not isinstance(seen, OpusError):
                return self._listing.tracked(key) if seen == JobStatus.WAITING else None
            failure = Failure.of(seen)
            if failure.kind is FailureClass.REFUSED or not failure.retryable or waited >= LEAVES_WITHIN:
                raise seen
            await asyncio.sleep(wait)
            waited += wait
            wait = min(2 * wait, LAST_LOOK)

    async def _leaves(self, key: str, pause: PauseSeen, sent_at: float) -> bool:
        """Whether a run leaves a pause within the time in which an answer that arrived takes effect."""
        waited, wait = 0.0, FIRST_LOOK
        while True:
            seen = (await self._listing.look([key])).get(key)
            tracked = self._listing.tracked(key)
            run = None if tracked is None else tracked.run
            if not isinstance(seen, OpusError) and run is not None and PauseSeen.of(run) != pause:
                return True
            if waited >= LEAVES_WITHIN:
                return False
            await asyncio.sleep(wait)
            if not self._starts.awaits_rows_sent_before(sent_at):  # else its turn cannot have come yet
                waited += wait
            wait = min(2 * wait, LAST_LOOK)


def turned_down(error: OpusError) -> bool:
    """Whether an answer that failed so was not taken: it was not sent, or the server said no."""
    if isinstance(error, TransportError):
        return not error.request_sent
    if isinstance(error, APIError):
        return error.status < HTTPStatus.INTERNAL_SERVER_ERROR and error.status != HTTPStatus.REQUEST_TIMEOUT
    return not isinstance(error, ProtocolError)  # wrong arguments, found before anything was sent


def _answered_before(run: Run) -> JobPaused:
    error = JobPaused(
        gapped(
            "Run {} waits for a person still, and an answer to this pause was sent by an earlier process: it "
            "goes on when the server's queue has come to that. If it does not, answer it anew by hand",
            run.id,
        ),
        status=run.status,
        alias=run.id,
    )
    step = NextStep(NextAction.ANSWER_JOB, run.session_id, run.id)
    error.advised(step.action, hint(step))
    return error


def unclear(run_id: str, cause: OpusError) -> AmbiguousExecution:
    """The error of an answer to a run that may have been taken or not."""
    return AmbiguousExecution(
        gapped(
            "It cannot be known whether the answer to run {} was taken. See whether it goes on, a minute "
            "later, before answering again: a second answer could meet its next pause. The failure was: {}",
            run_id,
            cause,
        ),
        cause=cause,
    )
