"""Which job an event is about: jobs of different runs have the same index, and some end without an event."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from opus_async.events import NO_CURRENT_JOB, CurrentJob, JobStageChanged, current_job
from opus_async.stages import DONE, PAUSED

StateT = TypeVar("StateT")


@dataclass(slots=True)
class _Tracked(Generic[StateT]):
    reference: weakref.ref[CurrentJob]
    name: tuple[int, str | None]
    state: StateT


class JobTracker(Generic[StateT]):
    """Keeps a state for each job in flight.

    For listeners that are plain functions: these are called in the task that the event comes from.

    Args:
        forgotten: Called with the state of a job that is gone without an end: it was cancelled, or given up.
    """

    def __init__(self, forgotten: Callable[[StateT], None]) -> None:
        self._forgotten = forgotten
        self._jobs: dict[int, _Tracked[StateT]] = {}
        self._by_name: dict[tuple[int, str | None], dict[int, None]] = {}

    def current(self) -> StateT | None:
        """The state of the job that the current task works for; None for none that is known."""
        found = self._jobs.get(id(current_job.get()))
        return None if found is None else found.state

    def states(self, jobs: Iterable[CurrentJob]) -> list[StateT]:
        """The states of these jobs, as far as they are known."""
        return [found.state for job in jobs if (found := self._jobs.get(id(job))) is not None]

    def begin(self, event: JobStageChanged, state: StateT) -> None:
        """Keep a state for the job that enters its first stage. Not of one that nothing is known of."""
        current = current_job.get()
        if current is NO_CURRENT_JOB:
            return
        identity = id(current)
        reference = weakref.ref(current, lambda _: self._gone(identity))
        name = event.index, event.key
        self._jobs[identity] = _Tracked(reference, name, state)
        self._by_name.setdefault(name, {})[identity] = None

    def end(self, event: JobStageChanged) -> StateT | None:
        """Take away the state of a job that is done or rests; None where there is none.

        By then its task works for it no more: it is found by its name, and by its id among several.
        """
        identities = list(self._by_name.get((event.index, event.key), ()))
        jobs = [(each, self._jobs[each].reference()) for each in identities]
        same = (each for each, job in jobs if job is not None and job.job_id == event.job_id)
        found = next(same, None)
        return None if found is None else self._take(found)

    def _take(self, identity: int) -> StateT:
        tracked = self._jobs.pop(identity)
        named = self._by_name[tracked.name]
        del named[identity]
        if not named:
            del self._by_name[tracked.name]
        return tracked.state

    def _gone(self, identity: int) -> None:
        if identity in self._jobs:
            self._forgotten(self._take(identity))


def is_end(event: JobStageChanged) -> bool:
    """Whether a job leaves its last stage: it is done, or waits for a person."""
    return event.stage in {DONE, PAUSED}
