"""``report.html`` in a browser without a network: light and dark, wide and narrow, and on paper."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium
from ledgers import START, make_ledger
from page_checks import CONTRASTS, CROWDED, CUT_OFF, TOLD

from opus_async.batch import report

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
    pytest.mark.timeout(240),
]

DRAWN = """
[...document.querySelectorAll('svg.chart')].filter((chart) => chart.checkVisibility()).map((chart) => {
  const size = (element) => element.getBoundingClientRect();
  return {
    name: chart.querySelector('title').textContent,
    width: size(chart).width,
    bars: [...chart.querySelectorAll('rect.completed, rect.mean')]
      .filter((bar) => size(bar).height > 3).length,
    lines: [...chart.querySelectorAll('path.line')].filter((line) => line.getTotalLength() > 100).length,
    pauses: chart.querySelectorAll('rect.pause').length,
  };
})
"""
VERDICTS = ("Kraftfahrzeughaftpflichtversicherung", "PASS", "refer to a person who knows about it")


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> Path:
    """A batch with everything there is to draw, in two sessions a night apart."""
    night = 40_000.0
    sessions = [
        {"ended_at": START + 5000, "ended_because": "interrupted", "exit_code": 130},
        {
            "began_at": START + night,
            "ended_at": START + night + 3000,
            "ended_because": "finished",
            "exit_code": 1,
        },
    ]
    states = ["completed"] * 12 + ["failed", "completed", "timed_out", "completed", "cancelled", "unknown"]
    rows = [
        {
            "state": states[number % len(states)],
            "session": 1 + (number > 500),
            "key": f"invoices/2025/scan-{number:05}.pdf",
            "location": f"sheet 'Quittungen', row {number + 2}",
            "outputs": {"Verdict": VERDICTS[number % 3], "A very long name of an output": number % 2 == 0},
            "remote_id": f"{number:032x}",
            "ended_at": START + 10 * number + (night - 5000 if number > 500 else 0),
            "error": "The job ended as FAILED: failed nodes: Extract totals. " * 3,
            "timings": {
                "bind": 0.001,
                "prepare": 1.2,
                "watch": 20.0 + number % 30,
                "total": 21.2 + number % 30,
            },
        }
        for number in range(800)
    ]
    samples = [
        {
            "elapsed": at,
            "at": START + offset + at,
            "session": session,
            "in_flight": 40 + at % 9,
            "waiting": at % 7,
        }
        for session, offset, seconds in ((1, 0.0, 5000), (2, night, 3000))
        for at in range(0, seconds, 5)
    ]
    made = make_ledger(
        tmp_path_factory.mktemp("report") / "march",
        rows=rows,
        sessions=sessions,
        samples=samples,
        facts={
            "binding": [{"column": "Doc", "input": "input_1", "display_name": "Document", "how": "--map"}],
            "workflow": {"name": "Receipts and invoices", "job_page": "https://app.example/job/{job_id}"},
        },
    )
    report.write(made)
    return made


def test_report_in_browser_is_legible_light_and_dark_wide_and_narrow(batch, tmp_path):
    path = batch / "report.html"
    corners: dict[bool, bytes] = {}
    with Chromium(tmp_path / "profile") as browser:
        for dark in (False, True):
            for width in (1200, 420):
                browser.open(path, width=width, dark=dark)
                contrasts = browser.value(CONTRASTS)
                assert len(contrasts) > 100
                assert contrasts[0][0] >= 4.5, contrasts[:5]
                assert browser.value(CROWDED) == []
                assert browser.value("document.documentElement.scrollWidth") <= width
                assert browser.value("document.documentElement.scrollHeight") > 3000
            corners[dark] = _first_pixel(browser.screenshot())
        assert set(browser.requests) == {path.as_uri()}
        assert browser.complaints == []
    assert min(corners[False]) > 230
    assert max(corners[True]) < 40


def test_report_in_browser_cuts_nothing_off_on_a_telephone(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser:
        browser.open(batch / "report.html", width=360)
        assert browser.value(CUT_OFF) == []
        browser.value("document.querySelector('details').open = true")
        assert browser.value("document.querySelector('details table').checkVisibility()")
        assert browser.value(CUT_OFF) == []
        assert browser.value("document.documentElement.scrollWidth") == 360


def test_report_in_browser_folds_configuration_and_does_not_print_it(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser:
        browser.open(batch / "report.html", width=1200)
        shown = "document.querySelector('details table').checkVisibility()"
        assert not browser.value(shown)
        browser.value("document.querySelector('summary').click()")
        assert browser.value(shown)
        browser.on_paper()
        assert not browser.value("document.querySelector('details').checkVisibility()")


def test_report_in_browser_draws_charts_and_shows_values_on_hover(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser:
        for width in (1200, 420):
            browser.open(batch / "report.html", width=width)
            throughput, standing, stages = browser.value(DRAWN)
            assert throughput["name"] == "Throughput over time"
            assert throughput["bars"] > 50
            assert throughput["pauses"] == standing["pauses"] == 1
            assert standing["lines"] == 4  # in flight and waiting, in two sessions
            assert stages["bars"] == 3
            assert {chart["width"] for chart in (throughput, standing, stages)} == {min(width - 32, 912)}
        browser.open(batch / "report.html", width=1200)
        assert browser.value(TOLD) == []
        bin_at = "document.querySelectorAll('svg.wide .hit')[12].getBoundingClientRect()"
        browser.value("document.querySelector('svg.wide').scrollIntoView()")
        x, y = browser.value(f"[{bin_at}.x + 1, {bin_at}.y + 20]")
        browser.point_at(x, y)
        (shown,) = browser.value(TOLD)
        assert "completed, " in shown
        assert shown.endswith("per hour")


def test_report_in_browser_prints_dark_on_light_even_in_dark_mode(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser:
        browser.open(batch / "report.html", width=688, dark=True)
        assert browser.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        paper = browser.printed()
        assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.value(CONTRASTS)[0][0] >= 4.5
        assert browser.value("document.querySelectorAll('svg.chart.wide')[0].checkVisibility()")
        assert browser.value("document.documentElement.scrollWidth") <= 688  # between the margins of A4
    assert paper.startswith(b"%PDF-")
    assert 2 <= paper.count(b"/Type /Page\n") <= 12


def test_report_in_browser_neither_runs_nor_loads_foreign_html(tmp_path):
    evil = "</code><script>document.title = 'owned'</script><img src=https://evil.example/x onerror=alert(1)>"
    made = make_ledger(
        tmp_path / "b",
        rows=[{"state": "failed", "key": evil, "cause": evil, "error": evil + "x" * 10_000}],
        facts={"settings": {evil: evil}},
    )
    path = report.write(made)
    with Chromium(tmp_path / "profile") as browser:
        browser.open(path, width=420)
        assert browser.value("document.title").startswith("The only row did not complete")
        assert browser.value("document.querySelectorAll('script, img, iframe, link, object').length") == 0
        assert browser.value("document.documentElement.scrollWidth") <= 420
        assert set(browser.requests) == {path.as_uri()}
        # and if a text came through after all, the page's own policy would stop what it loads
        picture = "<img src=https://evil.example/y>"
        browser.value(f"document.querySelector('main').insertAdjacentHTML('beforeend', '{picture}')")
        browser.next_frame()
        assert any("Content Security Policy" in complaint for complaint in browser.complaints)


def _first_pixel(png: bytes) -> bytes:
    """The red, green and blue of the corner: the first bytes of the first line, whatever its filter is."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (width, depth) == (420, 8)
    assert height > 3000
    data, place = b"", 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += length + 12
    pixels = zlib.decompress(data)
    assert len(set(pixels)) > 50
    assert len(pixels) == height * (1 + width * {2: 3, 6: 4}[kind])
    assert not math.isnan(pixels[0])
    return pixels[1:4]
