"""A session of the runner on a ledger and a platform of plain Python, on a clock of its own."""

from __future__ import annotations

import asyncio

from fake_platform import FakePlatform, lifecycle_on
from plain_ledger import PlainLedger
from virtual_time import run_virtual

from opus_async.batch.ports import ShardReport
from opus_async.batch.running.local_shard import LocalShardRunner
from opus_async.batch.running.runner import FailureCounter, Runner
from opus_async.jobs.halt import Halt
from opus_async.jobs.shutdown import ShutdownControl
from opus_async.models import JobRequest


class Requests:
    def request(self, row):
        return JobRequest({"n": row.index}, key=row.key)

    def files(self, row):
        return ()


class Session:
    """A runner on a ledger, and what came of it."""

    def __init__(self, ledger: PlainLedger, platform: FakePlatform | None = None, **options) -> None:
        self.ledger = ledger
        self.reported = ShardReport()
        self.platform = platform or FakePlatform()
        self.control = ShutdownControl(drain_seconds=options.pop("drain_seconds", 30.0))
        self.drained: list[int] = []
        self.took = 0.0
        self._halt = Halt.parse(options.pop("halt", "never"))
        self._options = {"max_in_flight": 10, "limiter": None, **options}

    def run(self, *meanwhile) -> None:
        """Run to the end; ``meanwhile`` are pairs of seconds and what to do then."""

        async def main():
            lifecycle, watcher = lifecycle_on(self.platform)
            loop = asyncio.get_running_loop()
            for seconds, act in meanwhile:
                loop.call_later(seconds, act)

            await self.ledger.begin_session({})
            shards = LocalShardRunner(
                lifecycle,
                self.ledger.journal,
                Requests(),
                self.control,
                on_end=FailureCounter(self._halt, self.control),
                **self._options,
            )
            runner = Runner(
                self.ledger, shards, self.control, on_drain=self.drained.append, on_report=self._add
            )
            began = loop.time()
            try:
                await runner.run()
            finally:
                self._add(await shards.close())
                await watcher.close()
            self.took = loop.time() - began

        run_virtual(main())

    def _add(self, report: ShardReport) -> None:
        self.reported += report

    @property
    def states(self) -> dict[str, int]:
        counts = self.ledger.counts()
        return {name: getattr(counts, name) for name in counts.__slots__ if getattr(counts, name)}
