"""What runs now, counted from events. For eyes only: losing all of it loses nothing of a job."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opus_async.config import Limits
from opus_async.events import (
    Event,
    HostTroubled,
    JobStageChanged,
    RequestRetried,
    RequestSent,
    UploadProgress,
)
from opus_async.metrics.bottleneck import (
    LOOKS_BACK,
    BottleneckInputs,
    Bounds,
    FailedPolls,
    HostOutage,
    bottleneck,
)
from opus_async.metrics.counts import Counts

DONE = "done"
PARKED = "parked"
COMPLETED = "COMPLETED"
_TOLD_APART = 0.2
"""Seconds between two moments that are kept: rates do not need each drawing."""
_MOST = 300.0
"""Seconds that the time left is judged by, at most: what was an hour ago says little of the next."""
_STEADY = 1.15
"""How much the rates of the whole of that time and of its last third may differ to be one figure."""
_TELLING = 0.03
"""Share of the jobs that must have ended before their rate tells anything of the rest."""
_TO_STORAGE = frozenset({"put", "get"})
"""Operations that are no requests of the API, and held by other limits."""
_LOOK = "status"
_TURNED_AWAY = 429
_REFUSED = 400
"""The first HTTP status that says nothing of a job."""


class Progress:
    """A listener that counts jobs by stage, bytes, requests and retries.

    Once it follows a batch, its totals are those of the whole batch, earlier sessions included; stages,
    bytes, requests and retries are those of this session.

    Args:
        stages: The platform's stage names, in order.
        total: Rows in all; None when that is not known yet.
        clock: Seconds.

    Attributes:
        preparing: What is done before the first row is begun, in words; empty from then on.
        following: Whether it follows a batch: then rows are being run.
        on_begin: Called when it begins to follow one.
        why_ending: Why no more rows are begun, in words; empty when nobody says so.
        to_do: Rows that were left when this session began; None when that is not known.
        passed: Stage -> jobs that have left it for the next.
        inside: Stage -> jobs that are in it now.
        sent_bytes: Of files, repeated attempts included.
        requests: Operation -> requests that were answered.
        retries: Reason -> attempts that failed and were followed by another.
    """

    def __init__(
        self,
        stages: Sequence[str] = (),
        total: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stages = tuple(stages)
        self.preparing = ""
        self.following = False
        self.on_begin: Callable[[], None] = lambda: None
        self.why_ending: Callable[[], str] = lambda: ""
        self.to_do = total
        self.passed: Counter[str] = Counter()
        self.inside: Counter[str] = Counter()
        self.sent_bytes = 0
        self.requests: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self._total = total
        self._bounds = Bounds()
        self._limits = Limits()
        self._ended = Counts()  # of this session, as long as no batch is followed
        self._counts: Callable[[], Counts] = lambda: self._ended
        self._admitting: Callable[[], bool] = lambda: True
        self._turned_away = 0
        self._unknown_before = 0
        self._looks: deque[tuple[float, int]] = deque()  # when and how those at jobs were answered
        self._clock = clock
        self._stage_of: dict[int, str] = {}  # of jobs in flight only
        self._sent_of: dict[str, int] = {}  # of files on the wire only
        self._troubles: dict[str, tuple[float, str]] = {}
        self._begin()

    def follow(
        self,
        *,
        stages: Sequence[str],
        counts: Callable[[], Counts],
        admitting: Callable[[], bool],
        bounds: Bounds,
        limits: Limits,
    ) -> None:
        """A session of a batch begins.

        Args:
            stages: The platform's stage names, in the order of :class:`opus_async.platform.Stages`.
            counts: How many rows of the whole batch are in each state; cheap.
            admitting: Whether rows may still be begun.
            bounds: Of the run.
            limits: Of the client.
        """
        self.stages = tuple(stages)
        self.preparing = ""
        self.following = True
        self._counts, self._admitting = counts, admitting
        self._bounds, self._limits = bounds, limits
        now = counts()
        self._total = now.total
        self._unknown_before = now.unknown
        self.to_do = now.total - self.done
        self._begin()
        self.on_begin()

    def __call__(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, UploadProgress):
            self._count_bytes(event)
        elif isinstance(event, RequestSent):
            self.requests[event.operation] += 1
            self._turned_away += event.status == _TURNED_AWAY
            if event.operation == _LOOK:
                self._note_look(event.status)
        elif isinstance(event, RequestRetried):
            self.retries[reason_class(event.reason)] += 1
        elif isinstance(event, JobStageChanged):
            self._move(event)
        elif isinstance(event, HostTroubled):
            self._note(event)

    @property
    def total(self) -> int | None:
        """Rows in all; None when that is not known yet."""
        return self._total

    @property
    def completed(self) -> int:
        """Jobs that ended as COMPLETED."""
        return self._counts().completed

    @property
    def failed(self) -> int:
        """Jobs that are known to have ended in any other way."""
        counts = self._counts()
        return counts.not_completed - counts.unknown

    @property
    def unknown(self) -> int:
        """Jobs of which nobody can tell how they ended; a resume looks at them again."""
        return self._counts().unknown

    @property
    def done(self) -> int:
        """Jobs of which it is known how they ended: it never falls, as unknown ones are looked at again."""
        return self.completed + self.failed

    @property
    def waiting(self) -> int:
        """Jobs that are parked until a person acts."""
        return self._counts().waiting

    @property
    def in_flight(self) -> int:
        """Jobs between their first stage and their end, parked ones not counted."""
        return len(self._stage_of)

    @property
    def ending(self) -> bool:
        """Whether no more rows are begun, although some are left."""
        return not self._admitting()

    @property
    def throttled(self) -> int:
        """Attempts that were turned away with 429 and followed by another."""
        return sum(number for reason, number in self.retries.items() if "429" in reason)

    @property
    def troubles(self) -> list[HostOutage]:
        """The hosts that give no good answer, the one that has been silent for the longest time first."""
        now = self._clock()
        troubles = [HostOutage(host, now - since, reason) for host, (since, reason) in self._troubles.items()]
        return sorted(troubles, key=lambda trouble: -trouble.seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning of the session."""
        return self._clock() - self._began

    def rates(self) -> Rates:
        """How fast it goes now; call it at every drawing."""
        now = self._moment()
        then = self._at(now.at - LOOKS_BACK)
        seconds = max(now.at - then.at, 1e-9)
        answered = now.answered - then.answered
        if now.at - self._moments[-1].at >= _TOLD_APART:
            self._moments.append(now)
            while now.at - self._moments[1].at >= _MOST:
                self._moments.popleft()
        return Rates(
            jobs=max(now.done - then.done, 0) / seconds,
            bytes=(now.sent - then.sent) / seconds,
            requests=(now.api - then.api) / seconds,
            turned_away=(now.turned_away - then.turned_away) / answered if answered else 0.0,
            left=self._left(now),
        )

    def bottleneck(self) -> str:
        """What limits the batch now, in a few words; empty when nothing does, or no batch is run on."""
        if not self.following or self.ending:
            return ""
        rates, counts, troubles = self.rates(), self._counts(), self.troubles
        now = BottleneckInputs(
            in_flight=self.in_flight,
            preparing=self._inside(1),
            at_work=self._inside(4),
            planned=max(counts.planned - self._unordered(), 0),
            waiting=counts.waiting,
            requests=rates.requests,
            turned_away=rates.turned_away,
            sent=rates.bytes,
            trouble=troubles[0] if troubles else None,
            unread=self._unread(),
        )
        return bottleneck(now, self._bounds, self._limits)

    def _begin(self) -> None:
        self._began = self._clock()
        self._first = self._moment()
        self._moments = deque([self._first])

    def _moment(self) -> _Moment:
        return _Moment(
            at=self._clock(),
            done=self.done,
            sent=self.sent_bytes,
            answered=self.requests.total(),
            api=sum(number for name, number in self.requests.items() if name not in _TO_STORAGE),
            turned_away=self._turned_away,
        )

    def _at(self, at: float) -> _Moment:
        """The last moment kept that is no later than this; the first, if none is."""
        return next((kept for kept in reversed(self._moments) if kept.at <= at), self._moments[0])

    def _left(self, now: _Moment) -> Left | None:
        """From the rate over minutes, and over the last third of that time."""
        if self._total is None or self.to_do is None or self.ending:
            return None
        given_up = max(self.unknown - self._unknown_before, 0)  # those from before are looked at again
        ended, rest = now.done - self._first.done, self._total - now.done - self.waiting - given_up
        if rest <= 0 or ended < 1 or ended < self.to_do * _TELLING:
            return None
        long = self._at(now.at - _MOST)
        short = self._at(now.at - (now.at - long.at) / 3)
        known = [time for then in (long, short) if (time := _needed(rest, then, now)) is not None]
        if not known:
            return None
        return Left(min(known), max(known) if len(known) > 1 else None)

    def _inside(self, place: int) -> int:
        return self.inside[self.stages[place]] if place < len(self.stages) else 0

    def _unordered(self) -> int:
        """Rows in flight that the ledger counts as planned, because nothing of them was ordered yet."""
        return sum(self._inside(place) for place in range(3))

    def _move(self, event: JobStageChanged) -> None:
        before = self._stage_of.pop(event.index, None)
        if before is not None:
            self.inside[before] -= 1
        if event.stage == PARKED:
            return
        if event.stage == DONE:
            self._end(event, before)
            return
        if before is not None:
            self.passed[before] += 1
        self._stage_of[event.index] = event.stage
        self.inside[event.stage] += 1

    def _end(self, event: JobStageChanged, before: str | None) -> None:
        completed = event.status == COMPLETED
        so_far = self._ended
        self._ended = Counts(completed=so_far.completed + completed, failed=so_far.failed + (not completed))
        if completed and before is not None:
            self.passed[before] += 1

    def _note(self, event: HostTroubled) -> None:
        if event.down:
            self._troubles[event.host] = (self._clock() - event.seconds, event.reason)
        else:
            self._troubles.pop(event.host, None)

    def _note_look(self, status: int) -> None:
        now = self._clock()
        self._looks.append((now, status))
        while self._looks[0][0] < now - LOOKS_BACK:
            self._looks.popleft()

    def _unread(self) -> FailedPolls | None:
        """The looks at jobs that told nothing, when most of the latest did not; 429 is told on its own."""
        since = self._clock() - LOOKS_BACK
        answers = Counter(status for at, status in self._looks if at >= since)
        refused = {
            status: number
            for status, number in answers.items()
            if status >= _REFUSED and status != _TURNED_AWAY
        }
        number = sum(refused.values())
        if 2 * number <= answers.total():
            return None
        return FailedPolls(number, max(refused, key=refused.__getitem__))

    def _count_bytes(self, event: UploadProgress) -> None:
        before = self._sent_of.pop(event.filename, 0)
        self.sent_bytes += event.sent - before if event.sent >= before else event.sent
        if event.sent < event.size:
            self._sent_of[event.filename] = event.sent


