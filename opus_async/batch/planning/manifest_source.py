"""The manifest of a batch on its way to the ledger: opened, checked, planned, refused where it must be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from types import MappingProxyType
from typing import Any

from opus_async.batch.choices import ACCEPT_SECOND_BILL, FORCE, SKIP_INVALID_ROWS
from opus_async.batch.meta import ManifestMeta
from opus_async.batch.observer import BatchObserver
from opus_async.batch.options import ManifestPolicy, ManifestSource
from opus_async.batch.outputs.earlier_job import second_bill_check
from opus_async.batch.planning.plan import PlanAhead, plan
from opus_async.batch.ports import BatchStore, Planned
from opus_async.batch.rows import RowState
from opus_async.errors import ManifestError
from opus_async.manifests import FOLDERS, Manifest, open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.file_digests import FileDigests
from opus_async.manifests.problem import Problem
from opus_async.manifests.validation.result import Validation
from opus_async.manifests.validation.row_check import RecordCheck
from opus_async.manifests.validation.validate import validate
from opus_async.platform import Cache, Platform
from opus_async.remote_urls import Place, place_of
from opus_async.text import counted, plural

NO_PROBLEMS: Mapping[int, str] = MappingProxyType({})
_SHOWN = 20
"""Problems that an error quotes; all of them are in its validation."""
_IN_PYTHON = (
    "In Python, --map is columns={...}, --set is constants={...}, --allow-outside is allow_outside=True, "
    "--allow-queries is allow_queries=True, --accept-second-bill is accept_second_bill=True."
)


class RowsRefused(ManifestError):
    """Some rows cannot be run as they are, and nothing was sent.

    Attributes:
        validation: What is wrong with which.
    """

    def __init__(self, message: str, problems: Sequence[str], validation: Validation) -> None:
        super().__init__(message, problems)
        self.validation = validation
        self.add_note(_IN_PYTHON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where the rows of a batch come from this time.

    Attributes:
        source: Where the manifest is.
        kind: What it is.
        base: The folder that relative file cells start at.
        to_plan: The manifest, if it is to be planned again; None if the ledger knows it as it is, or it is
            gone.
        same: Whether it is, by its stamp, what was planned before.
    """

    source: ManifestSource
    kind: str
    base: Place
    to_plan: Manifest | None
    same: bool = True


async def found(
    meta: ManifestMeta,
    moved: str | PathLike[str] | None,
    rules: ManifestPolicy,
    watching: BatchObserver,
    *,
    anew: bool,
) -> Found:
    """Open the manifest of a batch that is resumed, and tell whether it is to be planned again.

    Args:
        meta: What the ledger knows of its manifest.
        moved: Where it is now; None for where it was.
        rules: What is tolerated of it.
        watching: Told when it is gone.
        anew: Whether to plan it again although it is the same.

    Raises:
        ManifestError: There is none where it was said to be.
    """
    source = ManifestSource.from_facts(meta.as_facts())
    if moved is not None:
        source = replace(source, manifest=ManifestSource.of(moved).manifest)
    try:
        manifest = await asyncio.to_thread(opened, source, rules)
    except ManifestError as error:
        if moved is not None:
            raise
        watching.notice(f"The manifest cannot be read ({error.message}); going on with the rows planned.")
        return Found(source=source, kind=meta.kind, base=place_of(meta.base), to_plan=None)
    same = await asyncio.to_thread(manifest.stamp) == meta.stamp
    to_plan = None if same and not anew else manifest
    return Found(source=source, kind=manifest.kind, base=manifest.base, to_plan=to_plan, same=same)


def opened(source: ManifestSource, rules: ManifestPolicy) -> Manifest:
    """Open a manifest."""
    return open_manifest(
        source.manifest,
        sheet=source.sheet,
        delimiter=source.delimiter,
        encoding=source.encoding,
        pad_short_rows=source.pad_short_rows,
        allow_query=rules.allow_queries,
    )


