"""A run while it lasts: held fast as it stands, and its figures, for who follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from opus_async.load.health import HealthSampler
from opus_async.load.reasons import Reason
from opus_async.load.recorded_run import RecordedRun
from opus_async.load.result import figures_of, judged, summary_of, timeline_of
from opus_async.load.slo import Slo
from opus_async.load.spec import Plan
from opus_async.load.timeline import Moment
from opus_async.load.values import Sample

if TYPE_CHECKING:
    from opus_async.load.recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSoFar:
    """The figures of a run that goes on.

    Attributes:
        run: As its directory would have it. Its verdict is none yet.
        timeline: Its seconds.
        unhealthy: What says so far that this process is the bottleneck.
    """

    run: RecordedRun
    timeline: Sequence[Moment]
    unhealthy: Sequence[Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningLoad:
    """A run that goes on.

    Attributes:
        plan: What is run.
        run_id: In the title of each of its jobs.
        workload: What must be equal in two runs to compare them.
        slos: The objectives.
        recorder: Told of its jobs.
        health: Told of this process.
        at: When it was held fast, in seconds from the start of the run; None while it goes on.
    """

    plan: Plan
    run_id: str
    workload: dict[str, Any]
    slos: Sequence[Slo]
    recorder: Recorder
    health: HealthSampler
    at: float | None = None

    def held(self, samples: list[Sample]) -> RunningLoad:
        """The run as it stands now: another thread may read it while the run goes on.

        Args:
            samples: Those of the run that was held before, to which the new ones are added when it is read.
        """
        return replace(
            self,
            recorder=self.recorder.snapshot(samples),
            health=self.health.snapshot(),
            at=self.recorder.now,
        )

    def so_far(self, name: str, price: float | None) -> RunSoFar:
        """Its figures; takes seconds for a million jobs.

        Args:
            name: What the run is called.
            price: Of one job that completes.
        """
        recorder, now = self.recorder, self.now
        figures = figures_of(self.plan, recorder, self.health, ended_at=min(now, self._end or now))
        # Jobs in flight have no times yet: until they have, rate x time is too small.
        result = judged(replace(figures, little=None), self.slos, (), recorder.failures)
        summary = summary_of(
            result,
            run_id=self.run_id,
            workload=self.workload,
            began=recorder.epoch,
            seed=self.plan.spec.seed,
            price=price,
        )
        return RunSoFar(
            run=RecordedRun(name, summary, recorder.samples),
            timeline=list(timeline_of(recorder, self.health)),
            unhealthy=result.unhealthy,
        )

    @property
    def now(self) -> float:
        """The moment that its figures are of, in seconds from the start of the run."""
        return self.recorder.now if self.at is None else self.at

    @property
    def _end(self) -> float | None:
        """When its arrivals end; None where that is not known."""
        schedule = self.plan.schedule
        return self.plan.until if schedule is None else schedule.length
