"""The live page of a load test: what it says while a run goes on, in virtual time, and at its end."""

from __future__ import annotations

import asyncio
import re

import pytest
from load_platform import FakeClient, QueueingPlatform
from load_runs import run_of, searched_summary, written
from virtual_load import Setup, loop_time, run_load_virtually
from virtual_time import run_virtual

from opus_async.config import Limits
from opus_async.errors import LoadRefused
from opus_async.layout import SUMMARY
from opus_async.load import LoadObserver, find_max
from opus_async.load.report.live import LiveLoad
from opus_async.load.report.live_search import LiveSearch
from opus_async.load.search import SearchPlan
from opus_async.load.summary import as_json
from opus_async.models import Workflow
from opus_async.reporting.parts import Page

pytestmark = pytest.mark.usefixtures("virtual_clock")


def words(html: str) -> str:
    """The text of a page on one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\xa0", " "))


def head(html: bytes) -> str:
    return words(Page.of(html).parts["header"])


def part(html: bytes, name: str) -> str:
    return words(Page.of(html).parts[name])


class Watched:
    """A run that is captured at some moments, and rendered only when it has ended."""

    def __init__(self, directory, *moments, **load):
        self.live = LiveLoad(directory, price=0.12)
        self.captured = {}
        self.runs = []
        self.moments = moments
        setup = Setup(
            QueueingPlatform(run_time=5.0, constant=True),
            slos=load.pop("slos", ()),
            following=self.follow,
            meanwhile=self.capture,
        )
        self.load = run_load_virtually(setup, **load)

    def follow(self, run):
        self.runs.append(run)
        self.live.follow(run)

    async def capture(self, _run):
        begin = loop_time()
        for moment in self.moments:
            await asyncio.sleep(begin + moment - loop_time())
            self.captured[moment] = self.live.version(), self.live.capture()
        self.samples = []
        self.last = [run.held(self.samples) for run in self.runs for _ in range(2)]

    def page(self, moment):
        return self.captured[moment][1]()


@pytest.fixture
def watched(tmp_path):
    return Watched(
        tmp_path / "march",
        2.0,
        30.0,
        90.0,
        rate=10,
        duration=50,
        warm_up=4,
        arrival="uniform",
        slos=("e2e.p95 < 9s", "e2e.p95 < 1s"),
    )


def test_page_tells_how_the_run_stood_when_it_was_captured(watched):
    page = watched.page(30.0)
    assert head(page).startswith(" Load test march of workflow fake ● Running 2")
    assert re.search(
        r"2[45]\d of 540 jobs completed so far, half within 5\.\d+ s, 95 of 100 within", head(page)
    )
    assert re.search(r"; [45]\d in flight\. As it stood ", head(page))
    assert b"It follows the load test while it is open." in page


def test_page_counts_jobs_in_flight_as_offered_and_started(watched):
    assert "Offered 10.0/s" in part(watched.page(30.0), "figures")


def test_page_tells_whether_objectives_are_met_so_far(watched):
    assert "so far" not in part(watched.page(2.0), "objectives")
    later = part(watched.page(30.0), "objectives")
    assert "9s 5.38 s ✓ so far" in later
    assert "1s 5.38 s ✕ not so far" in later


def test_page_tells_that_the_run_warms_up(watched):
    assert "● Warming up 0 of 540 jobs completed so far; 2" in head(watched.page(2.0))


def test_version_changes_with_what_is_recorded(watched):
    versions = [version for version, _ in watched.captured.values()]
    assert versions[0] != versions[1]
    assert watched.live.version() == watched.live.version()


def test_figures_at_the_end_are_those_of_the_result(watched):
    so_far = watched.last[0].so_far("march", None).run.summary
    result = watched.load.figures
    assert (so_far.counts, so_far.rates, so_far.latency) == (result.counts, result.rates, result.latency)
    assert (so_far.in_flight, so_far.detect_lag) == (result.in_flight, result.detect_lag)


def test_samples_of_earlier_captures_are_used_again(watched):
    earlier, later = watched.last
    earlier.so_far("march", None)
    first = list(watched.samples)
    assert len(first) == 540
    later.so_far("march", None)
    assert [one is other for one, other in zip(first, watched.samples, strict=True)] == [True] * 540


def test_page_of_a_run_that_has_not_begun(tmp_path):
    assert head(LiveLoad(tmp_path / "march").capture()()).endswith(" ● Preparing Reading the workflow. ")


def test_page_at_the_end_is_that_of_the_files(tmp_path):
    directory = written(tmp_path / "march", run_of(seed=1))
    page = LiveLoad(directory).final()()
    assert "✓ PASS" in head(page)
    assert page.count(b"<script") == 1
    (directory / SUMMARY).write_bytes(as_json(searched_summary()))
    assert "Search for the highest rate march" in head(LiveLoad(directory).final()())


def test_page_at_the_end_of_a_run_that_left_no_files(tmp_path):
    assert "It ended before a job was started." in head(LiveLoad(tmp_path / "march").final()())


def test_page_at_the_end_of_a_run_whose_files_are_broken_is_refused(tmp_path):
    (tmp_path / SUMMARY).write_text("{}")
    with pytest.raises(LoadRefused, match="cannot be used"):
        LiveLoad(tmp_path).final()()


def test_page_of_a_search_tells_its_steps_and_what_is_tried_now(tmp_path):
    platform = QueueingPlatform(servers=4, run_time=1.0)
    platform.workflow = Workflow(workflow_id="fake")
    plan = SearchPlan(start_rate=1.0, window=20.0, max_jobs=5_000)
    live = LiveSearch(tmp_path / "max", plan, slo=["e2e.p95 < 10s"], price=0.12)
    pages = [live.capture()()]

    def follow(run):
        live.follow(run)
        pages.append(live.capture()())

    async def main():
        return await find_max(
            lambda: FakeClient(platform, limits=Limits(detect_lag=0.05)),
            None,
            workflow_id="fake",
            out=tmp_path / "max",
            slo=["e2e.p95 < 10s"],
            start_rate=1.0,
            window=20.0,
            max_jobs=5_000,
            seed=1,
            watching=LoadObserver(following=follow, stepped=live.stepped),
        )

    summary = run_virtual(main()).summary
    assert "Reading the workflow." in head(pages[0])
    assert "● Searching No rate has held yet; now 1/s is tried, and 0 of " in head(pages[1])
    assert re.search(r"\d\.\d\d jobs a second held; now 2/s is tried, and 0 of ", head(pages[2]))
    assert part(pages[3], "steps").count("double") == 2
    assert len(pages) == len(summary.steps) + 1
    assert "start_rate" in part(pages[3], "details")
    assert summary.workload == plan.workload(summary.workload)
    assert summary.verdict.value in head(live.final()())
