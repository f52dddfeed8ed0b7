"""How jobs stand, counted from events, for displays: losing all of it loses nothing of a job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from opus_async.config import Limits
from opus_async.events import (
    Event,
    HostTroubled,
    JobStageChanged,
    RequestRetried,
    RequestSent,
    UploadProgress,
)
from opus_async.metrics.bottleneck import Bottleneck, BottleneckInputs, Bounds, bottleneck
from opus_async.metrics.counts import Counts
from opus_async.metrics.event_counts import EventCounts
from opus_async.metrics.jobs_by_stage import JobsByStage
from opus_async.metrics.outages import HostOutage, HostOutages
from opus_async.metrics.recent_failures import RecentFailures
from opus_async.metrics.throughput import Rates, RecentTotals, Totals
from opus_async.metrics.traffic import Traffic

RARE: Final[frozenset[type]] = frozenset({HostTroubled, RequestRetried, UploadProgress})
"""The events that a :class:`Progress` is to be told of where it is a meter as well."""


class Progress:
    """Counts jobs by stage, bytes, requests and retries: a listener, or a meter that listens to :data:`RARE`.

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
        to_do: Rows that were left for this session when it began; None when that is not known.
        failures: The latest rows that failed in this session, by reason.
        until_ordered: Whether a row is done with once it is ordered.
        retries: Cause -> attempts that failed and were followed by another.
        answered: Counts an answer: :meth:`.traffic.Traffic.answered` itself, as one call for each is enough.
            A subclass cannot override it.
        stage_changed: Counts a stage: :meth:`.jobs_by_stage.JobsByStage.stage_changed` itself, in the same
            way.
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
        self._traffic = Traffic(clock)
        self._jobs = JobsByStage(clock)
        self.answered, self.stage_changed = self._traffic.answered, self._jobs.stage_changed
        self.retries = self._traffic.retries
        self.failures = RecentFailures()
        self.until_ordered = False
        self._left_out = 0
        self._total = total
        self._bounds = Bounds()
        self._limits = Limits()
        self._counts: Callable[[], Counts] = self._ended
        self._admitting: Callable[[], bool] = lambda: True
        self._unknown_before = 0
        self._clock = clock
        self._outages = HostOutages(clock)
        self._begin()

    def attach(
        self,
        *,
        stages: Sequence[str],
        counts: Callable[[], Counts],
        admitting: Callable[[], bool],
        bounds: Bounds,
        limits: Limits,
        limit: int | None = None,
        until_ordered: bool = False,
    ) -> None:
        """Follow a session of a batch, which begins now.

        Args:
            stages: The platform's stage names, in the order of :class:`opus_async.platform.Stages`.
            counts: Tells how many rows of the whole batch are in each state; called often.
            admitting: Tells whether rows may still be begun.
            bounds: What the run was told to keep to.
            limits: What the client was told to keep to.
            limit: Rows that this session begins at most; None for all.
            until_ordered: Whether it is done with a row once that is ordered.
        """
        self.stages = tuple(stages)
        self.preparing = ""
        self.attached = True
        self._counts, self._admitting = counts, admitting
        self._bounds, self._limits = bounds, limits
        now = counts()
        self._total = now.total
        self._unknown_before = now.unknown
        self._left_out = 0 if limit is None else max(now.planned - limit, 0)
        self.until_ordered = until_ordered
        self.to_do = now.total - self._left_out - self.reached
        self._begin()
        self.on_begin()

    def add(self, counts: EventCounts) -> None:
        """Add what was counted in another process, whose events do not come here."""
        self._traffic.add(counts)
        self._jobs.add_left(counts.left_stage)

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
        if isinstance(event, JobStageChanged):
            self.stage_changed(event.index, event.stage, event.status)
        elif isinstance(event, RequestSent):
            self.answered(event.operation, event.kind, event.status, event.waited, event.seconds)
        elif isinstance(event, UploadProgress):
            self._traffic.sent(event)
        elif isinstance(event, RequestRetried):
            self._traffic.retried(event)
        elif isinstance(event, HostTroubled):
            self._outages.add(event)

    def paused(self, seconds: float) -> None:
        """Take nothing of it: the answer was counted."""

    @property
    def total(self) -> int | None:
        """Rows in all; None when that is not known yet."""
        return self._total

    @property
    def target(self) -> int | None:
        """Rows in all without those that this session is not to begin; None when that is not known yet."""
        return None if self._total is None else self._total - self._left_out

    @property
    def reached(self) -> int:
        """Rows that are done with: that have ended, or are ordered where no more is wanted of them."""
        counts = self._counts()
        return self.done + (counts.running + counts.waiting if self.until_ordered else 0)

    @property
    def not_begun(self) -> int:
        """Rows that this session has still to begin."""
        return max(self._counts().planned - self._left_out - self._unordered(), 0)

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
    def left_stage(self) -> Counter[str]:
        """Stage -> jobs that have left it for the next, or as completed."""
        return Counter(self._jobs.left_stage)

    @property
    def in_stage(self) -> Counter[str]:
        """Stage -> jobs that are in it now."""
        return Counter(self._jobs.in_stage)

    @property
    def requests(self) -> Counter[str]:
        """Operation -> requests that were answered."""
        return Counter(self._traffic.requests)

    @property
    def sent_bytes(self) -> int:
        """Bytes of files, repeated attempts included."""
        return self._traffic.sent_bytes

    @property
    def attempts(self) -> int:
        """Requests that were sent, repeated attempts included."""
        return self._traffic.attempts

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
        rates = self._recent.rates(self._totals(), to_do=self.to_do or 0, rest=self._rest())
        if rates.left is None or self.not_begun or not self.attached:
            return rates
        # All are begun, and from here on ever fewer end: no pace of before tells how long the last one takes.
        tail = self._jobs.run_times.left()
        return rates if tail is None else replace(rates, left=rates.left.or_longer(tail))

    def bottleneck(self) -> Bottleneck | None:
        """What limits the batch now; None when nothing does, or no batch is followed."""
        if not self.attached or self.ending:
            return None
        rates, counts, outages, queued = self.rates(), self._counts(), self.outages, self._traffic.queued()
        now = BottleneckInputs(
            in_flight=self.in_flight,
            preparing=self._in_stage(1),
            at_work=self._in_stage(4),
            planned=self.not_begun,
            waiting=counts.waiting,
            requests=rates.requests,
            throttled_share=rates.throttled_share,
            sent=rates.bytes,
            queued=queued.all,
            queued_polls=queued.polls,
            on_wire=queued.wire,
            slowed=self._traffic.slowed,
            polls=self._traffic.poll_rate(),
            outage=outages[0] if outages else None,
            failed_polls=self._traffic.failed_polls(),
        )
        return bottleneck(now, self._bounds, self._limits)

    def _begin(self) -> None:
        self._began = self._clock()
        self._recent = RecentTotals(self._totals())

    def _totals(self) -> Totals:
        return Totals(
            at=self._clock(),
            ended=self.reached,
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
        waiting = 0 if self.until_ordered else self.waiting
        return self._total - self._left_out - self.reached - waiting - given_up

    def _in_stage(self, place: int) -> int:
        return self._jobs.in_stage.get(self.stages[place], 0) if place < len(self.stages) else 0

    def _unordered(self) -> int:
        """Rows in flight that the ledger counts as planned, because nothing of them was ordered yet."""
        return sum(self._in_stage(place) for place in range(3))

    def _ended(self) -> Counts:
        """Jobs of this session: the counts as long as no batch is followed."""
        return Counts(completed=self._jobs.completed, failed=self._jobs.not_completed)
