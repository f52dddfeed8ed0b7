"""Beginning a batch: its manifest checked and planned, and a session at work on it. Or the check alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ledger.opening import refuse_batch
from opus_async.batch.observer import BatchObserver
from opus_async.batch.options import (
    EVERYTHING,
    BatchSpec,
    ManifestPolicy,
    ManifestSource,
    RunSettings,
    SessionGoal,
)
from opus_async.batch.planning.fingerprint import fingerprint
from opus_async.batch.planning.manifest_source import (
    checked,
    manifest_meta,
    opened,
    planned_in,
    row_checks,
)
from opus_async.batch.planning.plan import PlanAhead
from opus_async.batch.planning.run_session import run_session, session_facts, session_setup
from opus_async.batch.planning.workflow_binding import bind, open_workflow, stage_names, workflow_meta
from opus_async.batch.ports import Client
from opus_async.batch.result import BatchResult
from opus_async.batch.running.session import Engine, SessionSetup, run_here
from opus_async.batch.world import world_of
from opus_async.layout import LEDGER, LOCK
from opus_async.manifests.problem import Problem
from opus_async.manifests.validation.estimate import ThroughputAssumptions
from opus_async.manifests.validation.result import Validation
from opus_async.manifests.validation.validate import validate
from opus_async.remote.facts import remembered
from opus_async.remote.patience import patient


async def start(
    client: Client,
    directory: Path,
    spec: BatchSpec,
    source: ManifestSource,
    *,
    settings: RunSettings,
    rules: ManifestPolicy,
    watching: BatchObserver,
    goal: SessionGoal = EVERYTHING,
    engine: Engine = run_here,
) -> BatchResult:
    """Make a batch directory and work on it. Until its ledger has its name, nothing is there to resume.

    Args:
        client: Of the platform.
        directory: Made if need be; it must not hold a batch.
        spec: What is asked for.
        source: Where the rows come from.
        settings: How the work is done.
        rules: What is tolerated of the manifest.
        watching: Who is told.
        goal: How far this session goes; all rows are planned.
        engine: Makes what runs the rows.

    Raises:
        ManifestError: The manifest cannot be run as it is, or the directory holds a batch; nothing was sent.
        LedgerError: There can be no ledger in the directory.
        OpusError: The workflow cannot be read.
    """
    refuse_batch(directory)
    with patient(client.patience):
        with remembered():
            setup = await _planned(
                client, directory, spec, source, settings=settings, rules=rules, watching=watching
            )
        return await run_session(client, replace(setup, goal=goal, engine=engine))


async def _planned(
    client: Client,
    directory: Path,
    spec: BatchSpec,
    source: ManifestSource,
    *,
    settings: RunSettings,
    rules: ManifestPolicy,
    watching: BatchObserver,
) -> SessionSetup:
    """Make the batch, and all that its first session needs; how far that goes is not said yet."""
    manifest = await asyncio.to_thread(opened, source, rules)
    made = not await asyncio.to_thread(directory.exists)
    ledger = await SqliteLedger.create(directory, {})
    try:
        lifecycle = await open_workflow(client, spec, ledger.journal.cache)
        spec = replace(spec, workflow_id=lifecycle.platform.workflow_id)  # of the link of a page, say
        binding = bind(spec, lifecycle, manifest.kind, rules)
        ahead = None if binding.files.any_named else PlanAhead(manifest, binding, ledger)
        problems = await checked(manifest, binding, lifecycle.platform, rules, watching, ahead=ahead)
        asked = fingerprint(spec, lifecycle.platform)
        world = world_of(asked)
        columns = await planned_in(
            manifest,
            binding,
            ledger,
            ledger.journal.cache,
            watching,
            world=world,
            problems=problems,
            rules=rules,
            ahead=ahead,
        )
        await ledger.confirm_plan(
            **session_facts(client, spec, binding, settings=settings, rules=rules, fingerprint=asked),
            binding=columns,
            constants_in_digests=binding.constants_in_digest,
            stages=stage_names(lifecycle),
            workflow=workflow_meta(lifecycle).as_facts(),
            manifest=manifest_meta(manifest, source).as_facts(),
        )
        await ledger.publish()
        return session_setup(
            directory,
            ledger,
            lifecycle,
            binding,
            base=manifest.base,
            settings=settings,
            watching=watching,
            world=world,
            rules=rules,
        )
    except BaseException:
        await ledger.close()
        _tidy(directory, made=made)
        raise


def _tidy(directory: Path, *, made: bool) -> None:
    """Leave nothing behind of a batch that never was."""
    if (directory / LEDGER).exists():
        return
    with suppress(OSError):
        (directory / LOCK).unlink(missing_ok=True)
        if made:
            directory.rmdir()


async def validate_manifest(
    client: Client,
    spec: BatchSpec,
    source: ManifestSource,
    *,
    rules: ManifestPolicy,
    pace: ThroughputAssumptions,
    price: float | None = None,
    on_problem: Callable[[Problem], object] | None,
    on_progress: Callable[[int], object] | None,
) -> Validation:
    """Check every row of a manifest and stop there; see :mod:`opus_async.manifests.validation.validate`."""
    with patient(client.patience), remembered():
        manifest = await asyncio.to_thread(opened, source, rules)
        lifecycle = await open_workflow(client, spec, None)
        return await validate(
            manifest,
            bind(spec, lifecycle, manifest.kind, rules),
            lifecycle.platform,
            checks=row_checks(lifecycle.platform, rules),
            on_problem=on_problem,
            on_progress=on_progress,
            pace=pace,
            price=price,
        )
