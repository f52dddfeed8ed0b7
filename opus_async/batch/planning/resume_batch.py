"""Taking up a batch that is there: what changed since, what is planned again, which jobs can be asked."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from opus_async.batch.choices import ACCEPT_SECOND_BILL, FORCE
from opus_async.batch.ledger import UNFINISHED, SqliteLedger
from opus_async.batch.meta import BatchMeta
from opus_async.batch.observer import BatchObserver
from opus_async.batch.options import EVERYTHING, BatchSpec, ManifestPolicy, SessionGoal
from opus_async.batch.outputs import failures
from opus_async.batch.planning.fingerprint import differences, fingerprint
from opus_async.batch.planning.manifest_source import Found, found, manifest_meta, planned_in
from opus_async.batch.planning.run_session import (
    result_without_session,
    run_session,
    session_facts,
    session_setup,
)
from opus_async.batch.planning.workflow_binding import bind, open_workflow, workflow_meta
from opus_async.batch.ports import Client
from opus_async.batch.result import BatchResult
from opus_async.batch.rows import RowState
from opus_async.batch.running.session import Engine, SessionSetup, run_here, write_reports
from opus_async.batch.world import PLACE, Strangers, world_of
from opus_async.errors import LedgerDoubtful, ManifestError
from opus_async.manifests.binding.binding import Binding
from opus_async.metrics.counts import Counts
from opus_async.remote.facts import remembered
from opus_async.remote.patience import patient
from opus_async.text import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeChanges:
    """What shall be other than it was, of a batch that is there.

    Attributes:
        manifest: Where it is now; None for where it was.
        spec: Fields of :class:`opus_async.batch.options.BatchSpec`: they change results, so only with
            ``force``.
        settings: Fields of :class:`opus_async.batch.options.RunSettings`.
        force: Whether what changes results may differ from what the batch was planned with.
        accept_second_bill: Whether rows may run again that have run, or may have.
        allow_outside: Whether rows may name files outside of the manifest's folder, if they might not so far.
        allow_queries: Whether http(s) URLs may have a query, if they might not so far.
        goal: How far this session goes.
    """

    manifest: str | PathLike[str] | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False
    accept_second_bill: bool = False
    allow_outside: bool = False
    allow_queries: bool = False
    goal: SessionGoal = EVERYTHING


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
        client: Of the platform.
        directory: Of the batch.
        changes: What shall be other than it was.
        watching: Who is told.
        retry: States whose rows are tried again: the job of each is asked first.
        engine: Makes what runs the rows.

    Raises:
        ManifestError: What changes results is another now, or jobs cannot be asked where the client leads.
        LedgerError: The ledger cannot be used, or contradicts what lies beside it.
        OpusError: The workflow cannot be read.
    """
    ledger = await SqliteLedger.open(
        directory,
        accept_second_bill=changes.accept_second_bill and not retry,  # there it says that of unknown rows
        orders=UNFINISHED.union(retry),
    )
    try:
        _tell_opened(ledger, watching)
        with patient(client.patience), remembered():
            setup = await _Resume(client, directory, ledger, changes, watching, retry).setup()
        if setup is None:
            await ledger.close()
            if "price" in changes.settings:
                await asyncio.to_thread(write_reports, directory, watching.notice)
            return await result_without_session(directory)
    except BaseException:
        await ledger.close()
        raise
    with patient(client.patience):
        return await run_session(client, replace(setup, goal=changes.goal, engine=engine))


def _tell_opened(ledger: SqliteLedger, watching: BatchObserver) -> None:
    """Tell what it took to make the ledger agree with what lies beside it."""
    if ledger.accepted:
        watching.notice(f"Going on although {'; '.join(ledger.accepted)}.")
    if ledger.proved:
        watching.notice(
            f"{ledger.proved:,} rows count as completed because their lines are in results.jsonl, which "
            "the ledger did not know."
        )
    if ledger.results_lost:
        watching.notice(
            f"Lines are missing from results.jsonl ({ledger.results_lost:,}): what their jobs gave is "
            "looked for again, without a new bill."
        )


