"""From what is asked for to a session at work: a manifest checked and planned, or a ledger taken up again."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from opus_async.batch.ledger import UNFINISHED, SqliteLedger
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.observer import BatchObserver
from opus_async.batch.options import BatchSpec, ManifestPolicy, ManifestSource, RunSettings
from opus_async.batch.outputs import failures
from opus_async.batch.outputs.earlier_job import second_bill_check
from opus_async.batch.outputs.summary import summarise
from opus_async.batch.planning.fingerprint import differences, fingerprint
from opus_async.batch.planning.manifest_source import checked, found, manifest_meta, opened, planned_in
from opus_async.batch.ports import BatchStore, Client
from opus_async.batch.result import BatchResult
from opus_async.batch.rows import RowState
from opus_async.batch.running.session import Engine, SessionSetup, ended_because, exit_code, run_here, work
from opus_async.batch.world import PLACE, Strangers, world_of
from opus_async.errors import LedgerDoubtful, ManifestError, OpusError
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.layout import LEDGER, LOCK
from opus_async.manifests import FOLDERS
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.problem import Problem
from opus_async.manifests.validation.estimate import ThroughputAssumptions
from opus_async.manifests.validation.validate import Validation, validate
from opus_async.metrics.bottleneck import Bounds
from opus_async.metrics.counts import Counts
from opus_async.platform import Cache


@dataclass(frozen=True, slots=True)
class ResumeChanges:
    """What shall be other than it was, of a batch that is there.

    Attributes:
        manifest: Where it is now; None for where it was.
        order: What changes results; only with ``force``.
        settings: What does not.
        force: Whether what changes results may differ from what the batch was planned with.
        accept_second_bill: Whether rows may run again that have run, or may have.
        allow_outside: Whether rows may name files outside of the manifest's folder, if they might not so far.
    """

    manifest: str | PathLike[str] | None = None
    order: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False
    accept_second_bill: bool = False
    allow_outside: bool = False


async def start(
    client: Client,
    directory: Path,
    order: BatchSpec,
    source: ManifestSource,
    *,
    settings: RunSettings,
    rules: ManifestPolicy,
    watching: BatchObserver,
    engine: Engine = run_here,
) -> BatchResult:
    """Make a batch directory and work on it. Until its ledger has its name, nothing is there to resume."""
    if (directory / LEDGER).exists():
        raise ManifestError(
            f"{directory} holds a batch already: 'opus-async batch resume {directory}' goes on with it. For "
            "a new one name another directory (--out)."
        )
    manifest = await asyncio.to_thread(opened, source)
    made = not await asyncio.to_thread(directory.exists)
    ledger = await SqliteLedger.create(directory, {})
    try:
        lifecycle = await _lifecycle(client, order, ledger.journal.cache)
        order = replace(order, workflow_id=lifecycle.platform.workflow_id)  # of the link of a page, say
        binding = _binding(order, lifecycle, manifest.kind, order.constants, rules)
        problems = await checked(manifest, binding, lifecycle.platform, rules, watching)
        asked = fingerprint(order, lifecycle.platform)
        world = world_of(asked)
        columns = await planned_in(
            manifest, binding, ledger, watching, world=world, problems=problems, rules=rules
        )
        await ledger.confirm_plan(
            **_asked(client, order, binding, settings=settings, rules=rules, fingerprint_now=asked),
            binding=columns,
            stages=_stages(lifecycle),
            manifest=manifest_meta(manifest, source).as_facts(),
        )
        await ledger.publish()
        crew = _setup(
            directory,
            ledger,
            lifecycle,
            binding,
            base=manifest.base,
            settings=settings,
            watching=watching,
            world=world,
            rules=rules,
            engine=engine,
        )
    except BaseException:
        await ledger.close()
        _tidy(directory, made=made)
        raise
    return await _work(client, crew)


def _tidy(directory: Path, *, made: bool) -> None:
    """Leave nothing behind of a batch that never was."""
    if (directory / LEDGER).exists():
        return
    with suppress(OSError):
        (directory / LOCK).unlink(missing_ok=True)
        if made:
            directory.rmdir()


async def resume(
    client: Client,
    directory: Path,
    changes: ResumeChanges,
    watching: BatchObserver,
    *,
    retry: Sequence[RowState] = (),
    engine: Engine = run_here,
) -> BatchResult:
    """Take up a batch that is there, first the rows that may be running.

    Args:
        client: As in :func:`start`.
        directory: Of the batch.
        changes: What shall be other than it was.
        watching: Who is told.
        retry: States whose rows are tried again: the job of each is asked first.
        engine: Makes what runs the rows.
    """
    ledger = await SqliteLedger.open(
        directory,
        accept_second_bill=changes.accept_second_bill and not retry,  # there it says that of unknown rows
        orders=UNFINISHED.union(retry),
    )
    try:
        if ledger.accepted:
            watching.notice(f"Going on although {'; '.join(ledger.accepted)}.")
        if ledger.proved:
            watching.notice(
                f"{ledger.proved:,} rows count as completed because their lines are in results.jsonl, which "
                "the ledger did not know."
            )
        if ledger.recollected:
            watching.notice(
                f"Lines are missing from results.jsonl ({ledger.recollected:,}): what their jobs gave is "
                "looked for again, without a new bill."
            )
        meta = ledger.meta
        order = replace(meta.order, **changes.order)
        settings = meta.settings.changed(changes.settings)
        rows = found(meta.manifest, changes.manifest, watching, anew=bool(retry))
        if rows.to_plan is None and not retry and _nothing_left(ledger.counts()):
            await ledger.close()
            return await _as_it_stands(directory)
        if not ledger.at_home:
            _refuse_copy(directory)
        lifecycle = await _lifecycle(client, order, ledger.journal.cache)
        order = replace(order, workflow_id=lifecycle.platform.workflow_id)
        asked = fingerprint(order, lifecycle.platform)
        world = world_of(asked)
        strangers = await ledger.strangers(world, retried=retry)
        _reachable(strangers, world, accept_second_bill=changes.accept_second_bill)
        _same(meta.fingerprint.as_facts(), asked, watching, force=changes.force)
        # Files among the constants have full paths there: this process may have begun in another folder.
        constants = changes.order.get("constants") or meta.constants
        rules = _rules(meta.rules, changes)
        binding = _binding(order, lifecycle, rows.kind, constants, rules)
        counts = ledger.counts()
        again = sum(getattr(counts, str(state)) for state in retry)
        kept = _asked(client, order, binding, settings=settings, rules=rules, fingerprint_now=asked)
        if rows.to_plan is None:
            if retry:
                await ledger.retry(retry)
            await _mind_second_bills(ledger, world, changes)
            await ledger.set_facts(**kept)
        else:
            columns = await planned_in(
                rows.to_plan,
                binding,
                ledger,
                watching,
                world=world,
                rules=rules,
                force=changes.force,
                pay_again=changes.accept_second_bill,
                same=rows.same,
                retry=retry,
            )
            await _mind_second_bills(ledger, world, changes)
            await ledger.confirm_plan(
                manifest=manifest_meta(rows.to_plan, rows.source).as_facts(), binding=columns, **kept
            )
        if retry:  # until they have ended again, nobody may take them for proved failures
            watching.notice(
                f"{again:,} rows are tried again: the job of each is asked first, and one that ended badly "
                "or never started gets a new one."
            )
            await asyncio.to_thread(failures.write, directory)
        crew = _setup(
            directory,
            ledger,
            lifecycle,
            binding,
            base=rows.base,
            settings=settings,
            watching=watching,
            world=world,
            rules=rules,
            engine=engine,
        )
    except BaseException:
        await ledger.close()
        raise
    return await _work(client, crew)


async def validate_manifest(
    client: Client,
    order: BatchSpec,
    source: ManifestSource,
    *,
    rules: ManifestPolicy,
    pace: ThroughputAssumptions,
    on_problem: Callable[[Problem], object] | None,
    on_progress: Callable[[int], object] | None,
) -> Validation:
    """Check every row of a manifest and stop there; see :mod:`opus_async.manifests.validation.validate`."""
    manifest = await asyncio.to_thread(opened, source)
    lifecycle = await _lifecycle(client, order, None)
    return await validate(
        manifest,
        _binding(order, lifecycle, manifest.kind, order.constants, rules),
        lifecycle.platform,
        checks=() if rules.accept_second_bill else (second_bill_check(lifecycle.platform.identity),),
        on_problem=on_problem,
        on_progress=on_progress,
        pace=pace,
    )


# The platform


async def _lifecycle(client: Client, order: BatchSpec, memory: Cache | None) -> Lifecycle[Any, Any]:
    lifecycle = client.lifecycle(
        order.workflow_id,
        memory=memory,
        version_number=order.version_number,
        version_id=order.version_id,
    )
    try:
        await lifecycle.platform.open()
    except OpusError as error:
        raise error.located(stage=lifecycle.platform.stages.bind) from None
    return lifecycle


def _binding(
    order: BatchSpec,
    lifecycle: Lifecycle[Any, Any],
    kind: str,
    constants: Mapping[str, Any],
    rules: ManifestPolicy,
) -> Binding:
    return Binding(
        lifecycle.platform.workflow,
        columns=order.columns,
        constants=constants,
        title=order.title,
        description=order.description,
        key=order.key,
        version_number=order.version_number,
        version_id=order.version_id,
        folder=kind in FOLDERS,
        allow_outside=rules.allow_outside,
    )


def _rules(before: ManifestPolicy, changes: ResumeChanges) -> ManifestPolicy:
    """What is tolerated this time."""
    return replace(
        before,
        accept_second_bill=changes.accept_second_bill,
        allow_outside=changes.allow_outside or before.allow_outside,
    )


def _reachable(strangers: Sequence[Strangers], world: Mapping[str, Any], *, accept_second_bill: bool) -> None:
    """Raise ManifestError where jobs would have to be asked about that were made elsewhere."""
    running = [found for found in strangers if not found.retried]
    if running:
        raise ManifestError(
            f"{_rows_of(running):,} rows have jobs elsewhere, whose ids mean nothing here; "
            "nothing was sent. Resume where they were made, or decide about them first ('batch resolve'):",
            _moved(running, world),
        )
    if strangers and not accept_second_bill:
        raise ManifestError(
            f"{_rows_of(strangers):,} rows to be tried again have jobs elsewhere, which "
            "cannot be asked here what became of them; nothing was sent. Go on where they were made, or give "
            "them new jobs, which may be billed a second time, with --accept-second-bill:",
            _moved(strangers, world),
        )


def _rows_of(strangers: Sequence[Strangers]) -> int:
    return sum(found.rows for found in strangers)


def _moved(strangers: Sequence[Strangers], world: Mapping[str, Any]) -> list[str]:
    return [
        sentence
        for found in strangers
        for sentence in differences(
            *({name: facts.get(name) for name in PLACE} for facts in (found.world, world))
        )
    ]


async def _mind_second_bills(store: BatchStore, world: Mapping[str, Any], changes: ResumeChanges) -> None:
    """Let rows run that may have been billed, or not, as this command says whatever an earlier one said."""
    if changes.accept_second_bill:
        await store.leave_strangers(world)
    else:
        await store.doubt_again()


def _same(before: Mapping[str, Any], now: Mapping[str, Any], watching: BatchObserver, *, force: bool) -> None:
    """Whether what changes results is what it was."""
    other = differences(before, now)
    if not other:
        return
    if not force:
        raise ManifestError(
            "The results would not be those of one batch; nothing was sent. Put back what changed, or go on "
            "with it for the rows not begun yet with --force:",
            other,
        )
    watching.notice(f"Going on although something changed: {'; '.join(other)}.")


def _asked(
    client: Client,
    order: BatchSpec,
    binding: Binding,
    *,
    settings: RunSettings,
    rules: ManifestPolicy,
    fingerprint_now: Mapping[str, Any],
) -> dict[str, Any]:
    """What is asked for this time, for the ledger; and how the client is set up, for whoever goes on."""
    return {
        "order": order.as_facts(),
        "fingerprint": fingerprint_now,
        "constants": dict(binding.constants),
        "settings": settings.as_facts(),
        "rules": rules.as_facts(),
        "client": {"limits": client.asked_limits.model_dump(), "retry": client.retry.model_dump()},
    }


# The work


def _setup(
    directory: Path,
    ledger: SqliteLedger,
    lifecycle: Lifecycle[Any, Any],
    binding: Binding,
    *,
    base: Path,
    settings: RunSettings,
    watching: BatchObserver,
    world: Mapping[str, Any],
    rules: ManifestPolicy,
    engine: Engine,
) -> SessionSetup:
    return SessionSetup(
        directory=directory,
        store=ledger,
        queue=ledger,
        journal=ledger.journal,
        lifecycle=lifecycle,
        binding=binding,
        base=base,
        settings=settings,
        watching=watching,
        world=world,
        accept_second_bill=rules.accept_second_bill,
        engine=engine,
    )


def _refuse_copy(directory: Path) -> NoReturn:
    """Of a copy whose rows have all ended: what is new in its manifest, the original would run, too."""
    raise LedgerDoubtful(
        f"{directory} is a copy of a batch, and rows that are new in its manifest may be run where that is, "
        f"too. Resume there; or if this copy is the one that goes on, 'opus-async batch resume "
        f"{shlex.quote(str(directory))} --accept-second-bill'"
    )


def _nothing_left(counts: Counts) -> bool:
    return not (counts.planned or counts.in_flight or counts.unknown)


async def _as_it_stands(directory: Path) -> BatchResult:
    summary = await asyncio.to_thread(summarise, directory)
    with LedgerReader(directory) as ledger:
        counts = ledger.counts()
    return BatchResult(
        directory=directory,
        counts=counts,
        exit_code=exit_code(None, counts),
        ended_because="finished",
        summary=summary,
    )


async def _work(client: Client, crew: SessionSetup) -> BatchResult:
    control = crew.control
    control.drain_seconds = crew.settings.drain_seconds
    crew.progress.follow(
        stages=_stages(crew.lifecycle),
        counts=crew.queue.counts,
        admitting=lambda: control.admitting,
        bounds=Bounds(max_in_flight=crew.settings.max_in_flight, start_rate=crew.settings.start_rate),
        limits=client.limits,
    )
    with client.listening(crew.progress):
        counts = await work(crew)
    return BatchResult(
        directory=crew.directory,
        counts=counts,
        exit_code=exit_code(control.reason, counts),
        ended_because=ended_because(control.reason),
        summary=await asyncio.to_thread(summarise, crew.directory),
        error=control.reason.error if control.reason else None,
    )


def _stages(lifecycle: Lifecycle[Any, Any]) -> list[str]:
    stages = lifecycle.platform.stages
    return [stages.bind, stages.prepare, stages.create, stages.start, stages.watch, stages.collect]
