"""What runs now, counted from events. For eyes only: losing all of it loses nothing of a job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus

from opus_async.config import Limits
from opus_async.events import (
    Event,
    HostTroubled,
    JobStageChanged,
    RequestKind,
    RequestRetried,
    RequestSent,
    UploadProgress,
)
from opus_async.metrics.bottleneck import Bottleneck, BottleneckInputs, Bounds, bottleneck
from opus_async.metrics.counts import Counts
from opus_async.metrics.event_counts import EventCounts, RetryCause
from opus_async.metrics.outages import HostOutage, HostOutages, PollAnswers
from opus_async.metrics.throughput import Rates, RecentTotals, Totals
from opus_async.stages import DONE, PAUSED

COMPLETED = "COMPLETED"


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
        retries: Cause -> attempts that failed and were followed by another.
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
        self.retries: Counter[RetryCause] = Counter()
        self._total = total
        self._bounds = Bounds()
        self._limits = Limits()
        self._ended = Counts()  # of this session, as long as no batch is followed
        self._counts: Callable[[], Counts] = lambda: self._ended
        self._admitting: Callable[[], bool] = lambda: True
        self._api_requests = 0
        self._turned_away = 0
        self._unknown_before = 0
        self._clock = clock
        self._polls = PollAnswers(clock)
        self._outages = HostOutages(clock)
        self._stage_of: dict[int, str] = {}  # of jobs in flight only
        self._sent_of: dict[tuple[int | None, str], int] = {}  # of files on the wire only
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

    def add(self, counts: EventCounts) -> None:
        """Add what was counted in another process, whose events do not come here."""
        self.requests.update(counts.requests)
        self._api_requests += counts.api_requests
        self.retries.update(counts.retries)
        self.passed.update(counts.passed)
        self.sent_bytes += counts.sent_bytes
        self._turned_away += counts.turned_away

    def counted(self) -> EventCounts:
        """All that was counted so far, for :meth:`add` in another process."""
        return EventCounts(
            requests=dict(self.requests),
            api_requests=self._api_requests,
            turned_away=self._turned_away,
            retries=dict(self.retries),
            sent_bytes=self.sent_bytes,
            passed=dict(self.passed),
        )

    def __call__(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, UploadProgress):
            self._count_bytes(event)
        elif isinstance(event, RequestSent):
            self.requests[event.operation] += 1
            self._api_requests += event.kind is not RequestKind.STORAGE
            self._turned_away += event.status == HTTPStatus.TOO_MANY_REQUESTS
            if event.kind is RequestKind.POLL:
                self._polls.add(event.status)
        elif isinstance(event, RequestRetried):
            self.retries[RetryCause(event.failure, event.status, event.code)] += 1
        elif isinstance(event, JobStageChanged):
            self._move(event)
        elif isinstance(event, HostTroubled):
            self._outages.add(event)

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
        return sum(
            number for cause, number in self.retries.items() if cause.status == HTTPStatus.TOO_MANY_REQUESTS
        )

    @property
    def outages(self) -> list[HostOutage]:
        """The hosts that give no good answer, the one that has been silent for the longest time first."""
        return self._outages.now()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning of the session."""
        return self._clock() - self._began

    def rates(self) -> Rates:
        """How fast it goes now; call it at every drawing."""
        return self._recent.rates(self._totals(), to_do=self.to_do or 0, rest=self._rest())

    def bottleneck(self) -> Bottleneck | None:
        """What limits the batch now; None when nothing does, or no batch is run on."""
        if not self.following or self.ending:
            return None
        rates, counts, outages = self.rates(), self._counts(), self.outages
        now = BottleneckInputs(
            in_flight=self.in_flight,
            preparing=self._inside(1),
            at_work=self._inside(4),
            planned=max(counts.planned - self._unordered(), 0),
            waiting=counts.waiting,
            requests=rates.requests,
            turned_away=rates.turned_away,
            sent=rates.bytes,
            outage=outages[0] if outages else None,
            failed_polls=self._polls.failed(),
        )
        return bottleneck(now, self._bounds, self._limits)

    def _begin(self) -> None:
        self._began = self._clock()
        self._recent = RecentTotals(self._totals())

    def _totals(self) -> Totals:
        return Totals(
            at=self._clock(),
            ended=self.done,
            sent=self.sent_bytes,
            answered=self.requests.total(),
            api=self._api_requests,
            turned_away=self._turned_away,
        )

    def _rest(self) -> int:
        """Jobs whose end can still be waited for; 0 when their number is not known, or none are begun."""
        if self._total is None or self.ending:
            return 0
        given_up = max(self.unknown - self._unknown_before, 0)  # those from before are looked at again
        return self._total - self.done - self.waiting - given_up

    def _inside(self, place: int) -> int:
        return self.inside[self.stages[place]] if place < len(self.stages) else 0

    def _unordered(self) -> int:
        """Rows in flight that the ledger counts as planned, because nothing of them was ordered yet."""
        return sum(self._inside(place) for place in range(3))

    def _move(self, event: JobStageChanged) -> None:
        before = self._stage_of.pop(event.index, None)
        if before is not None:
            self.inside[before] -= 1
        if event.stage == PAUSED:
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

    def _count_bytes(self, event: UploadProgress) -> None:
        file = (event.index, event.filename)
        before = self._sent_of.pop(file, 0)
        self.sent_bytes += event.sent - before if event.sent >= before else event.sent
        if event.sent < event.size:
            self._sent_of[file] = event.sent