@dataclass(frozen=True)
class _Resume:
    """From an open ledger to a session; the arguments are those of :func:`resume`."""

    client: Client
    directory: Path
    ledger: SqliteLedger
    changes: ResumeChanges
    watching: BatchObserver
    retry: Sequence[RowState]

    async def setup(self) -> SessionSetup | None:
        """Plan what is to be planned, and set up the session; None when nothing is left to do."""
        changes, meta = self.changes, self.ledger.meta
        spec = replace(meta.order, **changes.spec)
        settings = meta.settings.changed(changes.settings)
        rules = replace(
            meta.rules,
            accept_second_bill=changes.accept_second_bill,
            allow_outside=changes.allow_outside or meta.rules.allow_outside,
            allow_queries=changes.allow_queries or meta.rules.allow_queries,
        )
        rows = await self._found(meta, spec, rules)
        if rows.to_plan is None and not self.retry and _nothing_left(self.ledger.counts()):
            if settings.price != meta.settings.price:  # nothing is left but to tell what it has cost
                await self.ledger.set_facts(settings=replace(meta.settings, price=settings.price).as_facts())
            return None
        if not self.ledger.at_home:
            _refuse_copy(self.directory)
        lifecycle = await open_workflow(self.client, spec, self.ledger.journal.cache)
        spec = replace(spec, workflow_id=lifecycle.platform.workflow_id)
        asked = fingerprint(spec, lifecycle.platform)
        world = world_of(asked)
        await self._refuse_unreachable(world)
        self._refuse_other_results(meta.fingerprint.as_facts(), asked)
        binding = bind(
            spec,
            lifecycle,
            rows.kind,
            rules,
            # Files among the constants have full paths there: this process may have begun in another folder.
            constants=changes.spec.get("constants") or meta.constants,
            constants_in_digest=meta.constants_in_digests,
        )
        facts = session_facts(self.client, spec, binding, settings=settings, rules=rules, fingerprint=asked)
        facts["workflow"] = workflow_meta(lifecycle).as_facts()
        await self._plan(rows, binding, rules, world, facts)
        if self.ledger.counts().planned:  # what is begun now is sent by the same types as before
            for warning in binding.workflow.warnings:
                self.watching.notice(str(warning))
        return session_setup(
            self.directory,
            self.ledger,
            lifecycle,
            binding,
            base=rows.base,
            settings=settings,
            watching=self.watching,
            world=world,
            rules=rules,
        )

    async def _found(self, meta: BatchMeta, spec: BatchSpec, rules: ManifestPolicy) -> Found:
        """Where the rows come from; planned anew where what they ask for may be another."""
        before = meta.order
        reads_alike = (spec.constants, spec.habits) == (before.constants, before.habits)
        anew = bool(self.retry) or not reads_alike
        rows = await found(meta.manifest, self.changes.manifest, rules, self.watching, anew=anew)
        if not reads_alike and rows.to_plan is None:
            raise ManifestError(
                "The manifest cannot be read, and its rows would have to be read anew for what is given now "
                "(constants, or how numbers, dates and truth values are written); nothing was sent. Name the "
                "manifest, or go on without these."
            )
        return rows

    async def _plan(
        self,
        rows: Found,
        binding: Binding,
        rules: ManifestPolicy,
        world: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> None:
        """Plan the rows of the manifest that changed, and those that are to be tried again."""
        ledger, counts = self.ledger, self.ledger.counts()
        again = sum(getattr(counts, str(state)) for state in self.retry)
        if rows.to_plan is None:
            if self.retry:
                await ledger.retry(self.retry)
            await self._mind_second_bills(world)
            await ledger.set_facts(**facts)
        else:
            columns = await planned_in(
                rows.to_plan,
                binding,
                ledger,
                ledger.journal.cache,
                self.watching,
                world=world,
                rules=rules,
                force=self.changes.force,
                pay_again=self.changes.accept_second_bill,
                same=rows.same,
                retry=self.retry,
            )
            await self._mind_second_bills(world)
            manifest = manifest_meta(rows.to_plan, rows.source).as_facts()
            await ledger.confirm_plan(manifest=manifest, binding=columns, **facts)
        if self.retry:  # until they have ended again, nobody may take them for proved failures
            self.watching.notice(
                f"{counted(again, 'row is', 'rows are')} tried again: the job of each is asked first, and "
                "one that ended badly or never started gets a new one."
            )
            await asyncio.to_thread(failures.write, self.directory)

    async def _mind_second_bills(self, world: Mapping[str, Any]) -> None:
        """Apply this command's ``accept_second_bill``; that of an earlier command counts no more."""
        if self.changes.accept_second_bill:
            await self.ledger.leave_strangers(world)
        else:
            await self.ledger.doubt_again()

    async def _refuse_unreachable(self, world: Mapping[str, Any]) -> None:
        """Raise ManifestError where jobs would have to be asked about that were made elsewhere."""
        strangers = await self.ledger.strangers(world, retried=self.retry)
        running = [found for found in strangers if not found.retried]
        if running:
            raise ManifestError(
                f"{_rows_of(running):,} rows have jobs elsewhere, whose ids mean nothing here; "
                "nothing was sent. Resume where they were made, or resolve them first:",
                _other_places(running, world),
            )
        if strangers and not self.changes.accept_second_bill:
            raise ManifestError(
                f"{_rows_of(strangers):,} rows to be tried again have jobs elsewhere, which "
                "cannot be asked here what became of them; nothing was sent. Go on where they were made, or "
                "give them new jobs and accept a second bill:",
                _other_places(strangers, world),
            ).advised(*ACCEPT_SECOND_BILL)

    def _refuse_other_results(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Raise ManifestError where what changes results is not what it was, unless that is forced."""
        other = differences(before, now)
        if not other:
            return
        if not self.changes.force:
            raise ManifestError(
                "The results would not be those of one batch; nothing was sent. Put back what changed, or go "
                "on with it for the rows not begun yet by force:",
                other,
            ).advised(*FORCE)
        self.watching.notice(f"Going on although something changed: {'; '.join(other)}.")


def _rows_of(strangers: Sequence[Strangers]) -> int:
    return sum(found.rows for found in strangers)


def _other_places(strangers: Sequence[Strangers], world: Mapping[str, Any]) -> list[str]:
    """In what the places where these jobs were made differ from this one."""
    return [
        sentence
        for found in strangers
        for sentence in differences(
            *({name: facts.get(name) for name in PLACE} for facts in (found.world, world))
        )
    ]


def _refuse_copy(directory: Path) -> NoReturn:
    """Of a copy whose rows have all ended: what is new in its manifest, the original would run, too."""
    raise LedgerDoubtful(
        f"{directory} is a copy of a batch, and rows that are new in its manifest may be run where that is, "
        f"too. Resume there; or if this copy is the one that goes on, 'opus-async batch resume "
        f"{shlex.quote(str(directory))} --accept-second-bill'"
    ).advised(*ACCEPT_SECOND_BILL)


def _nothing_left(counts: Counts) -> bool:
    return not (counts.planned or counts.in_flight or counts.unknown)
