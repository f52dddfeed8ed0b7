"""How far the platform's rate limit shaped a run: its 429s, and for how long they made the client pause.

Time that requests waited for a bound of this client is none of it; that is in ``client_wait`` alone.
"""

from __future__ import annotations

from copy import copy
from http import HTTPStatus


class ThrottlingMeter:
    """Counts answers, and adds up pauses. Times are seconds of the caller's clock.

    Attributes:
        answers: Requests that were answered.
        at: When each 429 came.
        paused: Seconds for which all requests paused because of a 429.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.at: list[float] = []
        self.paused = 0.0
        self._paused_until = 0.0

    def answered(self, status: int, now: float) -> None:
        """Count an answer."""
        self.answers += 1
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.at.append(now)

    def pause(self, seconds: float, now: float) -> None:
        """Count a pause, but what it has in common with earlier ones."""
        begun = max(now, self._paused_until)
        if now + seconds > begun:
            self.paused += now + seconds - begun
            self._paused_until = now + seconds

    def copy(self) -> ThrottlingMeter:
        """Another meter of the same answers and pauses."""
        twin = copy(self)
        twin.at = self.at.copy()
        return twin

    @property
    def throttled(self) -> int:
        """Answers with 429."""
        return len(self.at)

    @property
    def share(self) -> float:
        """The share of 429s among all answers."""
        return self.throttled / self.answers if self.answers else 0.0
