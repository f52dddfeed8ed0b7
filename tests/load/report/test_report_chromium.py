"""``report.html`` of a load test in a browser without a network: light, dark, wide, narrow, on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium
from load_runs import run_of, searched_summary, timeline_of, written
from page_checks import CONTRASTS, CROWDED, CUT_OFF, TOLD

from opus_async.layout import SUMMARY, TIMELINE
from opus_async.load.figures import Throttled
from opus_async.load.report import write
from opus_async.load.summary import Objective, as_json
from opus_async.load.verdict import Verdict

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
    pytest.mark.timeout(240),
]


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> list[Path]:
    """A run with everything there is to draw, compared with another one, and a search."""
    place = tmp_path_factory.mktemp("reports")
    base = written(place / "main", run_of(seed=1))
    run = run_of(
        seed=2,
        failing=0.05,
        summary={
            "verdict": Verdict.FAIL,
            "reasons": ["e2e.p95 < 5s was not met: 5.20 s"],
            "slo": [Objective(expression="e2e.p95 < 5s", value=5.2, ok=False)],
            "throttled": Throttled(responses=40, share=0.02, paused_seconds=7.0),
            "failures": {"The job ended as FAILED: failed nodes: " + "Extract totals " * 12: 60},
        },
    )
    written(place / "branch", run)
    (place / "branch" / TIMELINE).write_bytes(timeline_of(run, throttled=40))
    (place / "max").mkdir()
    (place / "max" / SUMMARY).write_bytes(as_json(searched_summary()))
    return [write(place / "branch", base=base), write(place / "max")]


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (390, False)])
def test_report_in_browser_is_legible_and_cuts_nothing_off(reports, tmp_path, width, dark):
    with Chromium(tmp_path / "profile") as browser:
        for path in reports:
            browser.open(path, width=width, dark=dark)
            assert browser.value(CROWDED) == []
            assert browser.value(CUT_OFF) == []
            assert browser.value(CONTRASTS)[0][0] >= 4.5
            assert browser.complaints == []
        assert set(browser.requests) == {path.as_uri() for path in reports}


def test_report_in_browser_prints_dark_on_light_even_in_dark_mode(reports, tmp_path):
    with Chromium(tmp_path / "profile") as browser:
        browser.open(reports[0], width=688, dark=True)
        paper = browser.printed()
        assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.value(CONTRASTS)[0][0] >= 4.5
        assert browser.value("document.documentElement.scrollWidth") <= 688  # between the margins of A4
    assert 3 <= paper.count(b"/Type /Page\n") <= 12


def test_report_in_browser_shows_values_on_hover(reports, tmp_path):
    with Chromium(tmp_path / "profile") as browser:
        browser.open(reports[0], width=1200)
        found = "document.querySelectorAll('svg.chart.wide .bin .hit')[20].getBoundingClientRect()"
        browser.value("document.querySelector('svg.chart.wide').scrollIntoView()")
        x, y = browser.value(f"[{found}.x + 1, {found}.y + 20]")
        browser.point_at(x, y)
        (shown,) = browser.value(TOLD)
        assert "offered" in shown
        assert "completed" in shown
