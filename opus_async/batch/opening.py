"""From what is asked for to a session at work: a manifest checked and planned, or a ledger taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

from opus_async.batch.binding import Binding
from opus_async.batch.control import Control
from opus_async.batch.digests import FileDigests
from opus_async.batch.estimate import Pace
from opus_async.batch.fingerprint import differences, fingerprint
from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.manifest import Manifest, open_manifest
from opus_async.batch.options import Order, Settings, Source
from opus_async.batch.plan import plan
from opus_async.batch.ports import Client, Planned
from opus_async.batch.problems import Problem
from opus_async.batch.progress import Progress
from opus_async.batch.reading import LEDGER, LedgerReader
from opus_async.batch.result import BatchResult
from opus_async.batch.rows import Counts, RowState
from opus_async.batch.session import Crew, Notice, ended_because, exit_code, work
from opus_async.batch.summary import summarise
from opus_async.batch.validate import Validation, validate
from opus_async.errors import ManifestError, OpusError
from opus_async.lifecycle import Lifecycle
from opus_async.platform import Memory

LARGE_SHARE = 0.5
"""Of the rows that have run: when so many are missing while new ones came, their keys may have changed."""
FOLDERS = frozenset({"folder", "glob"})
_SHOWN = 20
"""Problems that an error quotes; all of them are in its validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who is told what while a batch is worked on; all of it is optional.

    Attributes:
        control: Ends it early.
        progress: Counts what happens, to be drawn.
        notice: Told in a sentence what a person should know.
        planning: Told what is done before the first row starts (``checked``, ``planned``), and of how many
            rows so far.
    """

    control: Control = field(default_factory=Control)
    progress: Progress | None = None
    notice: Notice = lambda _: None
    planning: Callable[[str, int], None] = lambda _what, _rows: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is tolerated of a manifest: rows that cannot be run, and rows that may be billed again."""

    skip_invalid: bool = False
    accept_second_bill: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What shall be other than it was, of a batch that is there.

    Attributes:
        manifest: Where it is now; None for where it was.
        order: What changes results; only with ``force``.
        settings: What does not.
        force: See there.
    """

    manifest: str | PathLike[str] | None = None
    order: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False


class RowsRefused(ManifestError):
    """Some rows cannot be run as they are, and nothing was sent.

    Attributes:
        validation: What is wrong with which.
    """

    def __init__(self, message: str, problems: Sequence[str], validation: Validation) -> None:
        super().__init__(message, problems)
        self.validation = validation


async def begin(
    client: Client,
    directory: Path,
    order: Order,
    source: Source,
    *,
    settings: Settings,
    rules: Rules,
    watching: Watching,
) -> BatchResult:
    """Make a batch directory and work on it. Until its ledger has its name, nothing is there to resume."""
    if (directory / LEDGER).exists():
        raise ManifestError(
            f"{directory} holds a batch already: 'opus-async batch resume {directory}' goes on with it. For "
            "a new one name another directory (--out)."
        )
    manifest = await asyncio.to_thread(_manifest, source)
    ledger = await SqliteLedger.create(directory, {})
    try:
        lifecycle = await _lifecycle(client, order, ledger.memory)
        binding = _binding(order, lifecycle, manifest.kind, order.constants)
        problems = await _checked(manifest, binding, lifecycle, rules, watching)
        columns = await _planned(manifest, binding, ledger, problems, watching)
        await ledger.set_facts(
            order=order.as_facts(),
            fingerprint=fingerprint(order, lifecycle.platform),
            binding=columns,
            constants=dict(binding.constants),
            stages=_stages(lifecycle),
            settings=settings.as_facts(),
            manifest=_manifest_facts(manifest, source),
            client=_client_facts(client),
        )
        await ledger.publish()
        crew = Crew(
            directory=directory,
            ledger=ledger,
            lifecycle=lifecycle,
            binding=binding,
            base=manifest.base,
            settings=settings,
            control=watching.control,
            progress=watching.progress or Progress(),
            notice=watching.notice,
        )
    except BaseException:
        await ledger.close()
        raise
    return await _work(client, crew)


async def go_on(
    client: Client,
    directory: Path,
    changes: Changes,
    watching: Watching,
    *,
    retry: Sequence[RowState] = (),
) -> BatchResult:
    """Take up a batch that is there, first the rows that may be running.

    Args:
        client: As in :func:`begin`.
        directory: Of the batch.
        changes: What shall be other than it was.
        watching: Who is told.
        retry: States whose rows are run again, each as a new job.
    """
    ledger = await SqliteLedger.open(directory)
    try:
        facts = ledger.facts
        order = Order.from_facts({**facts["order"], **changes.order})
        settings = Settings.from_facts(facts["settings"]).changed(changes.settings)
        rows = _rows(facts["manifest"], changes.manifest, watching, anew=bool(retry))
        if retry:
            number = await ledger.retry(retry)
            watching.notice(f"{number:,} rows are run again, each as a new job.")
        if rows.to_plan is None and _nothing_left(ledger.counts()):
            await ledger.close()
            return await _as_it_stands(directory)
        lifecycle = await _lifecycle(client, order, ledger.memory)
        await _same(facts["fingerprint"], order, lifecycle, watching, force=changes.force)
        # Files among the constants have full paths there: this process may have begun in another folder.
        constants = changes.order.get("constants") or facts["constants"]
        binding = _binding(order, lifecycle, rows.kind, constants)
        if rows.to_plan is not None:
            columns = await _planned(rows.to_plan, binding, ledger, {}, watching, force=changes.force)
            await ledger.set_facts(manifest=_manifest_facts(rows.to_plan, rows.source), binding=columns)
        await ledger.set_facts(
            order=order.as_facts(),
            fingerprint=fingerprint(order, lifecycle.platform),
            constants=dict(binding.constants),
            settings=settings.as_facts(),
            client=_client_facts(client),
        )
        crew = Crew(
            directory=directory,
            ledger=ledger,
            lifecycle=lifecycle,
            binding=binding,
            base=rows.base,
            settings=settings,
            control=watching.control,
            progress=watching.progress or Progress(),
            notice=watching.notice,
        )
    except BaseException:
        await ledger.close()
        raise
    return await _work(client, crew)


async def examine(
    client: Client,
    order: Order,
    source: Source,
    *,
    accept_second_bill: bool,
    pace: Pace,
    on_problem: Callable[[Problem], object] | None,
    on_progress: Callable[[int], object] | None,
) -> Validation:
    """Check every row of a manifest, and stop there; see :func:`opus_async.batch.validate.validate`."""
    manifest = await asyncio.to_thread(_manifest, source)
    lifecycle = await _lifecycle(client, order, None)
    return await validate(
        manifest,
        _binding(order, lifecycle, manifest.kind, order.constants),
        lifecycle.platform,
        accept_second_bill=accept_second_bill,
        on_problem=on_problem,
        on_progress=on_progress,
        pace=pace,
    )


# The manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Where the rows of a batch come from this time.

    Attributes:
        source: Where the manifest is.
        kind: What it is.
        base: The folder that relative file cells start at.
        to_plan: The manifest, if it is to be planned again; None if the ledger knows it as it is, or it is
            gone.
    """

    source: Source
    kind: str
    base: Path
    to_plan: Manifest | None


