"""``report.html`` of a load test: what it says, from runs and searches of every kind."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from load_runs import run_of, searched_summary, timeline_of, written

from opus_async.errors import LoadRefused
from opus_async.layout import REPORT, SUMMARY, TIMELINE
from opus_async.load.figures import Counts, Throttled
from opus_async.load.report import write
from opus_async.load.summary import Objective, as_json
from opus_async.load.verdict import Verdict

EVIL = "</code><script>alert(1)</script>"


def page(directory: Path, **how) -> str:
    return write(directory, **how).read_text()


def words(html: str) -> str:
    """The text of a page on one line, without what only screen readers and pointers see."""
    text = re.sub(r"<(title|desc|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text).replace("\xa0", " "))


def sections(html: str) -> list[str]:
    return re.findall(r'<h2 id="([^"]+)">', html)


def test_report_of_a_good_run_has_each_chart_and_table(tmp_path):
    run = run_of(
        seed=1, summary={"slo": [Objective(expression="e2e.p95 < 9s", value=5.0, ok=True)], "price": 0.12}
    )
    written(tmp_path, run)
    (tmp_path / TIMELINE).write_bytes(timeline_of(run))
    html = page(tmp_path)
    assert sections(html) == [
        "objectives", "figures", "rates", "in-flight", "latency", "percentiles", "stages", "breakdown",
        "detect-lag", "slowest", "health",
    ]  # fmt: skip
    told = words(html)
    assert "✓ PASS" in told
    assert "e2e.p95 &lt; 9s 5 s ✓ met" in told
    assert "at 0.12 for each completed job" in told
    for stage in run.summary.stages:
        assert stage in told


def test_report_needs_no_timeline(tmp_path):
    html = page(written(tmp_path, run_of(seed=1)))
    assert {"rates", "in-flight", "latency"} <= set(sections(html))
    assert "Lag of the event loop:" not in html


def test_report_of_a_bad_run_says_why(tmp_path):
    run = run_of(
        seed=2,
        failing=0.1,
        summary={
            "verdict": Verdict.INVALID,
            "reasons": ["the event loop was late"],
            "counts": Counts(
                offered=1300,
                started=1290,
                completed=1161,
                failed=100,
                unknown=29,
                dropped={"max_in_flight": 10},
            ),
            "throttled": Throttled(responses=40, share=0.02, paused_seconds=7.0),
            "failures": {EVIL: 100, "": 29},
        },
    )
    written(tmp_path, run)
    (tmp_path / TIMELINE).write_bytes(timeline_of(run, throttled=40))
    html = page(tmp_path)
    told = words(html)
    assert {"throttling", "failures"} <= set(sections(html))
    assert "! INVALID" in told
    assert "the event loop was late" in told
    assert "10 max_in_flight" in told
    assert "40 answers with 429, 2 % of all" in told
    assert "no cause is known 29" in told
    assert "<script" not in html


def test_report_of_a_run_in_which_nothing_completed(tmp_path):
    run = run_of(seed=1, failing=1.0, summary={"verdict": Verdict.INVALID, "reasons": ["no job completed"]})
    told = words(page(written(tmp_path, run)))
    assert told.count("No job of the measured window completed.") == 2


def test_report_of_a_single_job(tmp_path):
    run = run_of(seed=1, rate=0.05, seconds=30, warm_up=0, summary={"seconds": 30, "warm_up": 0})
    assert len(run.samples) in {1, 2}
    assert "percentiles" in sections(page(written(tmp_path, run)))


def test_report_shows_what_changed_since_another_run(tmp_path):
    base = written(tmp_path / "main", run_of(seed=1))
    slow = run_of(seed=2, service=lambda rng, _: 1.5 * rng.lognormvariate(1.0, 0.4))
    html = page(written(tmp_path / "branch", slow), base=base)
    told = words(html)
    assert "Compared with main" in told
    assert "On the whole: worse ." in told
    assert re.search(r"e2e_intended\.p50 [0-9.]+ s [0-9.]+ s \+[0-9.]+ % .* ✕ worse", told)
    assert str(tmp_path) not in html


def test_report_refuses_a_run_of_another_workload(tmp_path):
    base = written(tmp_path / "main", run_of(seed=1))
    other = written(tmp_path / "other", run_of(seed=2, summary={"workload": {"workflow_id": "other"}}))
    with pytest.raises(LoadRefused, match="different workloads"):
        write(other, base=base)
    assert not (other / REPORT).exists()


@pytest.mark.parametrize("throttled", [0, 12])
def test_report_of_a_search_has_rate_chart_and_steps(tmp_path, throttled):
    summary = searched_summary(throttled=throttled)
    (tmp_path / SUMMARY).write_bytes(as_json(summary))
    html = page(tmp_path)
    told = words(html)
    assert sections(html) == ["figures", "throughput", "latency", "steps"]
    assert re.search(r"[0-9.]+ jobs a second hold: [0-9,]+ an hour\.", told)
    dots = len(summary.steps)
    assert dots < html.count("<circle") <= 4 * dots
    if throttled:
        assert "the rate limit" in told
        assert "No scalability law is fitted" in told
    else:
        assert "Universal scalability law" in told


def test_report_of_a_search_without_steps(tmp_path):
    (tmp_path / SUMMARY).write_bytes(as_json(searched_summary(steps=0)))
    told = words(page(tmp_path))
    assert "No rate holds." in told
    assert "No step has measured a job." in told


def test_report_of_no_load_test_is_refused(tmp_path):
    with pytest.raises(LoadRefused, match="holds no load test"):
        write(tmp_path)


def test_report_survives_odd_numbers(tmp_path):
    rng = random.Random(3)
    run = run_of(seed=3, service=lambda *_: rng.choice([0.0, 1e-6, 3e4]))
    assert "percentiles" in sections(page(written(tmp_path, run)))
