"""Records the jobs of a run: by the lifecycle's own times and outcomes, and by the answers to its requests.

While jobs run, it takes down what it is told and no more; samples and statistics are made of that at the end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from typing import NamedTuple

from opus_async.errors import OpusError
from opus_async.events import RequestKind, current_job
from opus_async.load.job_record import JobRecord
from opus_async.load.level import LevelMeter
from opus_async.load.stages import QUEUE_RUN, LoadStages
from opus_async.load.throttling import ThrottlingMeter
from opus_async.load.values import DropReason, Sample
from opus_async.metrics.failure_groups import group_key
from opus_async.metrics.histogram import Histogram
from opus_async.models import JobStatus
from opus_async.outcome import JobOutcome
from opus_async.stages import CLIENT_WAIT

_NOTHING: Mapping[str, float] = {}


class _Ended(NamedTuple):
    """A job that has ended, as it was taken down."""

    record: JobRecord
    status: JobStatus | None
    timings: Mapping[str, float]
    at: float
    detect_lag: float | None
    measured: bool


class Recorder:
    """Records one run. It begins when it is made; times that it gives are seconds from then on.

    Args:
        stages: The stages of the platform's jobs.
        warm_up: Seconds from the beginning that are left out of all latency figures.
        clock: Gives the time in seconds, from any beginning.

    Attributes:
        stages: As given.
        running: Key of its request -> the record of a job that has not ended.
        lateness: By how many seconds jobs were started later than they were meant to.
        e2e: Seconds from the intended start, of the jobs that are measured.
        level: How many jobs were in flight, over time.
        drops: When each dropped arrival was due, and why it was dropped.
        failures: Cause -> jobs that failed, or of which it is not known how they ended.
        unknown: How many of these are of the second kind.
        left: How many of these were ordered, and not waited for.
        completed: Jobs that completed.
        throttling: What the platform's rate limit did.
    """

    def __init__(
        self, stages: LoadStages, *, warm_up: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stages = stages
        self.running: dict[str, JobRecord] = {}
        self.lateness = Histogram()
        self.e2e = Histogram()
        self.level = LevelMeter()
        self.drops: list[tuple[float, DropReason]] = []
        self.failures: Counter[str] = Counter()
        self.unknown = self.left = 0
        self.completed = 0
        self.throttling = ThrottlingMeter()
        self._ended: list[_Ended] = []
        self._samples: list[Sample] = []
        self._warm_up = warm_up
        self._clock = clock
        self._parts = frozenset(stages.of_platform.parts)
        self.begin()

    def begin(self) -> None:
        """Begin the run now."""
        self.origin = self._clock()
        self.epoch = time.time()

    def snapshot(self, samples: list[Sample]) -> Recorder:
        """What was recorded so far, by itself: it may be read in another thread while this one goes on.

        Args:
            samples: Those of an earlier snapshot. The new ones are added to them when they are asked for, and
                not before: there may be very many.
        """
        twin: Recorder = copy(self)
        twin._samples = samples
        twin._ended, twin.drops = self._ended.copy(), self.drops.copy()
        twin.running, twin.failures = self.running.copy(), self.failures.copy()
        twin.lateness, twin.e2e = self.lateness.copy(), self.e2e.copy()
        twin.level, twin.throttling = self.level.copy(), self.throttling.copy()
        return twin

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self.origin

    @property
    def samples(self) -> list[Sample]:
        """The jobs that have ended so far, in the order of their ends."""
        self._samples += map(self._sample, self._ended[len(self._samples) :])
        return self._samples

    @property
    def in_flight(self) -> int:
        """Jobs that were started and have not ended."""
        return len(self.running)

    @property
    def failed(self) -> int:
        """Jobs that are known to have ended badly, or never to have run."""
        return len(self._ended) - self.completed - self.unknown

    @property
    def started(self) -> int:
        """Jobs that were started."""
        return len(self._ended) + len(self.running)

    @property
    def offered(self) -> int:
        """Arrivals whose moment has come."""
        return self.started + len(self.drops)

    # What it is told of requests

    def answered(
        self,
        operation: str,
        kind: RequestKind,  # noqa: ARG002 - the meter's signature
        status: int,
        waited: float,  # noqa: ARG002 - the meter's signature
        seconds: float,
    ) -> None:
        """Take down that a request was answered."""
        now = self._clock()
        self.throttling.answered(status, now)
        if operation in self._parts:
            record = self.running.get(current_job.get().key or "")
            if record is not None:
                record.add_part(now, seconds)

    def paused(self, seconds: float) -> None:
        """Take down that requests pause for so long, because of a 429."""
        self.throttling.pause(seconds, self._clock())

    def stage_changed(self, index: int, stage: str, status: str | None = None) -> None:
        """Take nothing down: the outcome of a job tells how long its stages took."""

    # What it is told of jobs

    def dropped(self, intended: float, reason: DropReason) -> None:
        """Take down an arrival that is not started."""
        self.drops.append((intended, reason))

    def opened(self, key: str, index: int, intended: float) -> JobRecord:
        """Take down that a job is started now; returns its journal.

        Args:
            key: Of its request.
            index: Its place among the arrivals.
            intended: When it was meant to start.
        """
        record = self.running[key] = JobRecord(index, self.origin + intended, self._clock)
        self.level.change(self._clock() - self.origin, len(self.running))
        return record

    def begun(self, record: JobRecord, *, was_due: bool = True) -> None:
        """Take down that a job has its turn: from here on it does something.

        Args:
            record: Of the job.
            was_due: Whether it was to start at a moment of its own; else it was meant to start now.
        """
        record.started = self._clock()
        if was_due:
            self.lateness.record(record.started - record.intended)
        else:
            record.intended = record.started

    def ended(self, key: str, outcome: JobOutcome) -> None:
        """Take down how a job ended."""
        record, now = self._closed(key)
        ok, status = outcome.ok, outcome.status
        measured = ok and record.intended - self.origin >= self._warm_up
        self._ended.append(_Ended(record, status, outcome.timings, now, outcome.detect_lag, measured))
        if ok:
            self.completed += 1
        else:
            self._count_failure(outcome.error, known=status is not None and status.is_terminal)
        if measured:
            self.e2e.record(now - record.intended)

    def failed_with(self, key: str, error: OpusError) -> None:
        """Take down that no terminal status of a job is known; one that was never ordered has failed."""
        record, now = self._closed(key)
        self._count_failure(error, known=not record.ordered)
        self._ended.append(_Ended(record, None, _NOTHING, now, None, measured=False))

    def given_up(self, key: str) -> None:
        """Take down that a job is not waited for any more."""
        record, now = self._closed(key)
        if record.ordered:
            self.failures["not waited for"] += 1
            self.unknown += 1
            self.left += 1
            self._ended.append(_Ended(record, None, _NOTHING, now, None, measured=False))
        else:
            self.drops.append((record.intended - self.origin, DropReason.INTERRUPTED))

    def _closed(self, key: str) -> tuple[JobRecord, float]:
        record, now = self.running.pop(key), self._clock()
        self.level.change(now - self.origin, len(self.running))
        return record, now

    def _count_failure(self, error: OpusError | None, *, known: bool) -> None:
        self.failures["" if error is None else group_key(error)] += 1
        if not known:
            self.unknown += 1

    # What is made of it

    def _sample(self, ended: _Ended) -> Sample:
        record, origin = ended.record, self.origin
        return Sample(
            index=record.index,
            job_id=record.job_id,
            status=None if ended.status is None else str(ended.status),
            intended=record.intended - origin,
            started=record.started - origin,
            ended=ended.at - origin,
            stages=self._split(ended) if ended.timings else _NOTHING,
            detect_lag=ended.detect_lag,
            measured=ended.measured,
        )

    def _split(self, ended: _Ended) -> dict[str, float]:
        """The time from the intended start to the end, by stages; what is in no other is the client's wait.

        How long the platform queued and ran the job is told by the clock and not by the timings: these leave
        out for how long the poll that saw the end waited for its turn, when the job may have run on.
        """
        record, timings, names = ended.record, ended.timings, self.stages.of_platform
        prepare = timings.get(names.prepare, 0.0)
        parts = min(record.parts, prepare)
        spent = dict.fromkeys(names.parts.values(), parts)
        spent[names.prepare] = prepare - parts
        spent[names.create] = timings.get(names.create, 0.0)
        spent[names.start] = timings.get(names.start, 0.0)
        seen_ended = ended.at if record.seen_ended is None else record.seen_ended
        spent[QUEUE_RUN] = 0.0 if record.accepted is None else seen_ended - record.accepted
        spent[names.collect] = timings.get(names.collect, 0.0)
        rest = ended.at - record.intended - sum(spent.values())
        return {CLIENT_WAIT: max(rest, 0.0), **spent}
