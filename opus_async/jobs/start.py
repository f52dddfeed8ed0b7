"""Starts a job, and its bill: whether the order may be sent again is decided by evidence alone.

Only two failures prove by themselves that an order had no effect: no byte of it was sent, or a 429. After
any other response that is not a success the platform checks, look by look, on evidence of its own kind, for
the length of a grace: that of the policy or the time after which the platform shows a start, whichever is
longer. While the platform says that no evidence can be had yet, the clock of the grace stands still.
``VERDICTS`` says what follows; ``docs/explanation/starting-a-job.md`` explains it to users. What remains: a
platform that shows an accepted, queued run exactly like an unstarted one for longer than the grace.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from opus_async.config import RetryPolicy
from opus_async.errors import AmbiguousExecution, AuthenticationError, OpusError
from opus_async.gaps import Gapped, gapped, literal
from opus_async.platform import (
    AboutToSend,
    AmbiguousStart,
    ReadyT,
    StartAnswer,
    StartCheck,
    StartDoubt,
    nothing,
)

log = logging.getLogger("opus_async.jobs")

MAX_START_REQUESTS: Mapping[str, int] = {"resend": 3, "resend_once": 2, "stop": 1}
"""Orders for one job in all, by ``RetryPolicy.on_ambiguous``."""
CHECK_SCHEDULE = (0.0, 0.1, 0.3, 0.6, 1.0)
"""When to look after a lost response, as shares of the grace: most starts show at the first look."""
REFUSAL_CHECK_SCHEDULE = (0.0, 0.4, 0.9)
"""When to look after a refusal of the first order, as shares of ``REFUSAL_WINDOW``, or of a shorter grace."""
REFUSAL_WINDOW = 3.0
"""Seconds. A refusal is rarely wrong: three looks find an order that took effect nevertheless."""
CHECKS_REQUIRED = 3
"""Looks that must succeed and agree before a job counts as never started."""
CHECKS_AFTER_DIFFERENCE = 2
"""Further looks after a difference was seen, to see it again."""
RECHECK_DELAY = 1.0
"""Seconds, at least, between the further looks that follow when looks fail."""


class Evidence(enum.Enum):
    """What all looks at a job show of its start together, by the words of ``starting-a-job.md``."""

    STARTED = "started"
    NOT_STARTED = "not started"
    """Every look that succeeded shows what a job never started shows, for the whole grace."""
    DIFFERED_UNCONFIRMED = "contradictory"
    """A difference was seen, and no run."""
    TOO_FEW_CHECKS = "nothing"
    """Too few looks succeeded."""


class Verdict(enum.Enum):
    """What follows an uncertain start, by the words of ``starting-a-job.md``."""

    RUNS = "runs"
    ORDER_AGAIN = "ordered again"
    RAISE_REFUSAL = "refused"
    AMBIGUOUS = "ambiguous"


VERDICTS: Mapping[tuple[StartAnswer, Evidence], Verdict] = {
    (StartAnswer.LOST, Evidence.STARTED): Verdict.RUNS,
    (StartAnswer.LOST, Evidence.NOT_STARTED): Verdict.ORDER_AGAIN,
    (StartAnswer.LOST, Evidence.DIFFERED_UNCONFIRMED): Verdict.AMBIGUOUS,
    (StartAnswer.LOST, Evidence.TOO_FEW_CHECKS): Verdict.AMBIGUOUS,
    (StartAnswer.REFUSED, Evidence.STARTED): Verdict.RUNS,
    (StartAnswer.REFUSED, Evidence.NOT_STARTED): Verdict.RAISE_REFUSAL,
    (StartAnswer.REFUSED, Evidence.DIFFERED_UNCONFIRMED): Verdict.AMBIGUOUS,
    (StartAnswer.REFUSED, Evidence.TOO_FEW_CHECKS): Verdict.AMBIGUOUS,
}
"""Response and what looks show -> what follows. ``_verdict`` adds what policy and earlier orders allow: both
only ever turn "ordered again" and "refused" into "ambiguous"."""

ReadyT_contra = TypeVar("ReadyT_contra", contravariant=True)


OnDoubt = Callable[[StartDoubt], Awaitable[None]]


async def _record_nothing(_: StartDoubt) -> None:
    """Record nothing."""


class StartTarget(Protocol[ReadyT_contra]):
    """The part of a platform that is needed here; see :class:`opus_async.platform.Platform`."""

    start_visible_after: float
    """Seconds after which a start that took effect is visible at the latest."""

    async def start(self, remote_id: str, ready: ReadyT_contra, about_to_send: AboutToSend = nothing) -> None:
        """Start the job, and its bill. Sent once."""

    async def check_started(self, remote_id: str) -> StartCheck:
        """Check once whether an uncertain start took effect."""


class JobStarter(Generic[ReadyT]):
    """Starts jobs of one platform.

    Args:
        platform: Starts jobs and checks uncertain starts.
        policy: ``execute_grace``, ``on_ambiguous`` and, for looks that fail, ``max_elapsed``.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        platform: StartTarget[ReadyT],
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._platform = platform
        self._policy = policy
        self._most = MAX_START_REQUESTS[policy.on_ambiguous]
        self._sleep = sleep

    async def start(
        self,
        job_id: str,
        ready: ReadyT,
        *,
        starts_sent: int = 0,
        before_send: AboutToSend = nothing,
        on_doubt: OnDoubt = _record_nothing,
    ) -> None:
        """Start the job; returns when it is known to run.

        Args:
            job_id: The job.
            ready: What its start sends.
            starts_sent: Orders that an earlier process sent, and that :meth:`start_took_effect` found
                to have had no effect.
            before_send: Told before every order that is sent, when it has its turn.
            on_doubt: Called with what a later process has to know.

        Raises:
            AmbiguousExecution: It cannot be known whether it was started.
            OpusError: It was not started: proved by the response, or refused and looked at.
        """
        while True:
            starts_sent += 1
            try:
                return await self._platform.start(job_id, ready, before_send)
            except AmbiguousStart as error:
                uncertain = error
            log.warning(
                "job %s: no clear yes to its start (%s); asking whether it runs", job_id, uncertain.cause
            )
            if uncertain.answer is StartAnswer.REFUSED:
                await on_doubt(StartDoubt.REFUSED)
            evidence = await self._look(job_id, uncertain, starts_sent, on_doubt=on_doubt)
            verdict = self._verdict(uncertain, evidence, starts_sent)
            if verdict is Verdict.RUNS:
                return None
            if verdict is Verdict.RAISE_REFUSAL:
                raise uncertain.cause
            if verdict is Verdict.AMBIGUOUS:
                raise _ambiguous(self._why(uncertain.answer, evidence, starts_sent), uncertain.cause)
            log.warning("job %s: looks never started; ordering it again (order %d)", job_id, starts_sent + 1)

    async def start_took_effect(
        self,
        job_id: str,
        cause: OpusError,
        *,
        starts_sent: int,
        doubt: StartDoubt | None = None,
        on_doubt: OnDoubt = _record_nothing,
    ) -> bool:
        """Whether an order that an earlier process may have sent took effect.

        Args:
            job_id: The job.
            cause: The failure of the order, for messages.
            starts_sent: How many orders may have been sent.
            doubt: What that process learned.
            on_doubt: Called with what a later process has to know.

        Returns:
            False when the job looks never started for the whole grace, and may be ordered again.

        Raises:
            AmbiguousExecution: It cannot be known, or the policy forbids to act on it.
        """
        uncertain = AmbiguousStart(cause)
        evidence = await self._look(job_id, uncertain, starts_sent, doubt=doubt, on_doubt=on_doubt)
        verdict = self._verdict(uncertain, evidence, starts_sent)
        if verdict is Verdict.ORDER_AGAIN and doubt is StartDoubt.REFUSED:
            raise _ambiguous("Its order was refused, and it looks never started", cause)
        if verdict is Verdict.AMBIGUOUS:
            raise _ambiguous(self._why(uncertain.answer, evidence, starts_sent), cause)
        return verdict is Verdict.RUNS

    def _verdict(self, uncertain: AmbiguousStart, evidence: Evidence, starts_sent: int) -> Verdict:
        """What follows order number ``starts_sent``."""
        verdict = VERDICTS[uncertain.answer, evidence]
        if (
            verdict is Verdict.ORDER_AGAIN
            and starts_sent > 1
            and isinstance(uncertain.cause, AuthenticationError)
        ):
            return Verdict.RAISE_REFUSAL  # the key was refused twice, and nothing runs: it means no
        if verdict is Verdict.ORDER_AGAIN and starts_sent >= self._most:
            return Verdict.AMBIGUOUS
        if verdict is Verdict.RAISE_REFUSAL and (starts_sent > 1 or self._policy.on_ambiguous == "stop"):
            return Verdict.AMBIGUOUS  # "already executed", perhaps: an earlier order may have taken effect
        return verdict

    def _why(self, answer: StartAnswer, evidence: Evidence, starts_sent: int) -> str:
        if evidence is Evidence.TOO_FEW_CHECKS:
            return "The platform could not be asked whether it was obeyed, or shows nothing that tells"
        if evidence is Evidence.DIFFERED_UNCONFIRMED:
            return "It differed from a job never started in one look, and not in others"
        if self._policy.on_ambiguous == "stop":
            return "It looks never started, and on_ambiguous='stop' leaves it to a person"
        if answer is StartAnswer.REFUSED:
            earlier = starts_sent - 1
            return (
                f"Order {starts_sent} to start it was refused, and order {earlier} may have been obeyed late"
            )
        return f"It looks never started, after {starts_sent} orders, and no more are sent for one job"

    async def looks_started(self, job_id: str, cause: OpusError, *, doubt: StartDoubt | None = None) -> bool:
        """Whether a job shows that it was ever started, whatever the policy allows to do about it.

        Args:
            job_id: The job.
            cause: The failure of the order, for messages.
            doubt: What an earlier process learned.

        Returns:
            False when it looks never started for the whole grace.

        Raises:
            AmbiguousExecution: It cannot be known.
        """
        evidence = await self._look(job_id, AmbiguousStart(cause), 1, doubt=doubt)
        if evidence not in {Evidence.STARTED, Evidence.NOT_STARTED}:
            raise _ambiguous(self._why(StartAnswer.LOST, evidence, 1), cause)
        return evidence is Evidence.STARTED

    async def _look(
        self,
        job_id: str,
        uncertain: AmbiguousStart,
        starts_sent: int,
        *,
        doubt: StartDoubt | None = None,
        on_doubt: OnDoubt = _record_nothing,
    ) -> Evidence:
        """Look at the job until it is clear what it shows, or the time for that is up."""
        visible = self._platform.start_visible_after
        grace = max(self._policy.execute_grace, visible) * 2 ** (starts_sent - 1)
        if uncertain.answer is StartAnswer.REFUSED and starts_sent == 1:
            window = min(REFUSAL_WINDOW, self._policy.execute_grace)
            window = max(window, visible / REFUSAL_CHECK_SCHEDULE[-1])
            looks = [share * window for share in REFUSAL_CHECK_SCHEDULE]
        else:
            looks = [share * grace for share in CHECK_SCHEDULE]
        agreeing, slept, differed = 0, 0.0, doubt is StartDoubt.DIFFERED
        for number, moment in enumerate(self._check_times(looks, grace), 1):
            await self._sleep(moment - slept)
            slept = moment
            seen = await self._check(job_id, uncertain)
            while seen is StartCheck.NO_EVIDENCE_YET:  # the clock of the grace stands still
                await self._sleep(_recheck_delay(grace))
                seen = await self._check(job_id, uncertain)
            if seen is StartCheck.RUNNING:
                return Evidence.STARTED
            if seen is StartCheck.DIFFERENT and not differed:
                differed = True
                await on_doubt(StartDoubt.DIFFERED)
            agreeing += seen is StartCheck.NOT_STARTED
            if differed and number >= len(looks) + CHECKS_AFTER_DIFFERENCE:
                break
            enough = number >= len(looks) and agreeing >= CHECKS_REQUIRED
            if enough and not differed and seen is StartCheck.NOT_STARTED:
                return Evidence.NOT_STARTED
        return Evidence.DIFFERED_UNCONFIRMED if differed else Evidence.TOO_FEW_CHECKS

    async def _check(self, job_id: str, uncertain: AmbiguousStart) -> StartCheck:
        try:
            return await self._platform.check_started(job_id)
        except OpusError as error:
            if isinstance(error, AuthenticationError) and isinstance(uncertain.cause, type(error)):
                raise uncertain.cause from None  # a key that is refused for a look was refused for the order
            why = gapped("The platform cannot be asked any more ({})", error.message)
            raise _ambiguous(why, uncertain.cause) from error

    def _check_times(self, looks: Sequence[float], grace: float) -> list[float]:
        """When to look, in seconds from now; with further looks in case some fail."""
        moments = list(looks)
        step = _recheck_delay(grace)
        while moments[-1] < grace + self._policy.max_elapsed:
            moments.append(moments[-1] + step)
        return moments


def _recheck_delay(grace: float) -> float:
    return max(grace / CHECKS_REQUIRED, RECHECK_DELAY)


def _ambiguous(why: str, cause: OpusError) -> AmbiguousExecution:
    return AmbiguousExecution(
        gapped(
            "It cannot be known whether the job was started. {}. Look at it in the platform before running "
            "it again: a second run that completes is billed again. The failure was: {}",
            why if isinstance(why, Gapped) else gapped(literal(why)),
            cause,
        ),
        cause=cause,
    )
