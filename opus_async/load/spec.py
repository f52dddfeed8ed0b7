"""What is asked of a load test: the load, the workflow, the bounds. Checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opus_async.errors import LoadRefused
from opus_async.load import arrivals
from opus_async.load.arrivals import Arrival, Segment
from opus_async.load.choices import MAX_IN_FLIGHT
from opus_async.load.sizes import Sizes
from opus_async.load.values import Schedule
from opus_async.text import counted

Pick = Literal["cycle", "random"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoad:
    """Jobs arrive at their own moments, whatever becomes of those before.

    Attributes:
        segments: The rate over time.
        process: How they are spread.
        text: The rate as it was given, to be shown and compared.
    """

    segments: tuple[Segment, ...]
    process: Arrival
    text: str

    def as_json(self) -> dict[str, Any]:
        """What must be equal in two loads to compare them."""
        return {"model": "open", "rate": self.text, "arrival": self.process}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoad:
    """So many users, each of whom starts a job, waits for its end, thinks, and starts the next.

    Attributes:
        concurrency: How many users.
        think: Seconds between the end of a job and the next.
    """

    concurrency: int
    think: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """What must be equal in two loads to compare them."""
        return {"model": "closed", "concurrency": self.concurrency, "think": self.think}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """One load test.

    Attributes:
        workflow_id: Of the workflow.
        load: How jobs arrive.
        warm_up: Seconds at the beginning that are left out of all latency figures.
        duration: Seconds of the load after the warm-up; None where ``jobs`` or the stages say when it ends.
        jobs: Jobs in all, those of the warm-up included; None where the time says when it ends.
        pick: Whether rows are taken in turn, or drawn.
        file_size: How large the documents are that are made; None to send those of the rows.
        reuse_uploads: Whether content is uploaded once for all jobs.
        max_in_flight: Jobs in flight at most: an arrival beyond them is dropped.
        seed: Of all draws.
    """

    workflow_id: str
    load: OpenLoad | ClosedLoad
    warm_up: float = 0.0
    duration: float | None = None
    jobs: int | None = None
    pick: Pick = "cycle"
    file_size: Sizes | None = None
    reuse_uploads: bool = False
    max_in_flight: int = MAX_IN_FLIGHT
    seed: int = 0

    def as_json(self, inputs: str | None) -> dict[str, Any]:
        """The workload: what must be equal in two runs to compare them.

        Args:
            inputs: The digest of the rows; None where there are none.
        """
        return {
            "workflow_id": self.workflow_id,
            **self.load.as_json(),
            "warm_up": self.warm_up,
            "duration": self.duration,
            "jobs": self.jobs,
            "inputs": inputs,
            "pick": self.pick,
            "file_size": None if self.file_size is None else self.file_size.text,
            "reuse_uploads": self.reuse_uploads,
            "max_in_flight": self.max_in_flight,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a load test will do, known before anything is sent.

    Attributes:
        spec: What was asked for.
        schedule: The arrivals of an open load; None of a closed one.
        jobs: How many jobs it starts; of a closed load that a time ends, at most.
        exact: Whether it is that many; else it may be fewer.
    """

    spec: LoadSpec
    schedule: Schedule | None
    jobs: int
    exact: bool

    @property
    def until(self) -> float | None:
        """When a closed load ends, in seconds from its beginning; None where the jobs say so."""
        spec = self.spec
        return None if spec.duration is None else spec.warm_up + spec.duration


def planned(spec: LoadSpec, *, max_jobs: int) -> Plan:
    """Draw the arrivals of a load test.

    Raises:
        LoadRefused: It has more than ``max_jobs`` jobs, no end or two, or nothing would be measured.
    """
    if spec.jobs is not None and spec.duration is not None:
        raise LoadRefused(
            "A load ends after a time or after so many jobs: give one of them; nothing was sent"
        )
    if spec.jobs is None and spec.duration is None and not _ends_by_itself(spec.load):
        raise LoadRefused("When does the load end? Give a duration or a number of jobs; nothing was sent")
    if isinstance(spec.load, ClosedLoad):
        jobs = max_jobs if spec.jobs is None else spec.jobs
        _refuse_beyond(jobs, max_jobs)
        return Plan(spec=spec, schedule=None, jobs=jobs, exact=spec.jobs is not None)
    try:
        schedule = arrivals.draw(
            _cut(spec, spec.load.segments), process=spec.load.process, seed=spec.seed, jobs=spec.jobs
        )
    except ValueError as error:
        raise LoadRefused(f"The load cannot be drawn: {error}; nothing was sent") from None
    _refuse_beyond(len(schedule.times), max_jobs)
    if not schedule.times or schedule.length <= spec.warm_up:
        raise LoadRefused(
            f"The load ends after {schedule.length:g} s with {counted(len(schedule.times), 'job')}, and the "
            f"warm-up lasts {spec.warm_up:g} s: nothing would be measured"
        )
    return Plan(spec=spec, schedule=schedule, jobs=len(schedule.times), exact=True)


def _cut(spec: LoadSpec, segments: Sequence[Segment]) -> Sequence[Segment]:
    return segments if spec.duration is None else arrivals.cut(segments, spec.warm_up + spec.duration)


def _refuse_beyond(jobs: int, most: int) -> None:
    if jobs > most:
        raise LoadRefused(
            f"That load is {counted(jobs, 'job')}, and {most:,} are allowed, as each costs money: nothing "
            "was sent. Allow more with --max-jobs (in Python: max_jobs), or ask for less"
        )


def _ends_by_itself(load: OpenLoad | ClosedLoad) -> bool:
    return isinstance(load, OpenLoad) and math.isfinite(arrivals.length_of(load.segments))
