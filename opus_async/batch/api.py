"""The functions that run a batch: start, resume, retry, resolve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from opus_async.arguments import checked
from opus_async.batch import arguments
from opus_async.batch.choices import ACCEPT_SECOND_BILL, RETRIED, Until
from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.observer import BatchObserver
from opus_async.batch.options import BatchSpec, ManifestPolicy, ManifestSource, RunSettings, SessionGoal
from opus_async.batch.planning.open_batch import start
from opus_async.batch.planning.resume_batch import ResumeChanges, resume
from opus_async.batch.ports import Client
from opus_async.batch.result import BatchResult
from opus_async.batch.rows import RowState
from opus_async.batch.running.resolving import started
from opus_async.batch.running.session import write_reports
from opus_async.batch.shown_batch import observed
from opus_async.errors import ConfigurationError, ManifestError
from opus_async.jobs.halt import Halt
from opus_async.jobs.shutdown import DRAIN_SECONDS

log = logging.getLogger("opus_async.batch")


@checked(
    ConfigurationError,
    client=arguments.CLIENT,
    manifest=arguments.MANIFEST,
    out=arguments.FOLDER,
    **arguments.SPEC,
    **arguments.SOURCE,
    **arguments.SETTINGS,
    **arguments.POLICY,
    **arguments.WATCHING,
)
async def run_batch(
    client: Client,
    manifest: str | PathLike[str],
    *,
    workflow_id: str,
    out: str | PathLike[str],
    key: str | None = None,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    title: str | None = None,
    description: str | None = None,
    version_number: int | None = None,
    version_id: str | None = None,
    decimal: str | None = None,
    dates: str | None = None,
    true: str | None = None,
    false: str | None = None,
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    pad_short_rows: bool = False,
    skip_invalid: bool = False,
    accept_second_bill: bool = False,
    allow_outside: bool = False,
    allow_queries: bool = False,
    max_in_flight: int = 500,
    start_rate: float | None = None,
    halt: str | Halt = "never",
    timeout: float | None = None,
    download_outputs: bool = False,
    drain_seconds: float = DRAIN_SECONDS,
    limit: int | None = None,
    until: Until = "ended",
    price: float | None = None,
    watching: BatchObserver | None = None,
    progress: bool = False,
) -> BatchResult:
    """Run one job for every row of a manifest; no row is lost, and none is billed twice.

    Whatever ends the process, :func:`resume_batch` goes on where the ledger in ``out`` stands.

    Args:
        client: An :class:`opus_async.OpusClient`, or another :class:`~.ports.Client`.
        manifest: A CSV, JSONL, XLSX or Parquet file, a folder, or a glob of documents.
        workflow_id: The workflow.
        out: The batch directory, made if need be; it must not hold a batch.
        key: The column that names each row; None makes keys from content.
        columns: Column -> input, where their names differ; an empty input ignores the column.
        constants: Input -> value for every row that has none.
        title: A template, e.g. ``"Invoice {Number}"``.
        description: A template, e.g. ``"Due {Date}"``.
        version_number: Pins the workflow's version.
        version_id: Pins the workflow's version by UUID.
        decimal: ``","`` or ``"."``, if numbers in text have it before their fraction, as in ``1.234,56``.
        dates: ``"dmy"``, ``"mdy"`` or ``"ymd"``, if dates in text are written so; ISO 8601 is always read.
        true: A word for true, e.g. ``"ja"``.
        false: A word for false.
        sheet: Of a workbook.
        delimiter: Of a CSV; None to detect it.
        encoding: Of a text; None to detect it.
        pad_short_rows: Whether rows of a CSV with too few cells have empty ones at their end; else they are
            refused.
        skip_invalid: Whether to run the other rows when some cannot be run; they are recorded as failed.
        accept_second_bill: Whether rows of an earlier batch's failures may run that may have been billed.
        allow_outside: Whether the manifest may name files outside of its folder: any file that this process
            may read would be sent. A resume need not say it again.
        allow_queries: Whether rows, and the manifest itself, may be http(s) URLs with a query, which is then
            kept in ``out`` in clear; messages and logs never show it. A resume need not say it again.
        max_in_flight: Rows at work at once.
        start_rate: Rows begun a second; None for no bound.
        halt: When to stop for failures: ``now,fail=N``, ``soon,fail=N``, either with ``N%``, or ``never``;
            see :class:`opus_async.jobs.halt.Halt`.
        timeout: Seconds for one row until how it ends counts as unknown.
        download_outputs: Whether files among the outputs are fetched into ``out``.
        drain_seconds: How long an interrupt waits, at most, for rows that are near their end.
        limit: Rows that are begun, at most: the first ones of the manifest, for a trial. All rows are
            planned, and :func:`resume_batch` goes on with the others; None for all.
        until: ``"ordered"`` ends when every row is ordered, and :func:`resume_batch` collects what their
            jobs give: for jobs that take days.
        price: What one job costs that completes, as a plain number: the summary and the report then tell
            what was billed. A resume may tell another, which then holds for all jobs of the batch.
        watching: Told of what happens, and ends it early; see :class:`~.observer.BatchObserver`.
        progress: Whether to show how it goes: in a notebook as an output, on a terminal as ``opus-async batch
            run`` does (with rich), else as a line on stderr every few seconds.

    Returns:
        How the batch stands; rows that failed raise nothing.

    Raises:
        ManifestError: It cannot be run as it is, or ``out`` holds a batch; nothing was sent.
        LedgerError: There can be no ledger in ``out``.
        ConfigurationError: An argument is of the wrong kind; nothing was sent.
        OpusError: The workflow cannot be read.
    """
    _check_mapping("columns", columns, "{'Column': 'Input'}")
    _check_mapping("constants", constants, "{'Input': 'value'}")
    order = BatchSpec(
        workflow_id=workflow_id,
        version_number=version_number,
        version_id=version_id,
        columns=columns or {},
        constants=constants or {},
        title=title,
        description=description,
        key=key,
        decimal=decimal,
        dates=dates,
        true=true,
        false=false,
    )
    source = ManifestSource.of(
        manifest,
        sheet=sheet,
        delimiter=delimiter,
        encoding=encoding,
        pad_short_rows=pad_short_rows,
    )
    settings = RunSettings(
        max_in_flight=max_in_flight,
        start_rate=start_rate,
        halt=halt if isinstance(halt, Halt) else Halt.parse(halt),
        timeout=timeout,
        download_outputs=download_outputs,
        drain_seconds=drain_seconds,
        price=price,
    )
    rules = ManifestPolicy(
        skip_invalid=skip_invalid,
        accept_second_bill=accept_second_bill,
        allow_outside=allow_outside,
        allow_queries=allow_queries,
    )
    goal = SessionGoal(limit=limit, until=until)
    async with observed(watching, Path(out), progress=progress) as watched:
        return await start(
            client,
            Path(out),
            order,
            source,
            settings=settings,
            rules=rules,
            goal=goal,
            watching=watched,
        )


@checked(ConfigurationError, **arguments.RESUME, **arguments.WATCHING)
async def resume_batch(
    client: Client,
    out: str | PathLike[str],
    *,
    manifest: str | PathLike[str] | None = None,
    order: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
    accept_second_bill: bool = False,
    allow_outside: bool = False,
    allow_queries: bool = False,
    limit: int | None = None,
    until: Until = "ended",
    watching: BatchObserver | None = None,
    progress: bool = False,
) -> BatchResult:
    """Go on with a batch, from whatever state a session or a crash left it in.

    Args:
        client: As in :func:`run_batch`; its key and limits may be others than before.
        out: The batch directory.
        manifest: Where the manifest is now; None for where it was. Rows that were added are taken up.
        order: Fields of :class:`~.options.BatchSpec` that shall be others than before: only with ``force``.
        settings: Fields of :class:`~.options.RunSettings` that shall be others than before.
        force: Whether what changes results may be another now, for the rows not begun yet.
        accept_second_bill: Whether rows may run that may have been billed already: their keys or files are
            others than they were, an earlier batch left them unknown, their old jobs cannot be asked, or the
            ledger may not know of all that was ordered. It holds for this call.
        allow_outside: Whether the manifest may name files outside of its folder from now on, if it might not.
        allow_queries: Whether http(s) URLs may have a query from now on, if they might not.
        limit: Rows not begun yet that this session begins, at most; None for all.
        until: As in :func:`run_batch`.
        watching: As in :func:`run_batch`.
        progress: As in :func:`run_batch`.

    Returns:
        How the batch stands; rows that failed raise nothing.

    Raises:
        ManifestError: What changes results is another now.
        LedgerDoubtful: What lies beside the ledger shows that it may not know of all that was billed, or it
            is a copy: only with ``accept_second_bill``.
        LedgerError: There is no batch in ``out``, or its ledger cannot be used.
        LedgerBusy: Another process works on it.
        OpusError: The workflow cannot be read.
    """
    arguments.check_changes("order", order, arguments.SPEC)
    arguments.check_changes("settings", settings, arguments.SETTINGS)
    goal = SessionGoal(limit=limit, until=until)
    changes = ResumeChanges(
        manifest=manifest,
        spec=order or {},
        settings=settings or {},
        force=force,
        accept_second_bill=accept_second_bill,
        allow_outside=allow_outside,
        allow_queries=allow_queries,
        goal=goal,
    )
    async with observed(watching, Path(out), progress=progress) as watched:
        return await resume(client, Path(out), changes, watched)


@checked(ConfigurationError, **arguments.RESUME, watching=arguments.OBSERVER)
async def retry_batch(
    client: Client,
    out: str | PathLike[str],
    *,
    only: Sequence[str] = ("failed", "cancelled"),
    accept_second_bill: bool = False,
    manifest: str | PathLike[str] | None = None,
    order: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
    allow_outside: bool = False,
    allow_queries: bool = False,
    limit: int | None = None,
    until: Until = "ended",
    watching: BatchObserver | None = None,
    progress: bool = False,
) -> BatchResult:
    """Try rows again that did not complete, and go on with the rest.

    The old job of each is asked first: one that has completed meanwhile is collected, one that runs is waited
    for, and only one that ended badly or never started gives way to a new one. Where that cannot be told the
    row is unknown.

    Args:
        client: As in :func:`run_batch`.
        out: The batch directory.
        only: ``failed`` (those that the platform timed out included), ``cancelled``, ``unknown``.
        accept_second_bill: Whether unknown rows may be tried again, rows run anew whose old jobs cannot be
            asked, and rows run that look like ones that have run: all of these may be billed twice. It holds
            for this call.
        manifest: As in :func:`resume_batch`.
        order: As in :func:`resume_batch`.
        settings: As in :func:`resume_batch`.
        force: As in :func:`resume_batch`.
        allow_outside: As in :func:`resume_batch`.
        allow_queries: As in :func:`resume_batch`.
        limit: As in :func:`resume_batch`; rows that are tried again count as not begun.
        until: As in :func:`run_batch`.
        watching: As in :func:`run_batch`.
        progress: As in :func:`run_batch`.

    Returns:
        How the batch stands; rows that failed raise nothing.

    Raises:
        ManifestError: Unknown rows without ``accept_second_bill``; and as in :func:`resume_batch`.
    """
    states = _states(only)
    if RowState.UNKNOWN in states and not accept_second_bill:
        raise ManifestError(
            "Unknown rows may have been billed, and a second run that completes is billed again: resume the "
            "batch, which looks at their jobs first, resolve them, or accept a second bill."
        ).advised(*ACCEPT_SECOND_BILL)
    arguments.check_changes("order", order, arguments.SPEC)
    arguments.check_changes("settings", settings, arguments.SETTINGS)
    goal = SessionGoal(limit=limit, until=until)
    changes = ResumeChanges(
        manifest=manifest,
        spec=order or {},
        settings=settings or {},
        force=force,
        accept_second_bill=accept_second_bill,
        allow_outside=allow_outside,
        allow_queries=allow_queries,
        goal=goal,
    )
    async with observed(watching, Path(out), progress=progress) as watched:
        return await resume(client, Path(out), changes, watched, retry=states)


@checked(ConfigurationError, **arguments.RESOLVE)
async def resolve_batch(
    out: str | PathLike[str],
    decision: str,
    *,
    keys: Sequence[str] | None = None,
    accept_second_bill: bool = False,
    client: Client | None = None,
) -> int:
    """Decide about unknown rows: those whose outcome the platform could not tell.

    Args:
        out: The batch directory.
        decision: ``done`` (it ran, count it as completed), ``failed`` (it did not, leave it), or ``retry``
            (it did not: the next resume asks its job once more, and runs it as a new one unless it ran).
        keys: Which rows; None for all that are unknown.
        accept_second_bill: Whether a row whose job was started may be called failed, or tried again: it is
            billed, or will be.
        client: Asks the platform which of the jobs it shows as started; None to go by what the ledger shows.

    Returns:
        How many rows were decided.

    Raises:
        ManifestError: There is no such row, or it is not unknown, or its job was started.
        LedgerError: As in :func:`resume_batch`.
        OpusError: The client cannot ask the platform; nothing was decided.
    """
    ledger = await SqliteLedger.open(Path(out), orders=())
    ask = None
    if client is not None:
        ask = partial(started, client, ledger.meta.order.workflow_id)
    try:
        return await ledger.resolve(decision, keys=keys, accept_second_bill=accept_second_bill, ask=ask)
    finally:
        await ledger.close()
        await asyncio.to_thread(write_reports, Path(out), log.warning)


def _check_mapping(name: str, given: object, example: str) -> None:
    """Raise ManifestError where something else was given for a mapping."""
    if given is None or isinstance(given, Mapping):
        return
    if isinstance(given, str) and "=" in given:
        left, _, right = given.partition("=")
        example = f"{{{left.strip()!r}: {right.strip()!r}}}"
    raise ManifestError(f"{name} wants a mapping and got {given!r}: pass {name}={example}")


def _states(only: Any) -> tuple[RowState, ...]:
    if isinstance(only, str) or not isinstance(only, Iterable):
        example = only if isinstance(only, str) else "failed"
        raise ManifestError(f"only wants several names and got {only!r}: pass only=({example!r},)")
    if strange := [name for name in only if name not in RETRIED]:
        raise ManifestError(f"There are no {strange[0]!r} rows to retry: choose from {', '.join(RETRIED)}")
    states = [RowState(name) for name in only]
    return (*states, *([RowState.TIMED_OUT] if RowState.FAILED in states else []))
