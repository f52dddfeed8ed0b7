"""The writer thread of a ledger. Many callers share a commit: a disk does some hundred of them a second.

Callers in the event loop queue what is to be done; the thread does all that is there in one transaction and
then tells all who wait, in one call into the loop. What nobody waits for rides along with the next that
somebody does, or goes alone after a moment.

The first thing that fails ends it: the group is undone, and from then on every call raises the same error.
What was committed stays.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.transitions import Step
from opus_async.errors import LedgerError, ManifestError
from opus_async.transport.forks import Maker

T = TypeVar("T")
Work = Callable[[Store], T]
"""What is done in the thread. It may raise ManifestError, and then before it has written anything."""

GROUP = 1000
"""Operations in one transaction at most: more would hold the interpreter until the loop notices."""
INTERVAL = 0.004
"""Seconds from the beginning of one commit to the next at least: more operations in one cost little more."""
MAX_INTERVAL = 0.1
CPU_SHARE = 0.015
"""Share of a processor that commits may take in the long run: beyond it each waits for more operations, up to
``MAX_INTERVAL`` seconds. A job waits for two of them, and lasts for seconds at least."""
BURST = 0.02
"""Seconds of a processor that a burst of commits may take before any of them waits."""
FULL_GROUP = 500
"""Operations that are enough for a commit: then nothing is waited for."""
SUBMITTED_WAIT = 0.1
"""Seconds that operations nobody waits for wait for one that somebody does."""


@dataclass(slots=True, eq=False)  # not frozen: two of each for every row, and that takes thrice as long
class _Operation:
    work: Work[Any]
    future: asyncio.Future[Any] | None = None
    deliver: Callable[[Any], None] | None = None
    exclusive: bool = False
    result: Any = None
    error: Exception | None = None


class Writer:
    """Runs operations on a store in a thread, for callers in an event loop; made by :meth:`start`."""

    def __init__(self) -> None:
        self._maker = Maker()
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Step | _Operation] = deque()
        self._anything = threading.Event()
        self._urgent = threading.Event()
        self._at_once = threading.Event()
        self._oldest = 0.0
        """When the first that is queued came, by the monotonic clock."""
        self._last_commit = 0.0
        self._spent = 0.0
        """Seconds of a processor that commits took, less what their share has given back since."""
        self._error: LedgerError | None = None
        self._told = False
        self._stopping = False
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._thread: threading.Thread

    @classmethod
    async def start(cls, open_store: Callable[[], Store]) -> tuple[Writer, Store]:
        """Open a store in a thread of its own.

        Returns:
            The writer, and the store: outside of the thread only what never changes of it may be read.

        Raises:
            OpusError: Whatever ``open_store`` raised.
        """
        writer = cls()
        opened: asyncio.Future[Store] = writer._loop.create_future()
        # A daemon: a program that ends without close() is no worse than a crash, and must not hang.
        writer._thread = threading.Thread(
            target=writer._run, args=(open_store, opened), name="opus_async ledger", daemon=True
        )
        writer._thread.start()
        try:
            return writer, await asyncio.shield(opened)
        except asyncio.CancelledError:
            writer._stop()
            with suppress(asyncio.CancelledError, Exception):  # the cancelling is told below
                await _to_its_end(opened)
            if opened.exception() is None:
                with suppress(asyncio.CancelledError, Exception):
                    await _to_its_end(writer._closed)
            raise

    def append(self, step: Step) -> None:
        """Write a step of a row soon; returns at once."""
        self._check()
        self._queue.append(step)
        self._wake()

    def submit(self, work: Work[object], deliver: Callable[[Any], None] | None = None) -> None:
        """Do something soon; returns at once.

        Args:
            work: What.
            deliver: Called in the loop with the result.
        """
        self._check()
        self._queue.append(_Operation(work, None, deliver))
        self._wake()

    def call(
        self,
        work: Work[T],
        deliver: Callable[[T], None] | None = None,
        *,
        batchable: bool = False,
        exclusive: bool = False,
    ) -> asyncio.Future[T]:
        """Do something; its result is there once it is on the disk. It is done even if that is cancelled.

        Args:
            work: What.
            deliver: Called in the loop with the result, before the caller goes on and whether or not it does.
            batchable: Whether it may wait for others to share a commit with: for what every row asks for.
            exclusive: Whether it runs alone, outside of any transaction.
        """
        self._check()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.append(_Operation(work, future, deliver, exclusive))
        if not batchable:
            self._at_once.set()
        self._hurry()
        return future

    async def close(self) -> None:
        """Do what is left, close the store and end the thread; a second call waits for the first.

        Whoever is cancelled meanwhile waits all the same: the next process must not find the batch held.

        Raises:
            LedgerError: What was left could not be written, and nobody was told before.
        """
        if not self._maker.is_here:
            return  # it is the parent's, who has the thread
        self._stop()
        await _to_its_end(self._closed)
        self._thread.join()
        if self._error is not None and not self._told:
            self._check()

    def _check(self) -> None:
        if not self._maker.is_here:
            raise LedgerError(
                f"This process was forked from process {self._maker.process}, whose ledger this is; only "
                f"that one may write it. Work on a batch begins after the fork, or in a spawned process"
            )
        if self._error is not None:
            self._told = True
            raise _again(self._error)
        if self._stopping:
            raise LedgerError("The ledger is closed: open it again to go on")

    def _stop(self) -> None:
        self._stopping = True
        self._at_once.set()
        self._hurry()

    def _hurry(self) -> None:
        if not self._urgent.is_set():
            self._urgent.set()
        self._wake()

    def _wake(self) -> None:
        if not self._anything.is_set():
            self._oldest = time.monotonic()
            self._anything.set()
        if len(self._queue) >= FULL_GROUP:
            self._at_once.set()

    def _settle(self, done: Iterable[_Operation]) -> None:
        """Deliver what came of the operations of a group to their callers, in the loop."""
        for operation in done:
            error, future = operation.error, operation.future
            if error is None and operation.deliver is not None:
                operation.deliver(operation.result)
            if future is None or future.done():
                continue
            if error is None:
                future.set_result(operation.result)
            else:
                self._told = True
                future.set_exception(error)

    # In the thread

    def _run(self, open_store: Callable[[], Store], opened: asyncio.Future[Store]) -> None:
        try:
            store = open_store()
        except Exception as error:  # noqa: BLE001 - for the caller, who waits in the loop
            self._tell(opened, error=error)
            return
        self._tell(opened, store)
        while True:
            group = self._next()
            if group:
                began = time.thread_time()
                self._in_loop(self._settle, self._done(store, group))
                self._spent += time.thread_time() - began
            elif self._stopping:
                break
        try:
            store.close()
        except Exception as error:  # noqa: BLE001 - told to who closes it
            self._tell(self._closed, error=error)
        else:
            self._tell(self._closed)

    def _next(self) -> list[Step | _Operation]:
        """Wait for the next group; it may be empty."""
        if not self._stopping:
            # The longest wait is the first: after it there is, as a rule, nothing left to be woken up for.
            _wait_until(self._at_once, self._last_commit + self._interval())
            self._anything.wait()
            _wait_until(self._urgent, self._oldest + SUBMITTED_WAIT)
        now = time.monotonic()
        self._spent = max(0.0, self._spent - (now - self._last_commit) * CPU_SHARE)
        self._last_commit = now
        self._anything.clear()  # before the queue is read: whoever comes now is either read or sets it again
        self._urgent.clear()
        self._at_once.clear()
        group: list[Step | _Operation] = []
        while self._queue and len(group) < GROUP:
            first = self._queue[0]
            exclusive = isinstance(first, _Operation) and first.exclusive
            if exclusive and group:
                break
            group.append(self._queue.popleft())
            if exclusive:
                break
        if self._queue:
            self._hurry()
        return group

    def _interval(self) -> float:
        return min(max((self._spent - BURST) / CPU_SHARE, INTERVAL), MAX_INTERVAL)

    def _done(self, store: Store, group: list[Step | _Operation]) -> list[_Operation]:
        operations = [each for each in group if isinstance(each, _Operation)]
        if self._error is None:
            try:
                _in_one_commit(store, group)
            except Exception as error:  # noqa: BLE001 - whatever it is: nothing may be ordered on it
                self._error = store.fail(error)
            else:
                return operations
        for operation in operations:
            operation.error = _again(self._error)
        return operations

    def _tell(
        self, future: asyncio.Future[Any], result: Any = None, *, error: Exception | None = None
    ) -> None:
        self._in_loop(self._settle, [_Operation(_nothing, future, result=result, error=error)])

    def _in_loop(self, function: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(function, *arguments)


def _wait_until(event: threading.Event, moment: float) -> None:
    """Wait for an event, up to a moment of the monotonic clock."""
    event.wait(max(0.0, moment - time.monotonic()))


async def _to_its_end(future: asyncio.Future[Any]) -> None:
    """Wait for the thread however often the caller is cancelled; raises that afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    future.result()


def _in_one_commit(store: Store, group: list[Step | _Operation]) -> None:
    if isinstance(group[0], _Operation) and group[0].exclusive:
        _do(group[0], store)
        return
    store.begin()
    for item in group:
        if isinstance(item, _Operation):
            _do(item, store)
        else:
            store.step(item)
    store.commit()


def _do(operation: _Operation, store: Store) -> None:
    try:
        operation.result = operation.work(store)
    except ManifestError as refused:
        operation.error = refused


def _again(error: LedgerError) -> LedgerError:
    """A copy of an error, for each of the callers that get it: each adds a traceback of its own."""
    return LedgerError(error.message, disk_full=error.disk_full)


def _nothing(_: Store) -> None:
    """What is done for one who waits for the thread alone."""
