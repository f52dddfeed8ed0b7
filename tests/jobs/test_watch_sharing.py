"""Polls that tell of other jobs than they asked about: those need not be polled themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from virtual_time import run_virtual

from opus_async.jobs.ended import Ended
from opus_async.jobs.watch import Watcher
from opus_async.models import JobStatus


class TellingSource:
    """Tells of all jobs that there are, whichever is asked about."""

    batch_size = 1

    def __init__(self, ends: Mapping[str, float]) -> None:
        self.ends = ends
        self.polls = 0
        self.shown: Callable[[str, JobStatus], JobStatus] = lambda name, status: status

    async def poll(self, workflow_id: str, remote_ids: Sequence[str]) -> Mapping[str, JobStatus]:
        self.polls += 1
        await asyncio.sleep(0.5)
        now = asyncio.get_running_loop().time()
        statuses = {
            name: JobStatus.COMPLETED if now >= end else JobStatus.IN_PROGRESS
            for name, end in self.ends.items()
        }
        told = {name: self.shown(name, status) for name, status in statuses.items()}
        return told | {"unheard-of": JobStatus.COMPLETED}

    async def is_well(self) -> bool:
        return True


def ends_of(source: TellingSource, apart: float = 0.0) -> list[Ended]:
    """Watch all jobs of a source, each begun a little later than the one before."""

    async def watch(watcher: Watcher, name: str, delay: float) -> Ended:
        await asyncio.sleep(delay)
        return await watcher.wait(source, name)

    async def main() -> list[Ended]:
        watcher = Watcher(detect_lag=0.05, patience=60, jitter=lambda: 1.0)
        try:
            return await asyncio.gather(
                *(watch(watcher, name, apart * number) for number, name in enumerate(source.ends))
            )
        finally:
            await watcher.close()

    return run_virtual(main())


class SilentSource(TellingSource):
    """Tells of what it is asked about."""

    async def poll(self, workflow_id: str, remote_ids: Sequence[str]) -> Mapping[str, JobStatus]:
        told = await super().poll(workflow_id, remote_ids)
        return {name: told[name] for name in remote_ids}


def test_poll_that_tells_of_other_jobs_polls_for_them():
    ends = {f"job-{number}": 1030 + number / 10 for number in range(100)}
    telling, silent = TellingSource(ends), SilentSource(ends)
    for source in (telling, silent):
        assert all(end.status == "COMPLETED" and end.detect_lag >= 0 for end in ends_of(source, apart=0.02))
    assert telling.polls < 0.75 * silent.polls, (telling.polls, silent.polls)


def test_job_that_is_watched_while_a_poll_tells_of_it_learns_no_age_below_zero():
    source = TellingSource({f"job-{number}": 1000 + number / 10 for number in range(100)})
    assert all(end.detect_lag >= 0 for end in ends_of(source, apart=0.05))


def test_bad_end_that_was_told_beside_others_is_confirmed_by_another_poll():
    source = TellingSource({"job-0": 1020.0, "job-1": 1020.0})
    source.shown = lambda name, status: JobStatus.FAILED if (name, source.polls) == ("job-1", 3) else status
    assert [end.status for end in ends_of(source)] == ["COMPLETED", "COMPLETED"]
