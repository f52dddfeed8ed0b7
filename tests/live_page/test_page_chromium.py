"""A live page in a browser: it follows what it shows, and leaves alone what a person does with it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest
from chromium import PATIENCE, PROGRAM, Chromium
from ledgers import START, make_ledger
from live_pages import ServedPage
from page_checks import CONTRASTS, CROWDED, CUT_OFF

from opus_async.batch.report.live import LiveBatch
from opus_async.live_page import publisher

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
    pytest.mark.timeout(240),
]
BAR = "document.querySelector('.live').textContent"
HEADLINE = "document.querySelector('h1').textContent.replaceAll('\\u00a0', ' ')"
FAILURES = "document.getElementById('failures').parentElement"
AT_ONCE = "window.setTimeout = (act) => queueMicrotask(act)"
"""The page waits for nothing when it tries to connect again."""


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(publisher, "PERIOD", 0.01)
    monkeypatch.setattr(publisher, "SHARE", 1.0)


@pytest.fixture
def batch(tmp_path):
    """A batch of 60 rows, of which 20 completed and 2 failed."""
    states = ["completed"] * 20 + ["failed"] * 2 + ["planned"] * 38
    rows = [
        {
            "state": state,
            "key": f"scan-{number}",
            "location": f"line {number + 2}",
            "outputs": {"Verdict": ("PASS", "FAIL")[number % 2]},
        }
        for number, state in enumerate(states)
    ]
    samples = [{"elapsed": at, "in_flight": 4 + at % 3} for at in range(0, 60, 5)]
    sessions = [{"ended_at": START + 60, "ended_because": "interrupted", "exit_code": 130}]
    return make_ledger(tmp_path / "march", rows=rows, samples=samples, sessions=sessions)


def change(batch, statement, *values):
    with closing(sqlite3.connect(batch / "ledger.db")) as connection, connection:
        connection.execute(statement, values)


PLANNED = "SELECT id FROM rows WHERE state = 'planned' ORDER BY id LIMIT ?"


def complete(batch, count):
    """Let rows complete that were planned."""
    ended = f"session = 1, started_at = {START + 40}, ended_at = {START + 50}"
    change(batch, f"UPDATE rows SET state = 'completed', {ended} WHERE id IN ({PLANNED})", count)


def fail(batch, count):
    """Let rows fail that were planned, each for a reason of its own."""
    ended = f"session = 1, cause = 'reason ' || id, error = 'It failed: ' || id, ended_at = {START + 50}"
    change(batch, f"UPDATE rows SET state = 'failed', {ended} WHERE id IN ({PLANNED})", count)


def wait_until(browser, condition):
    """Wait until an expression is true in the page."""
    deadline = time.monotonic() + PATIENCE
    while not browser.value(condition):
        assert time.monotonic() < deadline, (condition, browser.value(BAR), browser.value(HEADLINE))


def open_live(browser, page, **how):
    browser.open(page.url, **how)
    wait_until(browser, f"{BAR} === 'Live'")


def test_page_follows_the_batch_without_being_loaded_again(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        open_live(browser, page)
        assert browser.value(HEADLINE).startswith("20 of 60 rows completed")
        complete(batch, 5)
        wait_until(browser, f"{HEADLINE}.startsWith('25 of 60 rows completed')")
        assert browser.value("document.title").startswith("25 of 60 rows completed")
        fail(batch, 33)
        wait_until(browser, f"{HEADLINE}.startsWith('25 of 60 rows completed; 35 need')")
        assert browser.value("document.querySelectorAll('main > header').length") == 1
        assert browser.requests == [page.url, f"{page.url}events"]
        assert browser.complaints == []


def test_page_shows_the_end_and_asks_no_more(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        open_live(browser, page)
        browser.value(AT_ONCE)
        complete(batch, 38)
        page.end()
        wait_until(browser, f"{BAR}.startsWith('Ended.')")
        assert browser.value(HEADLINE).startswith("58 of 60 rows completed")
        browser.next_frame()
        assert browser.requests == [page.url, f"{page.url}events"]
        assert browser.complaints == []


def test_page_whose_server_is_gone_says_so_and_gives_up(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        open_live(browser, page)
        browser.value(AT_ONCE)
        page.kill()
        wait_until(browser, f"{BAR}.includes('out of reach')")
        asked = len(browser.requests)
        assert asked == 2 + 5
        browser.next_frame()
        assert len(browser.requests) == asked
        browser.value(
            "document.dispatchEvent(new Event('visibilitychange'))"
        )  # as who comes back to it causes
        wait_until(browser, f"{BAR}.includes('out of reach')")
        assert len(browser.requests) == asked + 6


def test_page_leaves_a_selection_until_it_is_dropped(batch, tmp_path):
    shown = f"{FAILURES}.textContent"
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        open_live(browser, page)
        browser.value(f"getSelection().selectAllChildren({FAILURES}.querySelector('h3'))")
        fail(batch, 1)
        wait_until(browser, f"{HEADLINE}.includes('3 need a look')")
        assert browser.value("getSelection().toString()") == "the job ended as failed"
        assert "reason 23" not in browser.value(shown)
        browser.value("getSelection().removeAllRanges()")
        wait_until(browser, f"{shown}.includes('reason 23')")


def test_page_shows_the_end_whatever_is_selected(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        open_live(browser, page)
        browser.value("getSelection().selectAllChildren(document.querySelector('main'))")
        complete(batch, 38)
        page.end()
        wait_until(browser, f"{BAR}.startsWith('Ended.')")
        assert browser.value(HEADLINE).startswith("58 of 60 rows completed")


def test_page_stays_where_it_is_scrolled_to(batch, tmp_path):
    place = "document.getElementById('stages').getBoundingClientRect().top"
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        open_live(browser, page)
        browser.value("document.getElementById('stages').scrollIntoView()")
        before, height = browser.value(f"[{place}, document.body.scrollHeight]")
        fail(batch, 8)
        wait_until(browser, f"{HEADLINE}.includes('10 need a look')")
        assert browser.value("document.body.scrollHeight") > height + 500
        assert browser.value(place) == pytest.approx(before, abs=2)


def test_page_keeps_what_is_unfolded_and_focused(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        open_live(browser, page)
        browser.value("document.querySelector('summary').click(); document.querySelector('summary').focus()")
        change(batch, "UPDATE meta SET value = ? WHERE name = 'settings'", '{"max_in_flight": 77}')
        wait_until(browser, "document.querySelector('details').textContent.includes('77')")
        assert browser.value("document.querySelector('details').open")
        assert browser.value("document.activeElement.tagName") == "SUMMARY"


def test_page_lays_out_parts_that_come_and_go_in_their_order(batch, tmp_path):
    parts = "[...document.querySelectorAll('h2')].map((heading) => heading.id)"
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        change(batch, "UPDATE rows SET state = 'planned' WHERE state = 'failed'")
        open_live(browser, page)
        assert browser.value(parts)[:2] == ["next", "outputs"]
        fail(batch, 1)
        wait_until(browser, f"{parts}[0] === 'failures'")
        assert browser.value(parts)[:3] == ["failures", "next", "outputs"]
        change(batch, "UPDATE rows SET state = 'planned' WHERE state = 'failed'")
        wait_until(browser, f"{parts}[0] === 'next'")


def test_page_is_legible_light_and_dark_wide_and_narrow(batch, tmp_path):
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        for dark in (False, True):
            for width in (1200, 360):
                open_live(browser, page, width=width, dark=dark)
                assert browser.value(CONTRASTS)[0][0] >= 4.5
                assert browser.value(CROWDED) == []
                assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value(CUT_OFF) == []
        browser.on_paper()
        assert not browser.value("document.querySelector('.live').checkVisibility()")


def test_page_runs_and_loads_nothing_of_others(batch, tmp_path):
    evil = "<img src=https://evil.example/x onerror=\"document.title='owned'\"><script>alert(1)</script>"
    with Chromium(tmp_path / "profile") as browser, ServedPage(LiveBatch(batch)) as page:
        open_live(browser, page)
        change(
            batch, "UPDATE rows SET cause = ?, error = ?, key = ? || id WHERE state = 'failed'", *[evil] * 3
        )
        wait_until(browser, f"{FAILURES}.textContent.includes('evil.example')")
        assert browser.value("document.querySelectorAll('main script, main img').length") == 0
        assert browser.complaints == []
        # and if a text came through after all, the page's own policy would stop what it runs, loads and tells
        browser.value(f"document.querySelector('main').insertAdjacentHTML('beforeend', {evil!r})")
        told = "fetch('https://evil.example/').then(() => 'sent', () => 'refused')"
        assert browser.value(told) == "refused"
        assert all("violates" in complaint for complaint in browser.complaints)
        assert len(browser.complaints) >= 2
        assert "owned" not in browser.value("document.title")
