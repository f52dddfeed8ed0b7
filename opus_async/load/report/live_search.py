"""The report of a search as a live page: its steps so far, and the one that is run now."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path

from opus_async.load.report.header import searching_header
from opus_async.load.report.live import of_ended, of_nothing
from opus_async.load.report.search_page import search_page
from opus_async.load.running_load import RunningLoad
from opus_async.load.search import Search, SearchPlan
from opus_async.load.summary import SearchSummary


class LiveSearch:
    """What a live page shows of a search; see :class:`opus_async.live_page.source.Source`.

    Args:
        directory: Where its files will lie.
        plan: How it searches.
        slo: The objectives, as they were written.
        price: Of one job that completes; None where none was told.
    """

    def __init__(self, directory: Path, plan: SearchPlan, *, slo: Sequence[str], price: float | None) -> None:
        self._directory = directory
        self._search = Search(plan)
        self._slo = list(slo)
        self._price = price
        self._first: RunningLoad | None = None
        self._run: RunningLoad | None = None

    def follow(self, run: RunningLoad) -> None:
        """Follow a step, which begins now."""
        self._first, self._run = self._first or run, run

    def stepped(self, search: Search) -> None:
        """Follow a search, of which a step has ended."""
        self._search = search

    def version(self) -> Hashable:
        """How many steps have ended, and how much was recorded in the one that is run."""
        if self._run is None:
            return None
        recorder = self._run.recorder
        return len(self._search.results), recorder.epoch, recorder.started, recorder.completed

    def capture(self) -> Callable[[], bytes]:
        """The report of the steps so far."""
        first, run = self._first, self._run
        if first is None or run is None:
            return partial(of_nothing, self._directory)
        search, plan = self._search, run.plan
        summary = SearchSummary.of(
            search,
            search.outcome(),
            run_id=run.run_id,
            workload=search.plan.workload(first.workload),
            seed=first.plan.spec.seed,
            began=first.recorder.epoch,
            slo=self._slo,
            price=self._price,
        )
        summary = summary.model_copy(update={"jobs": search.jobs + run.recorder.started})
        rate = str(run.workload.get("rate"))
        head = searching_header(summary, rate, completed=run.recorder.completed, jobs=plan.jobs)
        return partial(search_page, self._directory, summary, live=True, head=head)

    def final(self) -> Callable[[], bytes]:
        """The report of a search that has ended, from its files."""
        return partial(of_ended, self._directory)