def manifest_meta(manifest: Manifest, source: ManifestSource) -> ManifestMeta:
    """The facts of a manifest, for the ledger."""
    return ManifestMeta(
        **source.as_facts(),
        path=str(manifest.path),
        kind=manifest.kind,
        base=str(manifest.base),
        stamp=manifest.stamp(),
    )


async def checked(
    manifest: Manifest,
    binding: Binding,
    platform: Platform[Any, Any],
    rules: ManifestPolicy,
    watching: BatchObserver,
    *,
    ahead: PlanAhead | None = None,
) -> dict[int, str]:
    """Check every row before anything is sent; of those that may stay behind, index -> problem.

    Args:
        manifest: What is checked.
        binding: From its cells to inputs.
        platform: The platform that would run its rows, open.
        rules: What is tolerated of it.
        watching: Who is told.
        ahead: Plans the rows meanwhile.

    Raises:
        RowsRefused: It cannot be run as it is.
    """
    refused: dict[int, str] = {}

    def note(problem: Problem) -> None:
        if rules.skip_invalid and problem.is_error and problem.index is not None:
            refused.setdefault(problem.index, problem.sentence)

    validation = await validate(
        manifest,
        binding,
        platform,
        checks=row_checks(platform, rules),
        on_problem=note,
        on_progress=lambda rows: watching.planning("checked", rows),
        on_row=None if ahead is None else ahead.add,
    )
    for cause in validation.causes:
        if not cause.first.is_error:
            more = f" (and {cause.count - 1:,} more like it)" if cause.count > 1 else ""
            watching.notice(f"{_told(cause.first)}{more}")
    if validation.doomed or (validation.invalid and not rules.skip_invalid):
        error = RowsRefused(_refusal(validation), _quoted(validation), validation)
        others_can = validation.valid and not validation.doomed
        raise error.advised(*SKIP_INVALID_ROWS) if others_can else error
    return refused


def row_checks(platform: Platform[Any, Any], rules: ManifestPolicy) -> tuple[RecordCheck, ...]:
    """What a batch checks of every row beside its inputs: that no job is billed a second time."""
    return () if rules.accept_second_bill else (second_bill_check(platform.identity),)


def _refusal(validation: Validation) -> str:
    """Why nothing can be run as it is: first what is wrong with the manifest as a whole."""
    if validation.doomed:
        worst = next(cause.first for cause in validation.causes if _of_the_whole(cause.first))
        return f"The manifest cannot be run: {worst.sentence} (nothing was sent):"
    way_out = "Mend them, or let the others run:" if validation.valid else "Mend them:"
    rows = counted(validation.rows, "row")
    return f"{validation.invalid:,} of {rows} cannot be run; nothing was sent. {way_out}"


def _quoted(validation: Validation) -> list[str]:
    """The first problems, those of the manifest as a whole before those of its rows."""
    first = sorted(validation.errors, key=lambda problem: not _of_the_whole(problem))[:_SHOWN]
    summary = [validation.outside.summary] if validation.outside.count > 1 else []
    quoted = [*summary, *(_told(problem) for problem in first)]
    if more := validation.error_count - len(first):
        quoted.append(f"... and {more:,} more (opus-async batch validate lists all)")
    return quoted


def _of_the_whole(problem: Problem) -> bool:
    return problem.is_error and problem.index is None


def _told(problem: Problem) -> str:
    where = f"{problem.where}: " if problem.where else ""
    return f"{where}{problem.sentence}"


