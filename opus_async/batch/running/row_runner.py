"""Runs one row: its job through the lifecycle, and what an error means for the row, or for every row."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from opus_async.batch.ports import RowJournal
from opus_async.batch.rows import UNBILLED, FetchedFile, Row, RowResult, RowState
from opus_async.batch.running.file_changes import FileChangeCheck
from opus_async.batch.running.output_files import STAGE as DOWNLOAD
from opus_async.batch.running.output_files import Outputs
from opus_async.batch.running.requests import RequestFactory
from opus_async.batch.running.row_result import add_timings, add_wait, from_error, from_outcome
from opus_async.batch.running.row_task import Phase, RowTask
from opus_async.batch.running.store_check import StoreCheck
from opus_async.errors import JobPaused, LedgerError, OpusError, StoreUnavailable
from opus_async.gaps import gapped
from opus_async.jobs.error_scope import Inquiry, Scope, scope_of
from opus_async.jobs.job_run import JobRun
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import OnPaused, PausedJob, WhenPaused
from opus_async.jobs.previous_job import Superseded
from opus_async.jobs.shared_errors import SharedErrors, of_store, store_in
from opus_async.jobs.shutdown import ShutdownControl, ShutdownMode
from opus_async.outcome import JobOutcome
from opus_async.platform import NEW_JOB, JobHandedBack, JobTakenAway, RecoveredJob, RetryRequest
from opus_async.remote.found import Found, with_found
from opus_async.remote_urls import RemoteFile, store_of
from opus_async.transport.shortage import Waits, advice, out_of

log = logging.getLogger("opus_async.batch")

PARKED_POLL_MIN, PARKED_POLL_MAX = 2.0, 300.0
PARKED_POLL_SHARE = 0.1
"""When a row that waits for a person is polled again: after this share of the time that it has waited, within
these bounds in seconds."""
_REMEMBERED = 200
"""Run times of recent jobs that are kept, to tell which ones are near their end."""
_ASK_PLATFORM = frozenset({Scope.ASK, Scope.ASK_AND_OTHERS_TELL})
_WAIT_FOR_OTHER_ROWS = frozenset({Scope.OTHERS_TELL, Scope.ASK_AND_OTHERS_TELL})


class RowRunner:
    """Runs rows one by one.

    Args:
        lifecycle: How a job runs.
        journal: Told where a row parks, and what files were when they were planned.
        requests: From a row to what is asked for.
        control: Cuts waits short once the session is to end.
        suspects: Rows put aside with an error that may be every row's, until others tell.
        fail_all: Called with what every row would meet.
        outputs: Fetches result files; None to leave them where they are.
        accept_second_bill: Whether a row that is tried again gets a new job although its old one may have
            been billed.
        until_ordered: Whether a row is given back once its job is ordered, for a later session to collect.
        on_paused: What follows when a job waits for a person: its row is parked, or it is answered.
        tell_paused: Called with each job whose row is parked for that, unless it was before.
    """

    def __init__(
        self,
        lifecycle: Lifecycle[Any, Any],
        journal: RowJournal,
        requests: RequestFactory,
        control: ShutdownControl,
        *,
        suspects: SharedErrors[RowTask],
        fail_all: Callable[[OpusError], None],
        outputs: Outputs | None,
        accept_second_bill: bool,
        until_ordered: bool = False,
        on_paused: OnPaused = WhenPaused.RETURN,
        tell_paused: Callable[[PausedJob], None] = lambda _: None,
    ) -> None:
        self._lifecycle = lifecycle
        self._platform = lifecycle.platform
        self._journal = journal
        self._requests = requests
        self._control = control
        self._suspects = suspects
        self._fail_all = fail_all
        self._outputs = outputs
        self._accept_second_bill = accept_second_bill
        self._until_ordered = until_ordered
        self._on_paused = on_paused
        self._tell_paused = tell_paused
        self._file_changes = FileChangeCheck(journal)
        self._platform_check = Inquiry(self._platform.reopen)
        self._store_check = StoreCheck(journal)
        self._run_times: deque[float] = deque(maxlen=_REMEMBERED)

    async def run(self, task: RowTask) -> RowResult | JobRun | None:
        """Run a row, or go on with one whose job is watched no more.

        Returns:
            How it ended; the run of its job while that is watched, to go on with it when it is ready; None
            when the row is parked, put aside or given back.
        """
        waits: Waits | None = None  # most rows meet no shortage
        while True:
            run, task.watched = task.watched, None
            try:
                try:
                    come_to = await (self._begin(task) if run is None else self._lifecycle.go_on(run))
                except Superseded:
                    await task.begin_anew()
                    come_to = await self._begin(task)
                return come_to if isinstance(come_to, JobRun) else await self._result(task, come_to)
            except (JobTakenAway, LedgerError):
                raise
            except JobHandedBack:
                return None
            except Exception as error:  # noqa: BLE001 - one row's surprise must not end the others
                shortage = out_of(error)
                if shortage is None:
                    return await self._result_of_error(task, error)
                failure = error
            waits = waits or Waits()
            if not await self._wait_out_shortage(task, shortage, failure, waits):
                return None

    def failed(self, task: RowTask, error: OpusError) -> RowResult:
        """How a row ended that met this, and nothing more is known of its job."""
        return from_error(
            task.row, error, ordered=task.may_run, stages=self._platform.stages, status=task.status
        )

    async def check_files(self, row: Row) -> Found:
        """Raise InvalidInputs where the files of a row are not what was planned.

        Returns:
            What was found of its documents elsewhere: they need not be looked up again at once.
        """
        files = self._requests.files(row)
        if not files:
            return {}
        try:
            return await self._file_changes.check(files)
        except StoreUnavailable as error:
            raise error.located(stage=self._platform.stages.bind) from None

    async def ask_stores(self) -> None:
        """Give the stores up that rows in doubt met, and that give out no other document of the batch.

        Raises:
            LedgerError: The documents of the batch cannot be looked up.
        """
        for store, error in self._suspects.stores_in_doubt().items():
            documents = self._suspects.documents(error)
            if await self._store_check.gives_others(store, but_for=documents) is False:
                self._suspects.give_up(store, error)

    def ends_within(self, seconds: float, task: RowTask) -> bool:
        """Whether a job that runs is to be expected to end within so many seconds."""
        if task.ordered_at is None or not self._run_times:
            return True  # nothing is known of it: that is for the clock to decide
        age = asyncio.get_running_loop().time() - task.ordered_at
        return median(self._run_times) - age <= seconds

    async def _result(self, task: RowTask, outcome: JobOutcome) -> RowResult | None:
        row = task.handed_out
        if isinstance(outcome.error, JobPaused):
            await self._park(task, outcome, outcome.error)
            return None
        if outcome.error is not None and out_of(outcome.error):
            raise outcome.error
        files = await self._fetch(self._outputs, row, outcome) if self._outputs and outcome.ok else ()
        if files:
            self._suspects.passed(DOWNLOAD)
        if outcome.error is not None and (fatal := await self._error_for_every_row(outcome.error)):
            self._fail_all(fatal)  # what it left is fetched when it is resumed
            return None
        if task.ordered_at is not None:
            self._run_times.append(asyncio.get_running_loop().time() - task.ordered_at)
        if (waited := task.waited()) is not None:
            row = replace(row, timings=add_wait(row.timings, waited))
        return from_outcome(row, outcome, stage=self._platform.stages.collect, files=files)

    async def _begin(self, task: RowTask) -> JobOutcome | JobRun:
        row = task.row
        is_new = row.is_new
        if is_new and self._suspects.any_given_up:
            self._refuse_given_up(row)
        recovered = _recovered(row, accept_second_bill=self._accept_second_bill)
        request = self._requests.request(row)
        if is_new:
            found = await self.check_files(row)
            if found:
                task.stores = {store_of(file.url) for file in found}
                request = with_found(request, found)
        return await self._lifecycle.begin(
            request,
            index=row.index,
            recovered=recovered,
            journal=task,
            on_paused=self._on_paused,
            until_started=self._until_ordered,
        )

    async def _park(self, task: RowTask, paused: JobOutcome, error: JobPaused) -> None:
        task.phase = Phase.ENDING
        await self._journal.parked(
            task.lease,
            status=error.status.raw,  # which kind of pause it is decides how it is answered
            poll_in=min(max(PARKED_POLL_SHARE * (task.waited() or 0.0), PARKED_POLL_MIN), PARKED_POLL_MAX),
            timings=add_timings(task.row.timings, paused.timings),
        )
        task.settled = True
        row = task.row
        if not task.parked and row.remote_id is not None:
            self._tell_paused(
                PausedJob(
                    remote_id=row.remote_id,
                    alias=error.alias,
                    status=error.status,
                    index=row.index,
                    key=row.key,
                )
            )

    async def _fetch(self, outputs: Outputs, row: Row, outcome: JobOutcome) -> tuple[FetchedFile, ...]:
        try:
            return await outputs.fetch(row.key, outcome.results)
        except OpusError as error:
            raise error.located(job_id=outcome.job_id) from None

    # Errors

    async def _wait_out_shortage(self, task: RowTask, shortage: str, error: Exception, waits: Waits) -> bool:
        """Wait until this machine may have room again; whether the row is to go on from where it stands."""
        wait = waits.next_wait()
        log.info("row %d: no %s left (%s); again in %s s", task.index, shortage, error, wait)
        if wait is None:
            told = error if isinstance(error, OpusError) and error.shortage else _no_more(shortage)
            self._fail_all(told)
            return False
        task.phase = Phase.RUNNING if task.may_run else Phase.UNORDERED
        await self._control.wait_or_shutdown(asyncio.sleep(wait))
        return self._control.mode < ShutdownMode.DRAIN

    async def _result_of_error(self, task: RowTask, error: Exception) -> RowResult | None:
        """How a row ends that met this; None when every row would meet it, or others have to tell."""
        if not isinstance(error, OpusError):
            log.error("row %d: unexpected", task.index, exc_info=error)
            surprise = OpusError(
                gapped(f"Unexpected {type(error).__name__}: {{}}. This is a fault of opus_async", error)
            )
            return self.failed(task, surprise)
        if fatal := await self._error_for_every_row(error):
            log.warning("row %d: %s", task.index, fatal)
            self._fail_all(fatal)
            return None
        if scope_of(error, self._platform.stages) in _WAIT_FOR_OTHER_ROWS:
            level = logging.INFO if self._suspects.given_up([store_in(error) or ""]) else logging.WARNING
            log.log(level, "row %d: %s; whether others meet it will show", task.index, error)
            task.settled = True
            if self._suspects.add(task, error) and not await self._is_of_one_store(error):
                self._fail_all(error)
            return None
        return self.failed(task, error)

    def _refuse_given_up(self, row: Row) -> None:
        files = self._requests.files(row)
        stores = {store_of(file.url) for file in files if isinstance(file, RemoteFile)}
        if error := self._suspects.given_up(stores):
            raise error

    async def _is_of_one_store(self, error: OpusError) -> bool:
        """Whether other rows can go on although several met this; the trouble of one store is then settled.

        It is that of some documents, where their store gives out others: their rows have failed. Else the
        store is given up, where the batch has files elsewhere.
        """
        store = store_in(error)
        if store is None or self._suspects.given_up([store]):
            return False
        documents = self._suspects.documents(error)
        if await self._store_check.gives_others(store, but_for=documents):
            self._suspects.passed(of_store(error.stage or "", store))
            return True
        if not await self._store_check.others_lie_elsewhere(store):
            return False
        if not self._suspects.given_up([store]):  # by another row meanwhile
            self._suspects.give_up(store, error)
            log.warning("%s is given up for this session: rows without documents of it go on", store)
        return True

    async def _error_for_every_row(self, error: OpusError) -> OpusError | None:
        """The error or its cause, if every row would meet it as far as can be known now; else None."""
        for found in (error, error.__cause__):  # why nobody could be asked about an uncertain order, say
            if not isinstance(found, OpusError):
                continue
            scope = scope_of(found, self._platform.stages)
            if scope is Scope.EVERY_ROW or (scope in _ASK_PLATFORM and await self._platform_check.refusal()):
                return found
        return None


def _no_more(shortage: str) -> OpusError:
    error = OpusError(f"This machine has no {shortage} left, and that does not pass: {advice(shortage)}")
    error.shortage = shortage
    return error


def _recovered(row: Row, *, accept_second_bill: bool) -> RecoveredJob:
    """What is known of the job that a row has."""
    if row.state is RowState.PLANNED and row.remote_id is None:
        return NEW_JOB
    retry = None
    if row.asks_first:
        retry = RetryRequest(
            known_unbilled=row.retried_from in UNBILLED,
            other_inputs=row.other_inputs,
            accept_second_bill=accept_second_bill,
        )
    ordered = row.state is not RowState.PLANNED or row.asks_first
    known_to_run = row.state in {RowState.RUNNING, RowState.WAITING} or row.status is not None
    return RecoveredJob(
        remote_id=row.remote_id,
        alias=row.alias,
        starts_sent=max(row.orders, 1) if ordered else 0,
        start_accepted=ordered and known_to_run,
        made_for_other_version=row.elsewhere,
        retry=retry,
        doubt=row.start_doubt,
        overtaken=row.overtaken,
    )