def _rows(
    facts: Mapping[str, Any], moved: str | PathLike[str] | None, watching: Watching, *, anew: bool
) -> _Rows:
    source = Source.from_facts(facts)
    if moved is not None:
        source = replace(source, manifest=Source.of(Path(moved)).manifest)
    try:
        manifest = _manifest(source)
    except ManifestError as error:
        if moved is not None:
            raise
        watching.notice(f"The manifest cannot be read ({error.message}); going on with the rows planned.")
        return _Rows(source=source, kind=facts["kind"], base=Path(facts["base"]), to_plan=None)
    known = manifest.stamp() == facts["stamp"] and not anew
    return _Rows(source=source, kind=manifest.kind, base=manifest.base, to_plan=None if known else manifest)


def _manifest(source: Source) -> Manifest:
    return open_manifest(
        source.manifest, sheet=source.sheet, delimiter=source.delimiter, encoding=source.encoding
    )


def _manifest_facts(manifest: Manifest, source: Source) -> dict[str, Any]:
    return {
        **source.as_facts(),
        "path": str(manifest.path),
        "kind": manifest.kind,
        "base": str(manifest.base),
        "stamp": manifest.stamp(),
    }


async def _checked(
    manifest: Manifest,
    binding: Binding,
    lifecycle: Lifecycle[Any, Any],
    rules: Rules,
    watching: Watching,
) -> dict[int, str]:
    """Check every row before anything is sent; of those that may stay behind, index -> problem."""
    refused: dict[int, str] = {}

    def note(problem: Problem) -> None:
        if rules.skip_invalid and problem.is_error and problem.index is not None:
            refused.setdefault(problem.index, problem.sentence)

    validation = await validate(
        manifest,
        binding,
        lifecycle.platform,
        accept_second_bill=rules.accept_second_bill,
        on_problem=note,
        on_progress=lambda rows: watching.planning("checked", rows),
    )
    for cause in validation.causes:
        if not cause.first.is_error:
            more = f" (and {cause.count - 1:,} more like it)" if cause.count > 1 else ""
            watching.notice(f"{_told(cause.first)}{more}")
    if validation.doomed or (validation.invalid and not rules.skip_invalid):
        raise RowsRefused(
            f"{validation.invalid:,} of {validation.rows:,} rows cannot be run; nothing was sent. Mend them, "
            "or let the others run with --skip-invalid:",
            [_told(problem) for problem in validation.errors[:_SHOWN]],
            validation,
        )
    return refused


