"""The report of a load test as a live page: of what was recorded so far, and of its files at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import Protocol

from opus_async.errors import LoadRefused
from opus_async.layout import SUMMARY
from opus_async.live_page.source import Source
from opus_async.load.recorded_run import load_run
from opus_async.load.report.header import running_header
from opus_async.load.report.run_data import RunData
from opus_async.load.report.run_page import run_page
from opus_async.load.report.search_page import search_page
from opus_async.load.running_load import RunningLoad
from opus_async.load.search import Search
from opus_async.load.summary import SearchSummary, read_any
from opus_async.load.values import Sample
from opus_async.reporting.notice_page import notice_page

_KIND = "Load test"


class LiveReport(Source, Protocol):
    """What a live page shows of a load test, which tells it how it goes on."""

    def follow(self, run: RunningLoad) -> None:
        """Follow a run, which begins now."""

    def stepped(self, search: Search) -> None:
        """Follow a search, of which a step has ended."""


class LiveLoad:
    """What a live page shows of a run; see :class:`opus_async.live_page.source.Source`.

    Args:
        directory: Where its files will lie.
        price: Of one job that completes; None where none was told.
    """

    def __init__(self, directory: Path, price: float | None = None) -> None:
        self._directory = directory
        self._price = price
        self._run: RunningLoad | None = None
        self._samples: list[Sample] = []
        """Of what was held last; only the thread that renders touches them."""

    def follow(self, run: RunningLoad) -> None:
        """Follow a run, which begins now."""
        self._run, self._samples = run, []

    def stepped(self, search: Search) -> None:
        """A run is no search."""

    def version(self) -> Hashable:
        """How much was recorded."""
        if self._run is None:
            return None
        recorder, health = self._run.recorder, self._run.health
        return recorder.offered, recorder.in_flight, recorder.completed, len(health.samples)

    def capture(self) -> Callable[[], bytes]:
        """The report of what was recorded so far."""
        if self._run is None:
            return partial(of_nothing, self._directory)
        return partial(_of_running, self._directory, self._run.held(self._samples), self._price)

    def final(self) -> Callable[[], bytes]:
        """The report of a run that has ended, from its files."""
        return partial(of_ended, self._directory)


def of_nothing(directory: Path) -> bytes:
    """What is shown before the first job is started."""
    return notice_page(_KIND, _name(directory), word="Preparing", sentence="Reading the workflow.")


def of_ended(directory: Path) -> bytes:
    """The report of a load test that has ended, as a live page.

    Raises:
        LoadRefused: Its files cannot be read.
    """
    try:
        summary = read_any(directory)
    except LoadRefused:
        if (directory / SUMMARY).exists():
            raise
        why = "It ended before a job was started. The terminal says why."
        return notice_page(_KIND, _name(directory), word="Ended", sentence=why)
    if isinstance(summary, SearchSummary):
        return search_page(directory, summary, live=True)
    return run_page(RunData.load(directory, load_run(directory)), live=True)


def _of_running(directory: Path, run: RunningLoad, price: float | None) -> bytes:
    found = run.so_far(_name(directory), price)
    plan = run.plan
    head = running_header(
        found.run.summary,
        plan.jobs if plan.exact else None,
        warm=run.now >= plan.spec.warm_up,
        reasons=map(str, found.unhealthy),
    )
    return run_page(RunData(directory, found.run, found.timeline, time.time()), live=True, head=head)


def _name(directory: Path) -> str:
    return directory.absolute().name
