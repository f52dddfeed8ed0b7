"""``report.html``: what it says in every state a batch can be in, and what it never says."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ledgers import START, make_ledger

from opus_async import text
from opus_async.batch import report
from opus_async.batch.ledger.lock import DirectoryLock, Process
from opus_async.batch.report.output_values import OutputCounter
from opus_async.errors import LedgerError

_VOID = {"meta", "br", "hr", "link", "img"}
_DRAWN_CLOSED = {"rect", "path"}


class Page(HTMLParser):
    """A report, read as strictly as an XML file: each element is closed where it has to be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.commands: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in _VOID:
            self._open.append(tag)
        if self._open[-2:] == ["pre", "code"]:
            self.commands.append("")

    def handle_startendtag(self, tag, attributes):
        assert tag in _DRAWN_CLOSED
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.words.append(data)
        if "pre" in self._open and "code" in self._open:
            self.commands[-1] += data

    @property
    def said(self) -> str:
        """All of its text, on one line, with plain blanks."""
        return " ".join("".join(self.words).replace("\N{NO-BREAK SPACE}", " ").split())

    def of(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and kind in {"", *(attributes.get("class") or "").split()}
        ]


def page_of(directory: Path) -> Page:
    path = report.write(directory)
    assert path == directory / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def execute(directory: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(directory / "ledger.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


def rows(**states: int) -> list[dict[str, object]]:
    return [{"state": state} for state, number in states.items() for _ in range(number)]


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch):
    """Reports of this file are made in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# What it says


def test_report_headline_counts_completed_rows_and_those_to_look_at(tmp_path):
    made = make_ledger(tmp_path / "b", rows=rows(completed=37, failed=2, unknown=1))
    page = page_of(made)
    assert "37 of 40 rows completed; 3 need a look." in page.said
    assert "! Needs a look" in page.said


def test_report_of_completed_batch_offers_only_export(tmp_path):
    made = make_ledger(tmp_path / "b", rows=rows(completed=12))
    page = page_of(made)
    assert "All 12 rows completed." in page.said
    assert "✓ Complete" in page.said
    assert page.commands == [f"opus-async batch export {made} --format xlsx"]
    assert page.of("header")[0]["class"] == "good"


def test_report_of_killed_batch_says_so_and_offers_resume(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=rows(completed=5, running=2, ordering=1, waiting=1, planned=3),
        sessions=[{"ended_at": None, "ended_because": None, "exit_code": None}],
    )
    page = page_of(made)
    assert (
        "5 of 12 rows completed; 3 are under way, 1 waits for a person and 3 are still to begin." in page.said
    )
    assert "stopped without a word: it was killed, or its machine went down" in page.said
    assert page.commands[:2] == [f"opus-async batch status {made}", f"opus-async batch resume {made}"]
    assert "died without a word" in page.said
    assert "≥" not in page.said  # nothing is known of what only an end tells: that is a dash, no number


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (None, "2.0 rows/s, 4-6 min left."),
        (
            {"mode": "drain", "kind": "interrupted"},
            "2.0 rows/s, interrupted; waiting for those near the end.",
        ),
    ],
)
def test_report_of_running_batch_tells_its_pace_and_what_is_left(tmp_path, ending, said):
    began = time.time() - 250
    made = make_ledger(
        tmp_path / "b",
        rows=rows(completed=500, planned=600),
        sessions=[{"began_at": began, "ended_at": None, "ended_because": None, "exit_code": None}],
        samples=[
            {"elapsed": at, "at": began + at, "completed": 2 * at, "ending": ending}
            for at in range(0, 250, 5)
        ],
    )
    lock = DirectoryLock(made)
    try:
        assert said in page_of(made).said
    finally:
        lock.release()


def test_report_of_running_batch_says_so(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=rows(completed=5, running=2, planned=3, failed=1),
        sessions=[{"began_at": time.time() - 60, "ended_at": None, "ended_because": None, "exit_code": None}],
    )
    lock = DirectoryLock(made)
    try:
        page = page_of(made)
    finally:
        lock.release()
    assert (
        "5 of 11 rows completed so far; 1 needs a look, 2 are in flight and 3 are still to begin."
        in page.said
    )
    assert "● Running" in page.said
    assert page.commands == [
        f"opus-async batch status {made}",
        f"opus-async batch report {made}",
        f"opus-async batch export {made} --format xlsx",
    ]
    assert "is at work" in page.said


def test_report_says_that_lock_holder_on_other_host_cannot_be_checked(tmp_path, monkeypatch):
    made = make_ledger(
        tmp_path / "b",
        rows=rows(completed=5, planned=3),
        sessions=[{"ended_at": None, "ended_because": None, "exit_code": None}],
    )
    elsewhere = Process(812, "another-machine.example", START, None)
    monkeypatch.setattr("opus_async.batch.report.report_data.holder", lambda directory: elsewhere)
    page = page_of(made)
    assert "process 812 on another-machine.example: from here nobody can tell if it lives" in page.said
    assert f"opus-async batch resume {made}" in page.commands


@pytest.mark.parametrize(
    ("states", "because", "badge", "why"),
    [
        (
            {"completed": 5, "planned": 35},
            "limit_reached",
            ("Trial done", "neutral"),
            "As many rows as the limit",
        ),
        (
            {"completed": 4, "failed": 1, "planned": 35},
            "limit_reached",
            ("Trial done", "careful"),
            "As many rows",
        ),
        (
            {"running": 40},
            "all_ordered",
            ("All ordered", "neutral"),
            "Every row is ordered; a resume collects",
        ),
    ],
)
def test_report_of_trial_says_that_it_went_as_far_as_told(tmp_path, states, because, badge, why):
    session = {"ended_at": START + 60, "ended_because": because, "exit_code": 0}
    page = page_of(make_ledger(tmp_path / "b", rows=rows(**states), sessions=[session]))
    word, tone = badge
    assert f"{word} " in page.said
    assert page.of("header")[0]["class"] == tone
    assert why in page.said
    assert "ended early" not in page.said


def test_report_headline_keeps_numbers_beside_their_words(tmp_path):
    page = page_of(make_ledger(tmp_path / "b", rows=rows(completed=5, failed=2, running=1)))
    blank = "\N{NO-BREAK SPACE}"
    assert (
        f"<h1>5{blank}of 8{blank}rows completed; 2{blank}need a look and 1{blank}is under way.</h1>"
        in page.text
    )


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({}, "No row was taken up or ordered more than once."),
        ({"orders": 2}, "No row was taken up more than once; 1 row was ordered a second time."),
        ({"attempts": 2}, "1 row was taken up more than once; none was ordered a second time."),
    ],
)
def test_report_tells_rows_that_were_taken_up_or_ordered_again(tmp_path, row, told):
    assert told in page_of(make_ledger(tmp_path / "b", rows=[row, {}])).said


def test_report_offers_resume_then_resolve_for_unknown_rows(tmp_path):
    unknown = [{"state": "unknown", "status": status} for status in (None, "IN_PROGRESS")]
    made = make_ledger(tmp_path / "b", rows=[*rows(completed=1), *unknown])
    assert (
        "The jobs of 1 of them were started: as failed and as retry these are refused." in page_of(made).said
    )
    assert page_of(made).commands == [
        f"opus-async batch resume {made}",
        f"opus-async batch resolve {made} --as done",
        f"opus-async batch resolve {made} --as failed",
        f"opus-async batch resolve {made} --as retry",
        f"opus-async batch export {made} --format xlsx",
    ]


def test_report_offers_only_done_for_unknown_rows_whose_jobs_were_started(tmp_path):
    made = make_ledger(tmp_path / "b", rows=rows(unknown=2))
    assert [command for command in page_of(made).commands if "resolve" in command] == [
        f"opus-async batch resolve {made} --as done"
    ]


@pytest.mark.parametrize(
    ("states", "options"),
    [
        ({"failed": 2}, " --only failed"),
        ({"timed_out": 1}, " --only failed"),
        ({"cancelled": 1}, " --only cancelled"),
        ({"failed": 1, "cancelled": 1}, ""),
    ],
)
def test_report_offers_one_retry_command_for_all_failures(tmp_path, states, options):
    made = make_ledger(tmp_path / "b", rows=rows(completed=1, **states))
    assert page_of(made).commands[0] == f"opus-async batch retry {made}{options}"


def test_report_offers_doctor_before_resume_if_key_was_refused(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=rows(planned=12),
        sessions=[{"ended_because": "the key was refused", "exit_code": 4}],
    )
    page = page_of(made)
    assert "All 12 rows are planned; nothing has been ordered yet." in page.said
    assert "The last session ended early: the key was refused." in page.said
    assert page.commands == ["opus-async doctor", f"opus-async batch resume {made}"]


def test_report_commands_are_shell_quoted_with_absolute_path(tmp_path, monkeypatch):
    made = make_ledger(tmp_path / "März  $HOME & 'co'", rows=rows(completed=1))
    monkeypatch.chdir(tmp_path)
    (command,) = page_of(Path(made.name)).commands
    assert shlex.split(command) == ["opus-async", "batch", "export", str(made), "--format", "xlsx"]


def test_report_key_figures_cover_all_sessions(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=[
            {"timings": {"watch": float(second), "total": second + 1.0}, "attempts": 2 if second == 3 else 1}
            for second in range(1, 101)
        ],
        sessions=[
            {"ended_at": START + 1800, "stray_shells": 2, "uploads_saved": 30},
            {"began_at": START + 9000, "ended_at": START + 10_800, "stray_shells": 1, "uploads_saved": 4},
        ],
        samples=[
            {"elapsed": 5, "in_flight": 3, "requests": 100, "retries": 1},
            {"elapsed": 900, "in_flight": 3, "requests": 1000, "retries": 20, "throttled": 7},
            {"elapsed": 5, "at": START + 9005, "session": 2, "requests": 200, "uploaded_bytes": 3_000_000},
        ],
    )
    execute(made, "INSERT INTO downloads VALUES(1, 'Report', 'outputs/a/r.pdf', 41000, '0')")
    said = page_of(made).said
    for figure in (
        "Wall time1 hin 2 sessions, 3 h from first to last",
        "Completed per hour100of wall time",
        "Run time, median50 sof a job, until its end is noticed; 95 % within 1 min 35 s",
        "Whole row, median51 swaits included; 95 % within 1 min 36 s",
        "Requests1,20012.0 for each row that ended",
        "Retries201.7 % of the requests; 7 by 429",
        "Rows taken up1011 row repeatedly",
        "Uploaded3.0 MB34 uploads saved: same content",
        "Jobs never started≤ 3",
        "Downloaded41.0 kB1 file",
    ):
        assert figure in said


def test_report_has_no_figures_of_what_did_not_happen(tmp_path):
    made = make_ledger(tmp_path / "b", rows=rows(completed=3), samples=[{"elapsed": 5, "requests": 12}])
    said = page_of(made).said
    assert "Retries00 % of the requests" in said
    for name in ("Uploaded", "Downloaded", "Jobs never started", "Rows taken up", "Billed"):
        assert f"{name}0" not in said
        assert f"{name}{text.NOTHING}" not in said


def test_report_leaves_rows_out_of_times_that_two_sessions_followed(tmp_path):
    """What the second one timed of a job of an hour is how long it took to notice its end."""
    sessions = [
        {"ended_at": START + 60, "ended_because": "all_ordered"},
        {"began_at": START + 3600, "ended_at": START + 3700},
    ]
    collected = {"session": 2, "started_at": START + 1, "timings": {"watch": 0.2, "total": 0.3}}
    whole = {"session": 2, "started_at": START + 3601, "timings": {"watch": 40.0, "total": 41.0}}
    said = page_of(make_ledger(tmp_path / "b", rows=[collected] * 3 + [whole], sessions=sessions)).said
    assert "Run time, median40 s" in said
    assert "Whole row, median41 s" in said
    assert "watchis on the platform, until its end is noticed140 s" in said
    assert "3 rows that were begun in one session and ended in another are not counted" in said
    slowest = said[said.index("Slowest rows") : said.index("Retries and throttling")]
    assert ("key-3" in slowest, "key-0" in slowest) == (True, False)
    said = page_of(make_ledger(tmp_path / "c", rows=[collected], sessions=sessions)).said
    assert f"Run time, median{text.NOTHING}" in said
    assert "1 row that was begun in one session and ended in another is not counted" in said
    assert "No row was timed from its beginning to its end." in said


def test_report_tells_run_time_apart_from_waits_for_a_turn(tmp_path):
    timings = {"execute": 0.1, "watch": 3.0, "request_wait": 10.0, "total": 13.1}
    said = page_of(make_ledger(tmp_path / "b", rows=[{"timings": timings}] * 4)).said
    assert "Run time, median3 s" in said
    assert "Whole row, median13 s" in said
    assert "waits for its turn" in said
    assert "for a slot, a rate, the end of a pause" in said


def test_report_stage_times_follow_platform_order(tmp_path):
    timings = {"collect": 0.5, "prepare": 2.0, "watch": 7.5, "strange": 1.0, "total": 11.0}
    made = make_ledger(tmp_path / "b", rows=[{"timings": timings}] * 4 + [{"state": "failed"}])
    said = page_of(made).said
    stages = [
        "prepareuploads the files42 s2 s2 s18.2 %",
        "watchis on the platform, until its end is noticed47.50 s",
        "collectfetches what it left40.50 s",
        "strange4",
    ]
    places = [said.index(stage) for stage in stages]
    assert places == sorted(places)


def test_report_times_stage_that_only_a_late_row_went_through(tmp_path):
    rare = {"watch": 2.0, "strange": 1.0, "total": 3.0}
    made = make_ledger(tmp_path / "b", rows=[*rows(completed=1000), {"timings": rare}])
    assert "strange11 s1 s1 s" in page_of(made).said


@pytest.mark.parametrize(("extra", "included"), [({}, True), ({"parked": 3.0}, True), ({"turn": 3.0}, False)])
def test_report_says_that_stages_include_waiting_unless_that_is_a_stage(tmp_path, extra, included):
    row = {"timings": {"watch": 2.0, **extra, "total": 9.0}}
    said = page_of(make_ledger(tmp_path / "b", rows=[row])).said
    assert ("includes waiting for a turn" in said) is included
    assert ("turn13 s3 s3 s60 %" in said) is not included


def test_report_groups_failures_by_cause_with_examples(tmp_path):
    failing = [
        {"state": "failed", "cause": "HTTP 422: the value of … is too long", "error": f"'Remarks' of row {n}"}
        for n in range(19)
    ]
    other = [{"state": "timed_out", "cause": "the platform gave up", "remote_id": None}]
    made = make_ledger(tmp_path / "b", rows=[*rows(completed=5), *other, *failing])
    said = page_of(made).said
    first, second = said.index("HTTP 422: the value of … is too long"), said.index("the platform gave up")
    assert first < second
    assert "19 failed, 95 % of the rows that did not complete" in said
    assert "1 timed out, 5 % of the rows that did not complete" in said
    assert "'Remarks' of row 2" in said
    assert "'Remarks' of row 3" not in said
    assert "RowKeyJobError row 6key-6job-6'Remarks' of row 0" in said
    assert "row 5key-5none" in said
    assert "19 failed, 95 % of the rows that did not complete; the first 3:" in said
    assert "Rows are counted from 0" in said


def test_report_shows_all_rows_of_short_list_by_line_of_manifest(tmp_path):
    failing = [{"state": "failed", "cause": "c", "location": f"line {n + 7}"} for n in range(10)]
    page = page_of(make_ledger(tmp_path / "b", rows=failing))
    for n in range(10):
        assert f"line {n + 7}key-{n}job-{n}" in page.said
    assert "the first" not in page.said
    assert "Lines are those of manifest.csv." in page.said
    assert "counted from 0" not in page.said


def test_report_tells_once_what_is_the_same_in_all_rows_of_a_cause(tmp_path):
    same = {"cause": "failed in Review", "error": "The job ended as FAILED: failed nodes: Review"}
    made = make_ledger(tmp_path / "b", rows=[{"state": "failed", **same}] * 3)
    said = page_of(made).said
    assert "failed in Review 3 failed, 100 % of the rows that did not complete RowKeyJob row 0" in said
    assert "failed nodes" not in said
    more = {**same, "error": f"{same['error']} (page 3 is blank)"}
    made = make_ledger(tmp_path / "c", rows=[{"state": "failed", **same}, {"state": "timed_out", **more}])
    said = page_of(made).said
    assert "RowKeyStateJobError row 0key-0failedjob-0The job ended as FAILED: failed nodes: Review" in said
    assert "row 1key-1timed outjob-1The job ended as FAILED: failed nodes: Review (page 3 is blank)" in said


def test_report_tells_failures_directly_behind_verdict(tmp_path):
    page = page_of(make_ledger(tmp_path / "b", rows=rows(completed=3, failed=1)))
    sections = [str(each["aria-labelledby"]) for each in page.of("section")]
    assert sections[:3] == ["failures", "next", "figures"]
    page = page_of(make_ledger(tmp_path / "c", rows=rows(completed=3)))
    assert "failures" not in [each["aria-labelledby"] for each in page.of("section")]


def test_report_links_jobs_to_page_that_platform_named(tmp_path):
    jobs = ["2540", "a/b?c=<d>", None]
    failing = [{"state": "failed", "remote_id": job} for job in jobs]
    facts = {"workflow": {"name": "Check <all>", "job_page": "https://app.example/job/{job_id}"}}
    page = page_of(make_ledger(tmp_path / "b", rows=failing, facts=facts))
    links = {(each["href"], each["rel"]) for each in page.of("a")}
    assert links == {
        ("https://app.example/job/2540", "noopener noreferrer"),
        ("https://app.example/job/a%2Fb%3Fc%3D%3Cd%3E", "noopener noreferrer"),
    }
    assert "of workflow Check <all> B9uGJfZ3CFwOdMKH" in page.said


@pytest.mark.parametrize("page", [None, "", "javascript:alert({job_id})", "http://app.example/{job_id}"])
def test_report_links_nothing_without_https_page(tmp_path, page):
    facts = {"workflow": {"job_page": page}}
    assert page_of(make_ledger(tmp_path / "b", rows=rows(failed=1), facts=facts)).of("a") == []


# What the outputs said


def test_report_counts_values_of_outputs_with_few_values(tmp_path):
    given = [
        {
            "Verdict": "PASS" if n % 4 else "REVIEW",
            "Paid": n == 0,
            "Digest": f"{n:064}",
            "Score": n / 8,
            "Pages": 3,
            "Note": "" if n else None,
            "Lines": [1],
        }
        for n in range(8)
    ]
    given[1].pop("Verdict")
    made = make_ledger(
        tmp_path / "b",
        rows=[*({"outputs": each} for each in given), {"state": "failed"}, {"state": "failed"}],
    )
    said = page_of(made).said
    told = said[said.index("What the outputs said") : said.index("Key figures")]
    assert "of 8 rows that completed" in told
    assert "Verdict ValueRowsShare PASS562.5 % REVIEW225 % (not among the outputs)112.5 %" in told
    assert "Paid ValueRowsShare false787.5 % true112.5 %" in told
    assert "Pages ValueRowsShare 38100 %" in told
    assert "Note ValueRowsShare empty8100 %" in told
    for name in ("Digest", "Score", "Lines"):
        assert name not in told


@pytest.mark.parametrize(
    "outputs",
    [
        [{"A": "one of a kind"}],
        [{"A": f"value {n}"} for n in range(12)],
        [{"A": f"value {n % 13}"} for n in range(100)],
        [{"A": "x" * 61}] * 5,
        [{"A": "yes"}, {"A": "yes"}, {"A": "yes"}, {"A": {"b": 1}}],
        [{"A": "a"}, {}, {"A": "b"}],
    ],
)
def test_report_counts_no_values_of_outputs_that_differ(tmp_path, outputs):
    made = make_ledger(tmp_path / "b", rows=[{"outputs": each} for each in outputs])
    assert "What the outputs said" not in page_of(made).said


def test_report_is_made_although_results_were_changed(tmp_path):
    made = make_ledger(tmp_path / "b", rows=[{"outputs": {"A": "yes"}}] * 3)
    results = made / "results.jsonl"
    results.write_bytes(results.read_bytes().replace(b"yes", b"nay", 1))
    said = page_of(made).said
    assert "All 3 rows completed." in said
    assert "results.jsonl does not hold what was recorded for row 0" in said


def test_report_counts_no_values_of_very_large_results(tmp_path, monkeypatch):
    monkeypatch.setattr("opus_async.batch.report.report_data.MOST_RESULTS", 300)
    made = make_ledger(tmp_path / "b", rows=[{"outputs": {"A": "yes"}}] * 3)
    said = page_of(made).said
    assert "The results are too large to be counted here" in said
    assert "yes" not in said[said.index("What the outputs said") : said.index("Key figures")]


def test_output_counter_memory_is_bounded():
    counter = OutputCounter()
    tracemalloc.start()
    try:
        for n in range(30_000):
            counter.add({f"name {n}": "x", "A": f"{n:050}"})
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000


# Time


@pytest.fixture
def zone(monkeypatch):
    """Sets the time zone of this process, until the test is over."""

    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "began", "offset"),
    [
        ("UTC", "", None),
        ("Europe/Berlin", "10:53:20 local", "UTC+2"),
        ("America/St_Johns", "06:23:20 local", "UTC-2:30"),
        ("Pacific/Kiritimati", "22:53:20 local", "UTC+14"),
        ("Asia/Kathmandu", "14:38:20 local", "UTC+5:45"),
    ],
)
def test_report_tells_local_time_beside_utc(tmp_path, zone, name, began, offset):
    zone(name)
    said = page_of(make_ledger(tmp_path / "b", rows=rows(completed=1))).said
    assert f"12025-10-09 08:53:20{began}2025-10-09 08:54:20" in said
    assert text.utc_offset(START) == (offset or "")
    assert ("local time" in said) == bool(offset)


def test_local_time_follows_the_summer_time_of_its_moment(zone):
    zone("Europe/Berlin")
    assert text.utc_offset(1_761_436_799) == "UTC+2"  # the 26th of October 2025, 00:59:59 UTC
    assert text.local_moment(1_761_440_399) == "02:59:59"
    assert text.utc_offset(1_761_440_400) == "UTC+1"
    assert text.local_moment(1_761_519_600) == "2025-10-27 00:00:00", "the date where it is another"


def test_report_sums_up_causes_beyond_the_first_twelve(tmp_path):
    failing = [{"state": "failed", "cause": f"cause {n}"} for n in range(300)]
    page = page_of(make_ledger(tmp_path / "b", rows=failing))
    assert "288 more causes account for 288 rows." in page.said
    assert len(page.of("article", "cause")) == 12


def test_report_lists_slowest_rows_with_their_longest_stage(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=[{"timings": {"prepare": 1.0, "watch": 2.0 * n, "total": 2.0 * n + 1}} for n in range(1, 31)],
    )
    said = page_of(made).said
    table = said[said.index("Slowest rows") : said.index("Retries and throttling")]
    assert "29key-291 min 01 swatch 1 minute".removesuffix("ute") in table
    assert "20key-20" in table
    assert "19key-19" not in table


def test_report_bottlenecks_are_shown_as_share_of_time(tmp_path):
    samples = [{"elapsed": n, "bottleneck": "the rate limit" if n < 3 else ""} for n in range(4)]
    said = page_of(make_ledger(tmp_path / "b", rows=rows(completed=1), samples=samples)).said
    assert "as a share of the time: 75 % the rate limit" in said


def test_report_bottlenecks_are_merged_if_only_numbers_differ(tmp_path):
    calling = {"busy_with": "requests", "api_concurrency": 10}
    limits = [{"kind": "last_rows", "values": {"rows": rows, **calling}} for rows in (5, 2, 1)]
    limits += [
        {"kind": "host_down", "values": {"host": "127.0.0.1:80", "seconds": 12}},
        {"kind": "host_down", "values": {"host": "127.0.0.2:81", "seconds": 3}},
        {"kind": "last_rows", "values": {"rows": 1, "busy_with": "platform"}},
    ]
    limits += [{"kind": "people", "values": {"rows": rows}} for rows in (1, 1200)]
    samples = [{"elapsed": n, "bottleneck": limit} for n, limit in enumerate(limits)]
    said = page_of(make_ledger(tmp_path / "b", rows=rows(completed=1), samples=samples)).said
    assert (
        "37.5 % the last 1-5 rows (10 requests at once) 25 % 1-1,200 rows wait for a person "
        "12.5 % 127.0.0.1:80 has not answered for 12 s 12.5 % 127.0.0.2:81 has not answered for 3 s "
        "12.5 % the last row (the platform is at work)"
    ) in said


def test_report_bottlenecks_of_earlier_release_are_read_from_text(tmp_path):
    limits = ["the platform's rate limit (429)", *(f"the last {rows} rows" for rows in range(20, 1, -1))]
    limits += [{"kind": "platform_rate", "values": {}}, {}]
    samples = [{"elapsed": n, "bottleneck": limit} for n, limit in enumerate(limits)]
    said = page_of(make_ledger(tmp_path / "b", rows=rows(completed=1), samples=samples)).said
    assert "as a share of the time: 9.1 % the platform's rate limit (429) 4.5 % the last 10 rows" in said
    assert "36.4 % 8 others" in said


def test_report_names_time_spent_waiting_for_a_person(tmp_path):
    timings = {"watch": 1.0, "parked": 60.0, "total": 61.0}
    page = page_of(make_ledger(tmp_path / "b", rows=[{"timings": timings}] * 2))
    assert "waits for a personrests on the platform until somebody acts there2" in page.said
    assert "waits for a person 1 min" in page.said, "among the slowest rows"
    assert "parked" not in page.text.replace(str(tmp_path), "")


def test_report_marks_rows_resolved_as_failed_by_a_person(tmp_path):
    row = {"state": "failed", "decided_by": "person", "error": "no answer"}
    said = page_of(make_ledger(tmp_path / "b", rows=[row])).said
    assert "a person decided that it failed 1 failed, 100 %" in said
    assert "a person decided that it failed; until then: no answer" in said


def test_report_counts_duplicate_files_and_rows(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=[{"digest": "d"}, {"digest": "d"}, {"digest": "d"}, {"digest": "e"}],
        sessions=[{"uploads_saved": 3, "ended_at": None}, {"uploads_saved": 4}],
    )
    for path, size, digest in (("a.pdf", 1000, "x"), ("b.pdf", 1000, "x"), ("c.pdf", 500, "y")):
        execute(made, "INSERT INTO files VALUES(?, ?, 0, 0, ?)", path, size, digest)
    said = page_of(made).said
    assert "≥ 7 uploads were not needed" in said
    assert "Uploaded0 B≥ 7 uploads saved" in said
    assert "3 files (2.5 kB) with 2 different contents; 1.0 kB are repetition." in said
    assert "2 rows ask for exactly what an earlier row asks for." in said


def test_report_of_rows_and_files_without_duplicates_says_so(tmp_path):
    made = make_ledger(tmp_path / "b", rows=[{"digest": "d"}, {"digest": "e"}])
    execute(made, "INSERT INTO files VALUES('a.pdf', 1000, 0, 0, 'x')")
    execute(made, "INSERT INTO files VALUES('b.pdf', 1500, 0, 0, 'y')")
    said = page_of(made).said
    assert "No row asks for exactly what an earlier row asks for." in said
    assert "The rows name 2 files (2.5 kB); no two have the same content." in said
    assert "repetition" not in said


def test_report_lists_each_session(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=[{"session": 1}, {"session": 2}, {"session": 2}, {"session": 2, "state": "failed"}],
        sessions=[
            {
                "ended_at": START + 60,
                "ended_because": "interrupted",
                "exit_code": 130,
                "pid": 17,
                "host": "night",
            },
            {"began_at": START + 120, "ended_at": START + 180, "ended_because": "finished", "exit_code": 1},
        ],
    )
    said = page_of(made).said
    assert "12025-10-09 08:53:202025-10-09 08:54:201 mininterrupted (exit 130)1017@night" in said
    assert "22025-10-09 08:55:202025-10-09 08:56:201 minfinished (exit 1)214711@workstation" in said


def test_report_shortens_list_of_hundreds_of_sessions(tmp_path):
    sessions = [{"began_at": START + 100 * n, "ended_at": START + 100 * n + 60} for n in range(300)]
    made = make_ledger(tmp_path / "b", rows=rows(completed=30), sessions=sessions)
    page = page_of(made)
    assert "260 sessions in between are not shown" in page.said
    assert len(page.text) < 300_000


def test_report_shows_configuration_and_its_changes(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=rows(completed=1),
        facts={
            "settings": {"max_in_flight": 500, "download_outputs": True, "timeout": None},
            "client": {"limits": {"max_in_flight": 777}},
            "fingerprint": {"workflow_id": "B9uGJfZ3CFwOdMKH", "columns": {"Betrag": ""}, "title": ""},
            "binding": [
                {"column": "Doc", "input": "workflow_input_1", "display_name": "Document", "how": "--map"}
            ],
        },
        sessions=[{"settings": {"max_in_flight": 500}}, {"settings": {"max_in_flight": 200}}],
    )
    said = page_of(made).said
    assert "workflow_idB9uGJfZ3CFwOdMKH" in said
    assert "max_in_flight500" in said
    assert "columns.Betragleft out" in said
    assert "titleempty" in said
    assert "download_outputsyes" in said
    assert "timeout" not in said
    assert "limits.max_in_flight" not in said, "a batch keeps to its own"
    assert "DocDocumentworkflow_input_1--map" in said
    assert "Session 2: max_in_flight 500 → 200" in said


# Small and strange batches


@pytest.mark.parametrize(
    ("states", "sessions", "word"),
    [
        ({}, [], "This batch has no rows."),
        ({}, None, "This batch has no rows."),
        ({"completed": 1}, None, "The only row completed."),
        ({"planned": 1}, [], "The only row is planned; nothing has been ordered yet."),
        ({"planned": 7}, [], "All 7 rows are planned; nothing has been ordered yet."),
        ({"failed": 1}, None, "The only row did not complete; 1 needs a look."),
        ({"failed": 40}, None, "None of 40 rows completed; 40 need a look."),
        ({"completed": 2, "waiting": 1}, None, "2 of 3 rows completed; 1 waits for a person."),
    ],
)
def test_report_of_small_batch_has_sensible_headline(tmp_path, states, sessions, word):
    page = page_of(make_ledger(tmp_path / "b", rows=rows(**states), sessions=sessions))
    assert word in page.said
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b(?! of)|0 rows of", page.said)


def test_report_draws_session_of_zero_duration(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=[{"ended_at": START, "timings": {"total": 0.0}}],
        sessions=[{"ended_at": START, "began_at": START}],
        samples=[{"elapsed": 0, "in_flight": 1}],
    )
    execute(made, "DELETE FROM history")
    page = page_of(made)
    drawn = [each for each in page.of("rect", "completed") if "y" in each and "%" not in str(each["width"])]
    assert [float(str(each["width"])) > 200 for each in drawn] == [True, True]  # a column, in two sizes
    assert f"Completed per hour{text.NOTHING}" in page.said


def test_report_without_ledger_is_refused_and_not_written(tmp_path):
    with pytest.raises(LedgerError, match="There is no batch in"):
        report.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_report_file_is_replaced_atomically(tmp_path):
    made = make_ledger(tmp_path / "b", rows=rows(completed=1))
    (made / "report.html").write_text("the one of yesterday")
    before = set(made.iterdir())
    page_of(made)
    assert {path for path in made.iterdir() if not path.name.startswith("ledger.db-")} == before
    (made / "report.html").unlink()
    (made / "report.html").mkdir()
    with pytest.raises(OSError, match="no file"):
        report.write(made)
    assert not list(made.glob("*.part")) + list(made.glob(".*.part"))


def test_report_does_not_change_ledger(tmp_path):
    made = make_ledger(tmp_path / "b", rows=rows(completed=3))
    before = (made / "ledger.db").read_bytes()
    report.write(made)
    assert (made / "ledger.db").read_bytes() == before


# What is foreign, and what is secret

EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\u202egnp.exe\u2066\x07\x00</style><!-- ]]>"
)


def evil_batch(directory: Path) -> Path:
    row = {
        "error": EVIL + "x" * 10_000,
        "error_type": EVIL,
        "cause": EVIL,
        "remote_id": EVIL,
        "status": EVIL,
        "stage": EVIL,
        "timings": {EVIL: 2.0, "total": 2.0},
    }
    return make_ledger(
        directory,
        rows=[{**row, "key": f"{EVIL}{n}", "state": "failed"} for n in range(3)],
        sessions=[
            {"host": EVIL, "version": EVIL, "ended_because": EVIL, "settings": {EVIL: EVIL}},
            {"settings": {EVIL: [EVIL]}},
        ],
        samples=[{"elapsed": 1, "in_flight": 2, "bottleneck": EVIL}],
        facts={
            "fingerprint": {"workflow_id": EVIL, EVIL: {EVIL: EVIL}},
            "settings": {EVIL: EVIL},
            "manifest": {"path": EVIL, EVIL: [EVIL]},
            "binding": [{"column": EVIL, "input": EVIL, "display_name": EVIL, "how": EVIL}],
            "stages": [EVIL, "watch"],
            EVIL: EVIL,
        },
    )


def test_report_escapes_foreign_text(tmp_path):
    page = page_of(evil_batch(tmp_path / "<b onclick=x>&"))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "b onclick=x", "iframe", "object", "a", "link", "form"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.said  # as it is, to be read
    assert r"\u202egnp.exe" in page.said
    for sign in "\u202e\u2066\x07\x00":
        assert sign not in page.text


def test_report_cuts_long_errors(tmp_path):
    made = make_ledger(tmp_path / "b", rows=[{"state": "failed", "error": "é" * 10_000}])
    said = page_of(made).said
    assert 200 < said.count("é") < 500


def test_report_shows_lone_surrogate_escaped(tmp_path):
    made = make_ledger(tmp_path / "b", rows=rows(completed=1), facts={"more": {"title": "a\ud83dz"}})
    assert r"a\ud83dz" in page_of(made).said


SECRET = "_" + "0123456789abcdef" * 6
SIGNED = "https://s3.example/b/o.pdf?X-Amz-Algorithm=A&X-Amz-Signature=5f3a99"


def test_report_masks_secrets_found_in_ledger(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=[{"state": "failed", "cause": f"refused {SECRET}", "error": f"{SECRET} at {SIGNED}"}],
        facts={
            "more": {"service_key": "hush", "callback": "https://me.example/cb?token=hush", "apiToken": 5}
        },
    )
    page = page_of(made)
    for secret in (SECRET, SECRET[1:], "5f3a99", "hush", "X-Amz"):
        assert secret not in page.text
    assert "https://s3.example/b/o.pdf?…" in page.said
    assert "service_key(not shown)" in page.said


def test_report_has_no_external_references(tmp_path):
    page = page_of(evil_batch(tmp_path / "b"))
    for _, attributes in page.elements:
        assert not attributes.keys() & {
            "src",
            "href",
            "xlink:href",
            "srcset",
            "action",
            "style",
            "background",
        }
    style = page.text[page.text.index("<style>") : page.text.index("</style>")]
    assert not re.search(r"@import|url\((?!#)|https?:", style)
    (policy,) = [each["content"] for each in page.of("meta") if each.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_report_charts_have_accessible_names(tmp_path):
    made = make_ledger(
        tmp_path / "b",
        rows=rows(completed=20, failed=2),
        samples=[{"elapsed": n, "in_flight": 5, "waiting": n % 2} for n in range(30)],
    )
    page = page_of(made)
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    drawings = [each for each in page.of("svg") if each.get("role") == "img"]
    assert len(drawings) == 7  # states, and three charts in two sizes
    for drawing in drawings:
        assert set((drawing["aria-labelledby"] or "").split()) <= set(names)
    for others in page.of("svg"):
        assert others.get("role") == "img" or others.get("aria-hidden") == "true"
    assert "The most at once was 5, and 1 waited for a person" in page.said


# Size, time and memory


@pytest.fixture(scope="module", params=[20_000, pytest.param(100_000, marks=pytest.mark.long)])
def many(request) -> int:
    """How many rows are many."""
    return request.param


@pytest.fixture(scope="module")
def large(tmp_path_factory, many) -> Path:
    """Many rows in two sessions, with a fifth as many samples."""
    sessions = [
        {"ended_at": START + 50_000, "ended_because": None},
        {"began_at": START + 90_000, "ended_at": START + 140_000},
    ]
    made = make_ledger(tmp_path_factory.mktemp("large") / "b", sessions=sessions)
    execute(
        made,
        f"""
        WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {many - 1})
        INSERT INTO rows(position, key, digest, state, remote_id, orders, attempts, session, ended_at,
                         timings, error, error_type, cause)
        SELECT n, 'INV-' || n, hex(n), CASE WHEN n % 63 THEN 'completed' ELSE 'failed' END, 'job-' || n, 1, 1,
               1 + (n >= {many // 2}), 1760000000.0 + n + CASE WHEN n >= {many // 2} THEN 40000 ELSE 0 END,
               json_object('bind', 0.001, 'prepare', n % 7 * 0.1, 'create', 0.2, 'start', 0.1,
                           'watch', 20.0 + n % 100, 'collect', 0.1, 'total', 20.401 + n % 100 + n % 7 * 0.1),
               CASE WHEN n % 63 THEN NULL ELSE hex(zeroblob(2000)) END, 'JobFailed',
               'cause ' || (n % 40)
        FROM numbers
        """,
    )
    execute(
        made,
        f"""
        WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {many // 5 - 1})
        INSERT INTO samples(at, session, data)
        SELECT 1760000000.0 + n * 5 + CASE WHEN n >= {many // 10} THEN 40000 ELSE 0 END,
               1 + (n >= {many // 10}),
               json_object('in_flight', CASE WHEN n = 777 THEN 9999 ELSE 400 + n % 50 END, 'waiting', n % 3,
                           'requests', n * 90, 'retries', n, 'throttled', n / 9)
        FROM numbers
        """,
    )
    return made


def test_report_of_100000_rows_is_quick_and_small(large, many):
    began = time.process_time()
    page = page_of(large)
    assert time.process_time() - began < many / 16_000  # seconds; about a sixth of it on a quiet machine
    failed = (many - 1) // 63 + 1
    assert f"{many - failed:,} of {many:,} rows completed; {failed:,} need a look." in page.said
    assert "The most at once was 9,999" in page.said
    assert len(page.text) < 300_000
    for kind in ("in-flight", "waiting"):
        lines = [each for each in page.of("path", "line") if kind in (each["class"] or "").split()]
        outlines = [each["d"] or "" for each in lines]
        assert len(outlines) == 4  # two sessions in two sizes
        assert sum(outline.count("L") + 1 for outline in outlines[:2]) <= 160


def test_report_memory_does_not_grow_with_rows(large):
    report.write(large)
    tracemalloc.start()
    try:
        report.write(large)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_report_without_markupsafe_says_what_to_install(tmp_path):
    program = (
        "import sys, pathlib; sys.modules['markupsafe'] = None\n"
        "from opus_async.batch import report\n"
        "try: report.write(pathlib.Path('.'))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.strip() == "ConfigurationError report.html takes pip install 'opus-async[report]'"
