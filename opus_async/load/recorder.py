"""Records the jobs of a run: by the lifecycle's own times and outcomes, and by the events of requests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from opus_async.errors import OpusError
from opus_async.events import Event, RequestRetried, RequestSent
from opus_async.load.job_record import JobRecord
from opus_async.load.level import LevelMeter
from opus_async.load.metric import E2E_INTENDED, E2E_SERVICE
from opus_async.load.stages import QUEUE_RUN, LoadStages
from opus_async.load.throttling import ThrottlingMeter
from opus_async.load.values import DropReason, Sample
from opus_async.metrics.failure_groups import group_key
from opus_async.metrics.histogram import Histogram
from opus_async.outcome import JobOutcome
from opus_async.stages import CLIENT_WAIT


class Recorder:
    """Records one run. It begins when it is made; times that it gives are seconds from then on.

    Args:
        stages: The stages of the platform's jobs.
        warm_up: Seconds from the beginning that are left out of all latency figures.
        clock: Gives the time in seconds of :func:`time.monotonic`.

    Attributes:
        samples: The jobs that have ended, in the order of their ends.
        lateness: By how many seconds jobs were started later than they were meant to.
        level: How many jobs were in flight, over time.
        running: Key of its request -> the record of a job that has not ended.
        drops: When each dropped arrival was due, and why it was dropped.
        failures: Cause -> jobs that failed, or of which it is not known how they ended.
        unknown: How many of these are of the second kind.
        completed: Jobs that completed.
        latency: Series or stage -> its times, of the jobs that are measured.
        detect_lag: The bounds of the same jobs.
        throttling: What the platform's rate limit did.
    """

    def __init__(
        self, stages: LoadStages, *, warm_up: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.samples: list[Sample] = []
        self.lateness = Histogram()
        self.running: dict[str, JobRecord] = {}
        self.drops: list[tuple[float, DropReason]] = []
        self.failures: Counter[str] = Counter()
        self.unknown = 0
        self.completed = 0
        self.latency = {name: Histogram() for name in (E2E_INTENDED, E2E_SERVICE, *stages.names)}
        self.detect_lag = Histogram()
        self.throttling = ThrottlingMeter()
        self.level = LevelMeter()
        self._stages = stages
        self._warm_up = warm_up
        self._clock = clock
        self._parts = frozenset(stages.of_platform.parts)
        self.begin()

    def begin(self) -> None:
        """Begin the run now."""
        self.origin = self._clock()
        self.epoch = time.time()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self.origin

    @property
    def in_flight(self) -> int:
        """Jobs that were started and have not ended."""
        return len(self.running)

    @property
    def failed(self) -> int:
        """Jobs that are known to have ended badly, or never to have run."""
        return len(self.samples) - self.completed - self.unknown

    @property
    def started(self) -> int:
        """Jobs that were started."""
        return len(self.samples) + len(self.running)

    @property
    def offered(self) -> int:
        """Arrivals whose moment has come."""
        return self.started + len(self.drops)

    def __call__(self, event: Event) -> None:
        """Take an event of a request."""
        if isinstance(event, RequestSent):
            self.throttling.sent(event)
            if event.operation in self._parts and event.key is not None:
                record = self.running.get(event.key)
                if record is not None:
                    record.add_part(event.monotonic, event.seconds)
        elif isinstance(event, RequestRetried):
            self.throttling.retried(event)

    def dropped(self, intended: float, reason: DropReason) -> None:
        """Record an arrival that is not started."""
        self.drops.append((intended, reason))

    def opened(self, key: str, index: int, intended: float) -> JobRecord:
        """Record that a job is started now; returns its journal.

        Args:
            key: Of its request.
            index: Its place among the arrivals.
            intended: When it was meant to start.
        """
        record = self.running[key] = JobRecord(index, self.origin + intended, self._clock)
        self.level.change(self.now, len(self.running))
        return record

    def begun(self, record: JobRecord) -> None:
        """Record that a job has its turn: from here on it does something."""
        record.started = self._clock()
        self.lateness.record(record.started - record.intended)

    def ended(self, key: str, outcome: JobOutcome) -> Sample:
        """Record how a job ended."""
        record = self._closed(key)
        now = self._clock()
        stages = self._split(record, outcome.timings, now)
        ended = outcome.status is not None and outcome.status.is_terminal
        measured = outcome.ok and record.intended - self.origin >= self._warm_up
        sample = self._sample(record, outcome.status, stages, now, outcome.detect_lag, measured=measured)
        if outcome.ok:
            self.completed += 1
        else:
            self._count_failure(outcome.error, known=ended)
        if measured:
            self._measure(sample)
        return sample

    def failed_with(self, key: str, error: OpusError) -> Sample:
        """Record that no terminal status of a job is known; one that was never ordered has failed."""
        record = self._closed(key)
        self._count_failure(error, known=not record.ordered)
        return self._sample(record, None, {}, self._clock(), None, measured=False)

    def given_up(self, key: str) -> None:
        """Record that a job is not waited for any more."""
        record = self._closed(key)
        if record.ordered:
            self.failures["not waited for"] += 1
            self.unknown += 1
            self._sample(record, None, {}, self._clock(), None, measured=False)
        else:
            self.drops.append((record.intended - self.origin, DropReason.INTERRUPTED))

    def _closed(self, key: str) -> JobRecord:
        record = self.running.pop(key)
        self.level.change(self.now, len(self.running))
        return record

    def _sample(
        self,
        record: JobRecord,
        status: str | None,
        stages: Mapping[str, float],
        now: float,
        detect_lag: float | None,
        *,
        measured: bool,
    ) -> Sample:
        origin = self.origin
        sample = Sample(
            index=record.index,
            job_id=record.job_id,
            status=None if status is None else str(status),
            intended=record.intended - origin,
            started=record.started - origin,
            ended=now - origin,
            stages=stages,
            detect_lag=detect_lag,
            measured=measured,
        )
        self.samples.append(sample)
        return sample

    def _split(self, record: JobRecord, timings: Mapping[str, float], now: float) -> dict[str, float]:
        """The time from the intended start to now, by stages; what is in no other is the client's wait.

        How long the platform queued and ran the job is told by the clock and not by the timings: these leave
        out for how long the poll that saw the end waited for its turn, when the job may have run on.
        """
        names = self._stages.of_platform
        prepare = timings.get(names.prepare, 0.0)
        parts = min(record.parts, prepare)
        spent = dict.fromkeys(names.parts.values(), parts)
        spent[names.prepare] = prepare - parts
        spent[names.create] = timings.get(names.create, 0.0)
        spent[names.start] = timings.get(names.start, 0.0)
        spent[QUEUE_RUN] = 0.0 if record.accepted is None else (record.seen_ended or now) - record.accepted
        spent[names.collect] = timings.get(names.collect, 0.0)
        rest = now - record.intended - sum(spent.values())
        return {CLIENT_WAIT: max(rest, 0.0), **spent}

    def _count_failure(self, error: OpusError | None, *, known: bool) -> None:
        self.failures["" if error is None else group_key(error)] += 1
        if not known:
            self.unknown += 1

    def _measure(self, sample: Sample) -> None:
        latency = self.latency
        latency[E2E_INTENDED].record(sample.ended - sample.intended)
        latency[E2E_SERVICE].record(sample.ended - sample.started)
        for name, seconds in sample.stages.items():
            latency[name].record(seconds)
        if sample.detect_lag is not None:
            self.detect_lag.record(sample.detect_lag)
