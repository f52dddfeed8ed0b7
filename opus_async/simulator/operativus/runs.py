"""Runs: what each of them is now, as a function of the clock.

A run is made of legs: the first begins when the queue takes its job, each further one when the queue takes an
answer to a pause. When a leg begins, everything about it is known: where it stops, when and how.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from opus_async.simulator.operativus.plans import PAUSED, ROUTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opus_async.simulator.operativus.plans import Task

QUEUED, RUNNING, COMPLETED = "QUEUED", "RUNNING", "COMPLETED"
FAILED, CANCELLED = "FAILED", "CANCELLED"
JOINT = "\n---\n"
"""Stands between the outputs of several steps that one step is given."""
WAITING = frozenset({PAUSED, ROUTE})
"""The statuses from which a person makes a run go on."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of steps without a person.

    Attributes:
        started_at: Epoch seconds.
        first: Index of its first task.
        text: What that is given.
        last: Index of the task it stops at; one less than `first` if there is none left.
        ends_as: `COMPLETED`, `FAILED`, or how it waits.
        seconds: How long each of its tasks takes.
    """

    started_at: float
    first: int
    text: str
    last: int
    ends_as: str
    seconds: float

    @property
    def ends_at(self) -> float:
        """Epoch seconds."""
        return self.began(self.last + 1)

    def began(self, index: int) -> float:
        """Return when the task at this index begins, epoch seconds."""
        past = index - self.first
        return self.started_at + past * self.seconds if past else self.started_at


@dataclass(frozen=True, slots=True)
class StepRun:
    """One task as a run did it, or does it.

    Attributes:
        index: Of the task.
        text: What it was given.
        output: What came out; None while it runs, waits or when it failed.
        status: `RUNNING`, `COMPLETED`, `FAILED` or `PAUSED`.
        started_at: Epoch seconds.
        ended_at: Epoch seconds; None while it runs.
    """

    index: int
    text: str
    output: str | None
    status: str
    started_at: float
    ended_at: float | None


@dataclass(slots=True)
class Run:
    """One row of a workflow's runs.

    Attributes:
        run_id: Its id.
        workflow_id: Its workflow.
        org: Whose it is.
        session_id: The session it belongs to; several runs can share one.
        tasks: What it does.
        graph: Whether its workflow had edges when it was accepted.
        created_at: Epoch seconds: when its row appeared.
        seconds: How long each of its tasks takes.
        expires_after: Seconds after `created_at` at which it is cancelled if it is paused.
        attempt: 1, or more if the server itself started it again.
        legs: Its legs so far.
        cancelled_at: Epoch seconds; None if nobody cancelled it.
    """

    run_id: str
    workflow_id: str
    org: str
    session_id: str
    tasks: tuple[Task, ...]
    graph: bool
    created_at: float
    seconds: float
    expires_after: float
    attempt: int = 1
    legs: list[Leg] = field(default_factory=list)
    cancelled_at: float | None = None

    def begin(self, now: float, text: str, first: int = 0) -> None:
        """Let a leg begin: the first one, or one that goes on after a pause."""
        resumed = bool(self.legs)
        last, ends_as = len(self.tasks) - 1, COMPLETED
        for index in range(first, len(self.tasks)):
            task = self.tasks[index]
            # After a resume every step runs as a plain call: routers and conditions do not wait any more.
            waits = "" if resumed and not task.calls else task.waits
            if task.error or waits:
                last, ends_as = index, FAILED if task.error else waits
                break
        self.legs.append(Leg(now, first, text, last, ends_as, self.seconds))

    @property
    def leg(self) -> Leg:
        """The latest leg."""
        return self.legs[-1]

    def status(self, now: float) -> str:
        """Return what the run is at a moment."""
        if self.cancelled_at is not None:
            return CANCELLED
        if now < self.leg.started_at:
            return QUEUED
        if now < self.leg.ends_at:
            return RUNNING
        if self.leg.ends_as == PAUSED and now >= self.expires_at:
            return CANCELLED
        return self.leg.ends_as

    @property
    def expires_at(self) -> float:
        """When the run is cancelled if it is paused then, epoch seconds."""
        return max(self.created_at + self.expires_after, self.leg.ends_at)

    def has_expired(self, now: float) -> bool:
        """Whether the run was cancelled because it was paused for too long."""
        return self.cancelled_at is None and self.status(now) == CANCELLED

    def changed_at(self, now: float) -> float:
        """Return when its status changed last, epoch seconds."""
        if self.cancelled_at is not None:
            return self.cancelled_at
        if now < self.leg.ends_at:
            return self.leg.started_at
        return self.expires_at if self.has_expired(now) else self.leg.ends_at

    def current(self, now: float) -> int:
        """Return the index of the task that it is at, or stopped at."""
        leg = self.leg
        if self.cancelled_at is not None:
            now = min(now, self.cancelled_at)
        if not leg.seconds or now >= leg.ends_at:
            return max(leg.last, 0)
        return min(leg.first + int((now - leg.started_at) / leg.seconds), leg.last)

    def cancel(self, now: float) -> bool:
        """Cancel it; returns False if it is over already, and then changes nothing."""
        if self.status(now) in (COMPLETED, FAILED, CANCELLED):
            return False
        self.cancelled_at = now
        return True

    def lose(self, now: float) -> None:
        """Let nobody work on it any more: its row says RUNNING for ever."""
        leg, place = self.leg, self.current(now)
        text = next((step.text for step in self.steps(now) if step.index == place), leg.text)
        self.legs[-1] = replace(leg, started_at=now, first=place, text=text, seconds=math.inf)

    def steps(self, now: float) -> Iterator[StepRun]:
        """Yield each task that has begun, oldest first; the step in flight when it was cancelled ends."""
        until = now if self.cancelled_at is None else min(now, self.cancelled_at)
        outputs: dict[int, str] = {}
        for leg in self.legs:
            text = leg.text
            for index in range(leg.first, leg.last + 1):
                task, began = self.tasks[index], leg.began(index)
                if began > until:
                    return
                if given := [outputs[source] for source in task.sources if source in outputs]:
                    text = JOINT.join(given)
                if now < (ended := began + leg.seconds):
                    yield StepRun(index, text, None, RUNNING, began, None)
                    return
                stops = index == leg.last and leg.ends_as in (FAILED, PAUSED)
                output = None if stops else task.answer(text)
                yield StepRun(index, text, output, leg.ends_as if stops else COMPLETED, began, ended)
                text = outputs[index] = text if output is None else output
            outputs |= self._approved(leg)

    def _approved(self, leg: Leg) -> dict[int, str]:
        """Return the text that a person put in the place of what the last task of a leg would have given."""
        following = self.legs.index(leg) + 1
        return {leg.last: self.legs[following].text} if following < len(self.legs) else {}

    def text_at_pause(self, now: float) -> str:
        """Return the text that its last task was given: what goes on if a person answers nothing."""
        *_, last = self.steps(now)
        return last.text