@dataclass(frozen=True, slots=True)
class Left:
    """How long it will still take, as far as can be told.

    Attributes:
        least: Seconds.
        most: Seconds; None when nobody can say, because nothing has ended of late.
    """

    least: float
    most: float | None

    @property
    def steady(self) -> bool:
        """Whether it is one figure, give or take."""
        return self.most is not None and self.most <= self.least * _STEADY


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast it goes now.

    Attributes:
        jobs: Jobs that end, per second.
        bytes: Bytes of files, per second.
        requests: Requests of the API that are answered, per second.
        turned_away: Share of 429 among all answers, 0 to 1.
        left: Until all but the jobs that wait for a person have ended; None when that cannot be said.
    """

    jobs: float
    bytes: float
    requests: float
    turned_away: float
    left: Left | None


@dataclass(frozen=True, slots=True)
class _Moment:
    """What was counted by then."""

    at: float
    done: int
    sent: int
    answered: int
    api: int
    turned_away: int


def _needed(rest: int, then: _Moment, now: _Moment) -> float | None:
    """Seconds for so many jobs at the rate between two moments; None when none ended."""
    ended = now.done - then.done
    return rest * (now.at - then.at) / ended if ended > 0 else None


def reason_class(reason: str) -> str:
    """A retry's reason without what differs from request to request: ``broken``, ``throttled: HTTP 429``."""
    kind, _, seen = reason.partition(": ")
    return reason if seen.startswith("HTTP ") else kind