def _told(problem: Problem) -> str:
    where = f"{problem.where}: " if problem.where else ""
    return f"{where}{problem.sentence}"


async def _planned(
    manifest: Manifest,
    binding: Binding,
    ledger: SqliteLedger,
    problems: Mapping[int, str],
    watching: Watching,
    *,
    force: bool = True,
) -> list[dict[str, Any]]:
    """Plan all rows; returns what each column is for.

    Raises:
        ManifestError: It looks as if rows that have run had only changed their keys; not with ``force``.
    """
    before = ledger.counts()
    ran = before.in_flight + before.completed + before.unknown
    planned, columns = await plan(
        manifest,
        binding,
        ledger,
        digests=FileDigests(ledger),
        problems=problems,
        on_progress=lambda rows: watching.planning("planned", rows),
    )
    for sentence in _remarks(planned):
        watching.notice(sentence)
    suspicious = ran and planned.new and planned.missing >= LARGE_SHARE * ran
    if (
        suspicious and not force and manifest.kind not in FOLDERS
    ):  # documents are taken out once they are done
        raise ManifestError(
            f"{planned.missing:,} rows that have run are not in the manifest any more, and {planned.new:,} "
            "are new: it looks as if the same rows had got other keys (another column, another way of "
            "writing), and they would be billed again. Nothing was sent. Put the manifest back, or run the "
            "new rows with --force."
        )
    return [column.as_json() for column in binding.table(columns)]


def _remarks(planned: Planned) -> list[str]:
    said = []
    if planned.repeated_count:
        key, index = planned.repeated[0]
        said.append(
            f"{planned.repeated_count:,} rows are identical to earlier ones (the first is row {index + 1}, "
            f"key {key}): each runs, and is billed, on its own, under a key that ends in ~2, ~3 ..."
        )
    if planned.changed_count:
        some = ", ".join(planned.changed[:3])
        said.append(
            f"{planned.changed_count:,} rows have run and ask for something else now ({some}): they keep the "
            "result they have. Give them another key to run them again."
        )
    if planned.withdrawn:
        said.append(
            f"{planned.withdrawn:,} rows are not in the manifest any more and had not begun: taken out."
        )
    return said


# The platform


async def _lifecycle(client: Client, order: Order, memory: Memory | None) -> Lifecycle[Any, Any]:
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
    order: Order, lifecycle: Lifecycle[Any, Any], kind: str, constants: Mapping[str, Any]
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
    )


async def _same(
    before: Mapping[str, Any],
    order: Order,
    lifecycle: Lifecycle[Any, Any],
    watching: Watching,
    *,
    force: bool,
) -> None:
    """Whether what changes results is what it was."""
    other = differences(before, fingerprint(order, lifecycle.platform))
    if not other:
        return
    if not force:
        raise ManifestError(
            "The results would not be those of one batch; nothing was sent. Put back what changed, or go on "
            "with it for the rows not begun yet with --force:",
            other,
        )
    watching.notice(f"Going on although something changed: {'; '.join(other)}.")


def _client_facts(client: Client) -> dict[str, Any]:
    """How the client was set up, for whoever goes on with the batch; nothing of it changes results."""
    return {"limits": client.limits.model_dump(), "retry": client.retry.model_dump()}


# The work


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


async def _work(client: Client, crew: Crew) -> BatchResult:
    control = crew.control
    control.drain_seconds = crew.settings.drain_seconds
    crew.progress.follow(
        stages=_stages(crew.lifecycle),
        counts=crew.ledger.counts,
        admitting=lambda: control.admitting,
        settings=crew.settings,
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
