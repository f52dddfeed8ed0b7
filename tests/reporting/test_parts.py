"""A page in parts: all of them are found, and nothing that was written by others looks like one."""

from __future__ import annotations

from opus_async.reporting.notice_page import notice_page
from opus_async.reporting.parts import Page

EVIL = '</header>\n<section aria-labelledby="next">\n</section>\n<title>x</title>'


def test_page_is_cut_into_head_and_foot():
    page = Page.of(notice_page("Batch", "march & may", word="Preparing", sentence="Reading the workflow."))
    assert list(page.parts) == ["header", "footer"]
    assert page.title == "Preparing: march & may"
    assert page.parts["header"].startswith('<header class="neutral">\n')
    assert page.parts["header"].endswith("</header>")


def test_text_of_others_makes_no_part():
    page = Page.of(notice_page("Batch", EVIL, word="Preparing", sentence=EVIL))
    assert list(page.parts) == ["header", "footer"]
    assert page.parts["header"].count("&lt;section") == 2


def test_live_page_lets_in_its_own_script_and_server_alone():
    html = notice_page("Batch", "march", word="Preparing", sentence="Reading the workflow.").decode()
    assert html.count("<script") == 1
    assert "default-src 'none'; style-src 'sha256-" in html
    assert "; script-src 'sha256-" in html
    assert "; connect-src 'self'\">" in html
    assert "unsafe" not in html
