"""How the order that starts a bill is given: **never blindly twice**.

When its answer is lost we look at the job, several times over a grace, and compare with what a job never
started looks like. Any difference means that it runs. No difference: the policy says whether the same job is
ordered once more or the question is handed to the caller. What remains is a platform that shows an accepted,
queued run exactly like an unstarted one for longer than the grace.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from opus_async.config import RetryPolicy
from opus_async.errors import AmbiguousExecution, AuthenticationError, OpusError
from opus_async.platform import ReadyT, Standing, UncertainStart

log = logging.getLogger("opus_async.lifecycle")

LOOKS = (0.0, 0.1, 0.3, 0.6, 1.0)
"""When to look, as shares of the grace: most lost answers show at the first look."""
FORBIDDEN = "It looks never started, and on_ambiguous='stop' forbids another try"
LOOKS_NEEDED = 3
"""Looks that must succeed and agree before a job counts as never started."""
FAILED_LOOK_WAIT = 1.0
"""Seconds, at least, between the further looks that follow when looks fail."""


ReadyT_contra = TypeVar("ReadyT_contra", contravariant=True)


async def _nothing() -> None:
    return


class Startable(Protocol[ReadyT_contra]):
    """The part of a platform that is needed here."""

    async def start(self, remote_id: str, ready: ReadyT_contra) -> None:
        """See :class:`opus_async.platform.Platform`."""

    async def settle(self, remote_id: str) -> Standing:
        """Likewise."""


class Starter(Generic[ReadyT]):
    """Gives the order to start.

    Args:
        platform: Who is ordered and asked.
        policy: ``execute_grace``, ``on_ambiguous`` and, for looks that fail, ``max_elapsed``.
        sleep: Injected by tests.
    """

    def __init__(
        self,
        platform: Startable[ReadyT],
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._platform = platform
        self._policy = policy
        self._sleep = sleep

    async def start(
        self,
        job_id: str,
        ready: ReadyT,
        *,
        again: bool = False,
        before_order: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        """Start the job; returns when it is known to run.

        Args:
            job_id: The job.
            ready: What its start sends.
            again: Whether an earlier process has given the order, :meth:`was_obeyed` said no, and this is
                the one more that is allowed.
            before_order: Awaited before every order that is sent.

        Raises:
            AmbiguousExecution: It cannot be known.
            OpusError: It was refused.
        """
        await before_order()
        if again:
            return await self._start_again(job_id, ready)
        try:
            return await self._platform.start(job_id, ready)
        except UncertainStart as uncertain:
            first = uncertain
        log.warning("job %s: no clear answer to its start (%s); asking whether it runs", job_id, first.cause)
        if await self._runs(job_id, first.cause):
            return None
        if not first.may_resend:
            raise first.cause
        if self._policy.on_ambiguous == "stop":
            raise _ambiguous(FORBIDDEN, first.cause)
        log.warning(
            "job %s: looks never started after %g s; ordering it again", job_id, self._policy.execute_grace
        )
        await before_order()
        return await self._start_again(job_id, ready)

    async def was_obeyed(self, job_id: str, cause: OpusError, *, may_order: bool = True) -> bool:
        """Whether an order that an earlier process may have sent was obeyed.

        False means that the job looks never started for the whole grace, and may be ordered (again).

        Raises:
            AmbiguousExecution: It cannot be known, or the policy forbids to act on it.
        """
        if await self._runs(job_id, cause):
            return True
        if self._policy.on_ambiguous == "stop":
            raise _ambiguous(FORBIDDEN, cause)
        if not may_order:
            raise _ambiguous("It still looks never started, and was ordered twice already", cause)
        return False

    async def looks_started(self, job_id: str, cause: OpusError) -> bool:
        """Whether a job shows that it was ever started, whatever the policy allows to do about it.

        False means that it looks never started for the whole grace.

        Raises:
            AmbiguousExecution: It cannot be known.
        """
        return await self._runs(job_id, cause)

    async def _start_again(self, job_id: str, ready: ReadyT) -> None:
        try:
            await self._platform.start(job_id, ready)
        except UncertainStart as again:
            if not await self._runs(job_id, again.cause):
                if isinstance(again.cause, AuthenticationError):  # twice, and nothing runs: it means no
                    raise again.cause from None
                raise _ambiguous("Two orders to start it got no clear answer", again.cause) from None
        except AuthenticationError:
            raise
        except OpusError as refused:  # "already executed", perhaps: then the first order was obeyed after all
            if not await self._runs(job_id, refused):
                raise _ambiguous("The second order to start it was refused", refused) from None

    async def _runs(self, job_id: str, cause: OpusError) -> bool:
        """Whether an uncertain start was obeyed; raises AmbiguousExecution when looking tells nothing."""
        agreeing, slept = 0, 0.0
        for number, moment in enumerate(self._moments(), 1):
            await self._sleep(moment - slept)
            slept = moment
            try:
                standing = await self._platform.settle(job_id)
            except OpusError as error:
                raise _ambiguous(f"The platform cannot be asked any more ({error.message})", cause) from error
            if standing is Standing.RUNNING:
                return True
            agreeing += standing is Standing.UNSTARTED
            if number >= len(LOOKS) and standing is Standing.UNSTARTED and agreeing >= LOOKS_NEEDED:
                return False
        raise _ambiguous("The platform could not be asked whether it was obeyed", cause)

    def _moments(self) -> list[float]:
        """When to look, in seconds from now: over the grace, and on for a while for looks that fail."""
        grace = self._policy.execute_grace
        moments = [share * grace for share in LOOKS]
        step = max(grace / LOOKS_NEEDED, FAILED_LOOK_WAIT)
        while moments[-1] < grace + self._policy.max_elapsed:
            moments.append(moments[-1] + step)
        return moments


def _ambiguous(why: str, cause: OpusError) -> AmbiguousExecution:
    return AmbiguousExecution(
        f"It cannot be known whether the job was started. {why}. Look at it in the platform before "
        f"running it again: a second run that completes is billed again. The failure was: {cause}",
        cause=cause,
    )
