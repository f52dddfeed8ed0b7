"""A shard runner whose worker is a process of its own: what the ports of a batch allow, in its plainest form.

The driver has a :class:`WorkerRunner`, which starts the process and a new one when it dies. Both ends talk in
pickles over a socket: rows go one way, the steps of rows and reports of shards come the other way.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import pickle
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batch_tools import settings

from opus_async import OpusClient
from opus_async.batch.ports import LeaseTerms, Receipt, ShardReport, WorkerLease
from opus_async.batch.rows import Row, RowLease, RowResult
from opus_async.batch.running.local_shard import LocalShardRunner, OnEnd
from opus_async.batch.running.requests import RequestFactory
from opus_async.batch.running.session import SessionSetup, requests_of
from opus_async.errors import LedgerError
from opus_async.jobs.shutdown import ShutdownControl, ShutdownMode
from opus_async.metrics.progress import Progress
from opus_async.platform import StartDoubt
from opus_async.testing import quick_polls

HEARTBEAT = 0.5
CAPACITY = 60
"""Rows at the worker."""
_SIZE = 4
_REPORTS = frozenset(
    {
        "known_files",
        "some_files",
        "begun",
        "job_created",
        "start_intent",
        "job_superseded",
        "second_start_forbidden",
    }
)
_REPORTS |= {"job_identified", "start_accepted", "status_seen", "parked", "finished"}


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker needs to know."""

    base_url: str
    service_key: str
    workflow_id: str
    requests: RequestFactory
    max_in_flight: int


