"""How far the platform's rate limit shaped a run: its 429s, and for how long they made the client pause.

Time that requests waited for a bound of this client is none of it; that is in ``client_wait`` alone.
"""

from __future__ import annotations

from http import HTTPStatus

from opus_async.events import FailureClass, RequestRetried, RequestSent


class ThrottlingMeter:
    """Counts answers, and adds up pauses; told events by the recorder.

    Attributes:
        answers: Requests that were answered.
        throttled: Of these, with 429.
        at: When each 429 came, in seconds of :func:`time.monotonic`.
        paused: Seconds for which all requests paused because of a 429.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.throttled = 0
        self.at: list[float] = []
        self.paused = 0.0
        self._paused_until = 0.0

    def sent(self, event: RequestSent) -> None:
        """Count an answer."""
        self.answers += 1
        if event.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.throttled += 1
            self.at.append(event.monotonic)

    def retried(self, event: RequestRetried) -> None:
        """Count the pause behind a 429, but what it has in common with earlier ones."""
        if event.failure is FailureClass.THROTTLED:
            begun = max(event.monotonic, self._paused_until)
            until = event.monotonic + event.wait
            if until > begun:
                self.paused += until - begun
                self._paused_until = until

    @property
    def share(self) -> float:
        """The share of 429s among all answers."""
        return self.throttled / self.answers if self.answers else 0.0
