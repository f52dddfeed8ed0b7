"""How jobs stand, counted from events, for displays: losing all of it loses nothing of a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from opus_async.config import Limits
from opus_async.events import Event, HostTroubled, JobStageChanged, RequestKind, RequestRetried, RequestSent
from opus_async.metrics.bottleneck import Bottleneck, BottleneckInputs, Bounds, bottleneck
from opus_async.metrics.counts import Counts
from opus_async.metrics.event_counts import EventCounts
from opus_async.metrics.jobs_by_stage import COMPLETED, JobsByStage
from opus_async.metrics.outages import HostOutage, HostOutages, PollAnswers
from opus_async.metrics.request_queue import RequestQueue
from opus_async.metrics.throughput import Rates, RecentTotals, Totals
from opus_async.metrics.traffic import Traffic
from opus_async.stages import DONE


class Progress:
    """A listener that counts jobs by stage, bytes, requests and retries.

    Once it follows a batch, its totals are those of the whole batch, earlier sessions included; stages,
    bytes, requests and retries are those of this session.

    Args:
        stages: The platform's stage names, in order.
        total: Rows in all; None when that is not known yet.
        clock: Gives the time in seconds, from any beginning.

    Attributes:
        stages: The platform's stage names, in order.
        preparing: What is done before the first row is begun, in words; empty from then on.
        attached: Whether it follows a batch: then rows are being run.
        on_begin: Called when it begins to follow one.
        why_ending: Tells why no more rows are begun, in words; empty when nobody says so.
        to_do: Rows that were left when this session began; None when that is not known.
        left_stage: Stage -> jobs that have left it for the next, or as completed.
        in_stage: Stage -> jobs that are in it now.
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
        self.attached = False
        self.on_begin: Callable[[], None] = lambda: None
        self.why_ending: Callable[[], str] = lambda: ""
        self.to_do = total
        self._traffic = Traffic()
        self._jobs = JobsByStage()
        self.left_stage, self.in_stage = self._jobs.left_stage, self._jobs.in_stage
        self.requests, self.retries = self._traffic.requests, self._traffic.retries
        self._total = total
        self._bounds = Bounds()
        self._limits = Limits()
        self._ended = Counts()  # of this session, as long as no batch is followed
        self._counts: Callable[[], Counts] = lambda: self._ended
        self._admitting: Callable[[], bool] = lambda: True
        self._unknown_before = 0
        self._clock = clock
        self._polls = PollAnswers(clock)
        self._outages = HostOutages(clock)
        self._queue = RequestQueue(clock)
        self._begin()

    def attach(
        self,
        *,
        stages: Sequence[str],
        counts: Callable[[], Counts],
        admitting: Callable[[], bool],
        bounds: Bounds,
        limits: Limits,
    ) -> None:
        """Follow a session of a batch, which begins now.

        Args:
            stages: The platform's stage names, in the order of :class:`opus_async.platform.Stages`.
            counts: Tells how many rows of the whole batch are in each state; called often.
            admitting: Tells whether rows may still be begun.
            bounds: What the run was told to keep to.
            limits: What the client was told to keep to.
        """
        self.stages = tuple(stages)
        self.preparing = ""
        self.attached = True
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
        self._traffic.add(counts)
        self.left_stage.update(counts.left_stage)

    def counted(self) -> EventCounts:
        """All that was counted so far, for :meth:`add` in another process."""
        return EventCounts(
            requests=dict(self.requests),
            api_requests=self._traffic.api_requests,
            throttled_responses=self._traffic.throttled_responses,
            retries=dict(self.retries),
            sent_bytes=self.sent_bytes,
            left_stage=dict(self.left_stage),
        )

    def __call__(self, event: Event) -> None:
        """Count one event."""
        self._traffic(event)
        if isinstance(event, JobStageChanged):
            self._jobs.move(event)
            if event.stage == DONE:
                self._count_end(completed=event.status == COMPLETED)
        elif isinstance(event, HostTroubled):
            self._outages.add(event)
        elif isinstance(event, RequestSent | RequestRetried):
            self._queue.add(event)
            if isinstance(event, RequestSent) and event.kind is RequestKind.POLL:
                self._polls.add(event.status)

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
        """Jobs that are known to have ended; unknown ones, which a resume looks at again, do not count."""
        return self.completed + self.failed

    @property
    def waiting(self) -> int:
        """Jobs that are parked until a person acts."""
        return self._counts().waiting

    @property
    def in_flight(self) -> int:
        """Jobs between their first stage and their end, parked ones not counted."""
        return self._jobs.in_flight

    @property
    def sent_bytes(self) -> int:
        """Bytes of files, repeated attempts included."""
        return self._traffic.sent_bytes

    @property
    def ending(self) -> bool:
        """Whether no more rows are begun, although some are left."""
        return not self._admitting()

    @property
    def throttled(self) -> int:
        """Attempts that were turned away with 429 and followed by another."""
        return self._traffic.throttled

    @property
    def outages(self) -> list[HostOutage]:
        """The hosts that give no good answer, the one that has been silent for the longest time first."""
        return self._outages.now()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning of the session."""
        return self._clock() - self._began

    def rates(self) -> Rates:
        """How fast it goes now; to be called at every drawing, as what it was then is kept."""
        return self._recent.rates(self._totals(), to_do=self.to_do or 0, rest=self._rest())

    def bottleneck(self) -> Bottleneck | None:
        """What limits the batch now; None when nothing does, or no batch is followed."""
        if not self.attached or self.ending:
            return None
        rates, counts, outages, queued = self.rates(), self._counts(), self.outages, self._queue.now()
        now = BottleneckInputs(
            in_flight=self.in_flight,
            preparing=self._in_stage(1),
            at_work=self._in_stage(4),
            planned=max(counts.planned - self._unordered(), 0),
            waiting=counts.waiting,
            requests=rates.requests,
            throttled_share=rates.throttled_share,
            sent=rates.bytes,
            queued=queued.all,
            queued_polls=queued.polls,
            slowed=self._queue.slowed,
            polls=self._polls.rate(),
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
            api=self._traffic.api_requests,
            throttled=self._traffic.throttled_responses,
        )

    def _rest(self) -> int:
        """Jobs whose end can still be waited for; 0 when their number is not known, or none are begun."""
        if self._total is None or self.ending:
            return 0
        given_up = max(self.unknown - self._unknown_before, 0)  # those from before are looked at again
        return self._total - self.done - self.waiting - given_up

    def _in_stage(self, place: int) -> int:
        return self.in_stage[self.stages[place]] if place < len(self.stages) else 0

    def _unordered(self) -> int:
        """Rows in flight that the ledger counts as planned, because nothing of them was ordered yet."""
        return sum(self._in_stage(place) for place in range(3))

    def _count_end(self, *, completed: bool) -> None:
        before = self._ended
        self._ended = Counts(completed=before.completed + completed, failed=before.failed + (not completed))
