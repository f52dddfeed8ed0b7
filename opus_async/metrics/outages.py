"""Counts hosts that do not answer, and polls that are answered with an error, from events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from opus_async.events import HostState, HostTroubled
from opus_async.metrics.recent import RATE_WINDOW, Recent


@dataclass(frozen=True, slots=True)
class HostOutage:
    """A host that gives no good answer.

    Attributes:
        host: The name of the host.
        seconds: For how long it has given none.
        reason: The last failure, in words.
        given_up: Whether it is no longer waited for.
    """

    host: str
    seconds: float
    reason: str
    given_up: bool = False


class HostOutages:
    """Keeps which hosts give no good answer now.

    Args:
        clock: Gives the time in seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._down: dict[str, tuple[float, HostTroubled]] = {}

    def add(self, event: HostTroubled) -> None:
        """Note that a host fails, is down, given up or up again."""
        if event.state is HostState.UP:
            self._down.pop(event.host, None)
        else:
            self._down[event.host] = (self._clock() - event.seconds, event)

    def now(self) -> list[HostOutage]:
        """The hosts that give no good answer, the one that has given none for longest first."""
        now = self._clock()
        outages = [
            HostOutage(event.host, now - since, event.reason, event.state is HostState.GIVEN_UP)
            for since, event in self._down.values()
        ]
        return sorted(outages, key=lambda outage: -outage.seconds)


@dataclass(frozen=True, slots=True)
class FailedPolls:
    """Polls that were answered with an error.

    Attributes:
        number: How many, in the last :data:`RATE_WINDOW` seconds.
        status: The HTTP status that most of them got.
    """

    number: int
    status: int


class PollAnswers:
    """Counts how polls were answered in the last :data:`RATE_WINDOW` seconds.

    Args:
        clock: Gives the time in seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._recent: Recent[Counter[int]] = Recent(Counter, clock)
        """How many polls got which HTTP status."""

    def add(self, status: int) -> None:
        """Note the HTTP status of a poll."""
        self._recent.present()[status] += 1

    def rate(self) -> float:
        """Polls a second."""
        return self._answers().total() / RATE_WINDOW

    def failed(self) -> FailedPolls | None:
        """The polls that failed, when more than half did; None otherwise. 429 does not count as failed."""
        answers = self._answers()
        failed = {
            status: number
            for status, number in answers.items()
            if status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.TOO_MANY_REQUESTS
        }
        number = sum(failed.values())
        if 2 * number <= answers.total():
            return None
        return FailedPolls(number, max(failed, key=failed.__getitem__))

    def _answers(self) -> Counter[int]:
        return sum(self._recent.slots(), Counter())
