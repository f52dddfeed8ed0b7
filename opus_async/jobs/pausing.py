"""What happens when a job pauses for a person: it is waited for, handed back, or answered and resumed."""

from __future__ import annotations

import asyncio
import enum
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from opus_async.errors import OpusError
from opus_async.gaps import gapped
from opus_async.lazy_dataclass import dataclass
from opus_async.models import JobStatus
from opus_async.tasks import is_cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedJob:
    """A job that waits for a person.

    Attributes:
        remote_id: The job.
        alias: Its second id, where the platform has one.
        status: WAITING, with the platform's own word in ``raw``.
        index: The position of its row in its run.
        key: The caller's own name for the row.
    """

    remote_id: str
    alias: str | None
    status: JobStatus
    index: int
    key: str | None


class WhenPaused(enum.Enum):
    """What happens when a job pauses, where there is no function that answers it."""

    WAIT = "wait"
    """It is polled on, rarely, until a person has acted on the platform and it ends."""
    RETURN = "return"
    """Its run returns an outcome with the status WAITING and a JobPaused as its error."""


Answer: TypeAlias = Callable[[PausedJob], Awaitable[str | None] | str | None]
"""Called with a paused job, gives the text that it is resumed with; None leaves it paused, as RETURN does."""
OnPaused: TypeAlias = WhenPaused | Answer


async def answer_from(answer: Answer, job: PausedJob) -> str | None:
    """Call the function that answers a paused job, sync or async.

    Raises:
        OpusError: It raised something; the job is still paused.
    """
    try:
        text = answer(job)
        return await text if inspect.isawaitable(text) else text
    except OpusError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        raise OpusError(
            gapped(
                f"The function that answers paused jobs raised {type(error).__name__}: {{}}. The job still "
                "waits for an answer",
                error,
            )
        ) from error
