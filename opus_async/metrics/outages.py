"""Keeps which hosts do not answer, from events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opus_async.events import HostState, HostTroubled


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