class Channel:
    """One end of a connection: values in, values out; and calls that are answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}

    def send(self, *message: Any) -> None:
        data = pickle.dumps(message)
        self._writer.write(len(data).to_bytes(_SIZE) + data)

    async def receive(self) -> tuple[Any, ...]:
        """Raises IncompleteReadError, or an OSError, when the other end is gone."""
        size = int.from_bytes(await self._reader.readexactly(_SIZE))
        message: tuple[Any, ...] = pickle.loads(await self._reader.readexactly(size))
        return message

    async def ask(self, *message: Any) -> Any:
        """Send something that is answered; raises what was answered if that is an error."""
        number = next(self._numbers)
        self._asked[number] = answer = asyncio.get_running_loop().create_future()
        self.send("ask", number, *message)
        try:
            return await answer
        finally:
            del self._asked[number]

    def answered(self, number: int, value: Any) -> None:
        answer = self._asked.get(number)
        if answer is None or answer.done():
            return
        if isinstance(value, Exception):
            answer.set_exception(value)
        else:
            answer.set_result(value)

    def lost(self, value: Any) -> None:
        """Nobody answers any more."""
        for number in list(self._asked):
            self.answered(number, value)

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


# The driver


class WorkerRunner:
    """See :class:`opus_async.batch.ports.ShardRunner`; needs ``base_url`` and key of the platform."""

    def __init__(self, setup: SessionSetup, on_end: OnEnd, *, base_url: str, service_key: str) -> None:
        self.terms = LeaseTerms(owner="worker", seconds=20.0, settle_after=0.5)
        self.process: multiprocessing.process.BaseProcess | None = None
        self.workers = 0
        self.lost = 0
        self._setup = setup
        self._on_end = on_end
        self._worker_setup = WorkerSetup(
            base_url=base_url,
            service_key=service_key,
            workflow_id=setup.lifecycle.platform.workflow_id,
            requests=requests_of(setup),
            max_in_flight=setup.settings.max_in_flight,
        )
        self._channel: Channel | None = None
        self._there = asyncio.Event()
        self._changed = asyncio.Event()
        self._rows = 0
        self._lease: WorkerLease | None = None
        self._running = asyncio.create_task(self._run_workers())

    @property
    def in_flight(self) -> int:
        return self._rows

    async def capacity(self) -> int:
        while self._rows >= CAPACITY:
            self._changed.clear()
            await self._changed.wait()
        await self._there.wait()
        return CAPACITY - self._rows

    async def run(self, shard: Sequence[Row]) -> ShardReport:
        self._rows += len(shard)
        self._lease = WorkerLease(shard[0].held.owner, shard[0].held.epoch)
        try:
            return await self._asked("run", list(shard))
        finally:
            self._rows -= len(shard)
            self._changed.set()

    async def drain(self, seconds: float) -> int:
        going_on = await self._asked("drain", seconds)
        return going_on if isinstance(going_on, int) else 0

    async def cancel(self) -> None:
        await self._asked("cancel")

    async def conclude(self, *, has_run: bool) -> ShardReport:
        return await self._asked("conclude", has_run)

    async def close(self) -> ShardReport:
        report = await self._asked("close")
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running  # raises what kept it from running workers
        return report

    async def _asked(self, *message: Any) -> Any:
        """The worker's answer; that it is lost, when it is."""
        if self._channel is None:
            return ShardReport(lost=True)
        return await self._channel.ask(*message)

    async def _run_workers(self) -> None:
        """Run one worker after the other, until nobody wants one."""
        with tempfile.TemporaryDirectory() as folder:
            while True:
                await self._run_worker(Path(folder) / f"worker-{self.workers}")

    async def _run_worker(self, path: Path) -> None:
        connected: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_unix_server(
            lambda reader, writer: connected.set_result(Channel(reader, writer)), path
        )
        spawn = multiprocessing.get_context("spawn")
        process = self.process = spawn.Process(target=work, args=(str(path), self._worker_setup), daemon=True)
        process.start()
        channel = None
        try:
            channel = await connected
            self.workers += 1
            self._channel = channel
            self._there.set()
            try:
                await self._serve(channel)
            except* (asyncio.IncompleteReadError, OSError):
                self.lost += 1
        finally:
            self._there.clear()
            self._channel = None
            process.kill()
            await asyncio.to_thread(process.join)
            process.close()
            server.close()
            if channel is not None:
                channel.lost(ShardReport(lost=True))
                await channel.close()

    async def _serve(self, channel: Channel) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                kind, *message = await channel.receive()
                if kind == "answer":
                    channel.answered(*message)
                elif kind == "heartbeat":
                    if self._lease is not None:
                        self._setup.queue.renew(self._lease)
                elif kind == "put":
                    self._setup.journal.cache.put(*message)
                else:
                    number, name, *arguments = message
                    group.create_task(self._answer(channel, number, self._report(name, *arguments)))

    async def _answer(self, channel: Channel, number: int, report: Awaitable[Any]) -> None:
        try:
            answer = await report
        except LedgerError as error:
            answer = error
        channel.send("answer", number, answer)

    async def _report(self, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        journal = self._setup.journal
        if name == "get":
            return await journal.cache.get(*arguments)
        assert name in _REPORTS
        receipt = await getattr(journal, name)(*arguments, **options)
        if name == "finished" and receipt is Receipt.WRITTEN:
            self._on_end(arguments[1])
        return receipt


# The worker


class RemoteCache:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def get(self, name: str) -> str | None:
        found: str | None = await self._channel.ask("get", (name,), {})
        return found

    def put(self, name: str, value: str) -> None:
        self._channel.send("put", name, value)


class RemoteJournal:
    """See :class:`opus_async.batch.ports.RowJournal`: every report is a question to the driver."""

    def __init__(self, channel: Channel) -> None:
        self.cache = RemoteCache(channel)
        self._channel = channel

    async def _tell(self, name: str, *arguments: Any, **options: Any) -> Any:
        return await self._channel.ask(name, arguments, options)

    async def known_files(self, paths: Sequence[str]) -> Any:
        return await self._tell("known_files", list(paths))

    async def some_files(self, beginning: str, at_most: int, *, inside: bool = True) -> Any:
        return await self._tell("some_files", beginning, at_most, inside=inside)

    async def begun(self, lease: RowLease) -> Any:
        return await self._tell("begun", lease)

    async def job_created(self, lease: RowLease, remote_id: str, generation: str) -> Any:
        return await self._tell("job_created", lease, remote_id, generation)

    async def start_intent(self, lease: RowLease, remote_id: str, generation: str) -> Any:
        return await self._tell("start_intent", lease, remote_id, generation)

    async def job_identified(self, lease: RowLease, alias: str) -> Any:
        return await self._tell("job_identified", lease, alias)

    async def job_superseded(self, lease: RowLease) -> Any:
        return await self._tell("job_superseded", lease)

    async def second_start_forbidden(self, lease: RowLease, doubt: StartDoubt) -> Any:
        return await self._tell("second_start_forbidden", lease, doubt)

    async def start_accepted(self, lease: RowLease) -> Any:
        return await self._tell("start_accepted", lease)

    async def status_seen(self, lease: RowLease, status: str) -> Any:
        return await self._tell("status_seen", lease, status)

    async def parked(
        self, lease: RowLease, *, status: str, poll_in: float, timings: Mapping[str, float]
    ) -> Any:
        return await self._tell("parked", lease, status=status, poll_in=poll_in, timings=dict(timings))

    async def finished(self, lease: RowLease, result: RowResult) -> Any:
        return await self._tell("finished", lease, replace(result, timings=dict(result.timings)))


def work(path: str, setup: WorkerSetup) -> None:
    """The whole life of a worker."""
    with quick_polls(0.05):
        asyncio.run(_work(path, setup))


async def _work(path: str, setup: WorkerSetup) -> None:
    channel = Channel(*await asyncio.open_unix_connection(path))
    journal, progress = RemoteJournal(channel), Progress()
    async with OpusClient(setup.service_key, base_url=setup.base_url, **settings()) as opus:
        lifecycle, control = opus.lifecycle(setup.workflow_id, memory=journal.cache), ShutdownControl()
        opening = asyncio.create_task(lifecycle.platform.open())
        shards = LocalShardRunner(
            lifecycle,
            journal,
            setup.requests,
            control,
            max_in_flight=setup.max_in_flight,
            limiter=None,
            on_end=lambda _: None,
        )
        with opus.listening(progress):
            await opening
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(_beat(channel))
                answers = _Answers(shards, control, progress, channel)
                while not answers.closed:
                    kind, *message = await channel.receive()
                    if kind == "answer":
                        channel.answered(*message)
                    elif message[1] == "close":
                        await answers.give(*message)
                    else:
                        group.create_task(answers.give(*message))
                beating.cancel()


async def _beat(channel: Channel) -> None:
    while True:
        channel.send("heartbeat")
        await asyncio.sleep(HEARTBEAT)


class _Answers:
    """What the shard runner of the worker answers, with what was counted since the last report."""

    def __init__(
        self, shards: LocalShardRunner, control: ShutdownControl, progress: Progress, channel: Channel
    ) -> None:
        self.closed = False
        self._shards = shards
        self._control = control
        self._progress = progress
        self._channel = channel
        self._counted = progress.counted()

    async def give(self, number: int, name: str, *arguments: Any) -> None:
        asked: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "run": self._shards.run,
            "drain": self._drain,
            "cancel": self._cancel,
            "conclude": lambda has_run: self._shards.conclude(has_run=has_run),
            "close": self._shards.close,
        }
        answer = await asked[name](*arguments)
        if isinstance(answer, ShardReport):
            before, self._counted = self._counted, self._progress.counted()
            answer = replace(answer, events=self._counted - before)
        self._channel.send("answer", number, answer)
        self.closed = name == "close"

    async def _drain(self, seconds: float) -> int:
        self._control.interrupt()
        return await self._shards.drain(seconds)

    async def _cancel(self) -> None:
        while self._control.mode is not ShutdownMode.CANCEL:
            self._control.interrupt()
        await self._shards.cancel()
