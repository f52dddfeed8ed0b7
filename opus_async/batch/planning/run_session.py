"""From a planned batch to how it stands when one session has worked on it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.observer import BatchObserver
from opus_async.batch.options import EVERYTHING, BatchSpec, ManifestPolicy, RunSettings
from opus_async.batch.outputs.summary import summarise
from opus_async.batch.planning.workflow_binding import stage_names
from opus_async.batch.ports import Client
from opus_async.batch.result import BatchResult
from opus_async.batch.running.session import (
    SessionSetup,
    ended_because,
    reason_of,
    session_exit_code,
    work,
)
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.manifests.binding.binding import Binding
from opus_async.metrics.bottleneck import Bounds
from opus_async.metrics.cost import cost_of
from opus_async.metrics.progress import RARE
from opus_async.remote_urls import Place
from opus_async.reporting.costs import money
from opus_async.text import counted
from opus_async.transport.dispatch import Only


def session_facts(
    client: Client,
    spec: BatchSpec,
    binding: Binding,
    *,
    settings: RunSettings,
    rules: ManifestPolicy,
    fingerprint: Mapping[str, Any],
) -> dict[str, Any]:
    """What is asked for this time, for the ledger; and how the client is set up, for whoever goes on."""
    return {
        "order": spec.as_facts(),
        "fingerprint": fingerprint,
        "constants": dict(binding.constants),
        "settings": settings.as_facts(),
        "rules": rules.as_facts(),
        "client": {"limits": client.asked_limits.model_dump(), "retry": client.retry.model_dump()},
    }


def session_setup(
    directory: Path,
    ledger: SqliteLedger,
    lifecycle: Lifecycle[Any, Any],
    binding: Binding,
    *,
    base: Place,
    settings: RunSettings,
    watching: BatchObserver,
    world: Mapping[str, Any],
    rules: ManifestPolicy,
) -> SessionSetup:
    """Everything a session on this ledger needs that goes all the way, in this process."""
    return SessionSetup(
        directory=directory,
        store=ledger,
        queue=ledger.queue,
        journal=ledger.journal,
        lifecycle=lifecycle,
        binding=binding,
        base=base,
        settings=settings,
        watching=watching,
        world=world,
        accept_second_bill=rules.accept_second_bill,
    )


async def run_session(client: Client, setup: SessionSetup) -> BatchResult:
    """Work on the batch until nothing is left or something ends it; returns how it stands then."""
    control = setup.control
    control.drain_seconds = setup.settings.drain_seconds
    setup.progress.attach(
        stages=stage_names(setup.lifecycle),
        counts=setup.queue.counts,
        admitting=lambda: control.admitting,
        bounds=Bounds(max_in_flight=setup.settings.max_in_flight, start_rate=setup.settings.start_rate),
        limits=client.limits,
        limit=setup.goal.limit,
        until_ordered=setup.goal.until_ordered,
    )
    _tell_goal(setup)
    with client.metering(setup.progress), client.listening(Only(setup.progress, RARE)):
        counts, summary = await work(setup)
    if summary is None:
        summary = await asyncio.to_thread(summarise, setup.directory)
    reason = reason_of(setup, counts)
    return BatchResult(
        directory=setup.directory,
        counts=counts,
        exit_code=session_exit_code(reason, counts),
        ended_because=ended_because(reason),
        summary=summary,
        error=reason.error if reason else None,
    )


def _tell_goal(setup: SessionSetup) -> None:
    """Tell how many jobs are begun and what they cost, where a price or a goal of its own was given."""
    goal, price, planned = setup.goal, setup.settings.price, setup.queue.counts().planned
    if goal == EVERYTHING and price is None:
        return
    begun = planned if goal.limit is None else min(planned, goal.limit)
    told = f"{counted(begun, 'job')} to begin{_about(begun, price)}" if begun else "no job to begin"
    if planned > begun:
        told += f"; {counted(planned - begun, 'row')}{_about(planned - begun, price)}, left for a resume"
    if goal.until_ordered:
        told += "; this ends when all are ordered, and a resume collects what they give"
    setup.notice(f"{told}.")


def _about(jobs: int, price: float | None) -> str:
    return "" if price is None else f", about {money(cost_of(jobs, price))}"


async def result_without_session(directory: Path) -> BatchResult:
    """How a batch stands in which nothing is left to do."""
    summary = await asyncio.to_thread(summarise, directory)
    with LedgerReader(directory) as ledger:
        counts = ledger.counts()
    return BatchResult(
        directory=directory,
        counts=counts,
        exit_code=session_exit_code(None, counts),
        ended_because=ended_because(None),
        summary=summary,
    )