async def planned_in(
    manifest: Manifest,
    binding: Binding,
    store: BatchStore,
    memory: Cache,
    watching: BatchObserver,
    *,
    world: Mapping[str, Any],
    problems: Mapping[int, str] = NO_PROBLEMS,
    rules: ManifestPolicy,
    force: bool = False,
    pay_again: bool = False,
    same: bool = False,
    retry: Sequence[RowState] = (),
    ahead: PlanAhead | None = None,
) -> list[dict[str, Any]]:
    """Plan all rows, for the ledger to confirm; returns what each column is for.

    Args:
        manifest: What is planned.
        binding: From its cells to inputs.
        store: Where.
        memory: Tells what was sent of documents elsewhere.
        watching: Who is told.
        world: As in :func:`opus_async.batch.planning.plan.plan`.
        problems: Index -> problem of rows that are planned as failed.
        rules: Whether rows of an earlier batch may run that may have been billed.
        force: Whether rows that have run may keep results of something else.
        pay_again: Whether rows may run that look like rows of this batch that have run.
        same: Whether the manifest is, by its stamp, what was planned before.
        retry: As in :func:`opus_async.batch.planning.plan.plan`.
        ahead: What has planned the rows of a new batch already, all of which can run. If it gave up, they are
            planned here.

    Raises:
        ManifestError: It cannot be planned, or rows that have run would run again. Nothing was changed.
    """
    try:
        if ahead is not None and await ahead.end():
            watching.planning("planned", ahead.rows)
            planned = await store.end_plan()
            columns: Sequence[str] = list(ahead.columns)
        else:
            planned, columns = await plan(
                manifest,
                binding,
                store,
                digests=FileDigests(store, memory),
                problems=problems,
                world=world,
                accept_second_bill=rules.accept_second_bill,
                skip_invalid=rules.skip_invalid,
                retry=retry,
                on_progress=lambda rows: watching.planning("planned", rows),
            )
        if not force:
            _refuse_changed(planned)
        if not pay_again:
            _refuse_second_bill(planned, manifest.kind, same=same)
    except BaseException:
        await asyncio.shield(store.abandon_plan())
        raise
    for sentence in _remarks(planned):
        watching.notice(sentence)
    return [column.as_json() for column in binding.table(columns)]


def _remarks(planned: Planned) -> list[str]:
    said = []
    if planned.repeated_count:
        key, index = planned.repeated[0]
        rows = counted(
            planned.repeated_count, "row is identical to an earlier one", "rows are identical to earlier ones"
        )
        said.append(
            f"{rows} (the first is row {index + 1}, key {key}): each runs, and is billed, on its own, under "
            "a key that ends in ~2, ~3 ..."
        )
    if planned.missing:
        stay = plural(planned.missing, "it stays", "they stay")
        said.append(f"{_gone(planned.missing)} any more: {stay}.")
    if planned.withdrawn:
        rows = counted(planned.withdrawn, "row is", "rows are")
        said.append(f"{rows} not in the manifest any more and had not begun: taken out.")
    return said


def _gone(number: int) -> str:
    return counted(
        number, "row that has run is not in the manifest", "rows that have run are not in the manifest"
    )


def _refuse_changed(planned: Planned) -> None:
    """Raise ManifestError where rows that have run ask for something else now under the same key."""
    if planned.changed_count:
        some = ", ".join(planned.changed[:3])
        raise ManifestError(
            f"{counted(planned.changed_count, 'row has run and asks', 'rows have run and ask')} for "
            f"something else now ({some}); nothing was sent. Give them another key to run them again, or "
            "let them keep the result they have."
        ).advised(*FORCE)


def _refuse_second_bill(planned: Planned, kind: str, *, same: bool) -> None:
    """Raise ManifestError where it looks as if rows that have run would run again under other keys."""
    way_out = "Put it back as it was, or run them and accept a second bill."
    edited = max(planned.edited, planned.new - planned.withdrawn if same else 0)
    if edited > 0:
        raise ManifestError(
            f"{counted(edited, 'row that has run comes', 'rows that have run come')} again under other keys, "
            "because their files hold something else now, documents elsewhere have another version, or "
            f"another column names them: they would be billed again. Nothing was sent. {way_out}"
        ).advised(*ACCEPT_SECOND_BILL)
    if planned.new and planned.missing and kind not in FOLDERS:  # documents are taken out once they are done
        raise ManifestError(
            f"{_gone(planned.missing)} any more, and {counted(planned.new, 'row is', 'rows are')} new: "
            "the same rows may have got other keys (another column, another way of writing), and "
            f"would be billed again. Nothing was sent. {way_out}"
        ).advised(*ACCEPT_SECOND_BILL)
