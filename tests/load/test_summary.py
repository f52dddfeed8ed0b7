"""Files of a load test, written and read: their fields are a contract, and damaged ones are told of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from load_runs import run_of, samples_of, summary_of, written

from opus_async.errors import LoadRefused
from opus_async.layout import LEDGER, SAMPLES, SUMMARY
from opus_async.load.sample_file import read_samples
from opus_async.load.search import Search, SearchPlan
from opus_async.load.step_objectives import Breach
from opus_async.load.steps import Step, StepKind, StepResult
from opus_async.load.summary import RunSummary, SearchSummary, as_json, read


def searched() -> SearchSummary:
    search = Search(SearchPlan())
    for rate, kind, breaches in (
        (1.0, StepKind.DOUBLE, ()),
        (1.02, StepKind.DOUBLE, (Breach("e2e.p95 < 1s"),)),
        (1.0, StepKind.CONFIRM, ()),
    ):
        step = Step(kind, rate, 6, 30)
        search.take(
            StepResult(
                step=step,
                started=36,
                offered=rate,
                completed_rate=rate,
                p95=0.5,
                in_flight=0.4,
                breaches=breaches,
            )
        )
    return SearchSummary.of(
        search,
        search.outcome(),
        run_id="r",
        workload={"workflow": "wf"},
        seed=1,
        began=1.0,
        slo=["e2e.p95 < 1s"],
    )


def test_summary_of_a_run_has_the_fields_of_the_contract():
    summary = json.loads(as_json(summary_of(samples_of(seed=1))))
    assert summary.keys() >= {
        "run_id", "verdict", "reasons", "exit_code", "workload", "counts", "rates", "latency", "in_flight",
        "little", "detect_lag", "throttled", "health", "slo", "window",
    }  # fmt: skip
    assert summary["counts"].keys() == {"offered", "started", "completed", "failed", "unknown", "dropped"}
    assert summary["rates"].keys() == {"offered", "started", "completed"}
    assert summary["latency"]["queue_run"].keys() == {
        "count",
        "mean",
        "p50",
        "p90",
        "p95",
        "p99",
        "p999",
        "max",
    }
    assert {"e2e_intended", "e2e_service"} <= summary["latency"].keys()
    assert summary["in_flight"].keys() == {"mean", "max"}
    assert summary["detect_lag"].keys() == {"p50", "p95"}
    assert {"responses", "share"} <= summary["throttled"].keys()
    assert summary["health"].keys() == {
        "loop_lag_p99", "start_lateness_p99", "cpu_share", "rss_bytes", "open_files",
    }  # fmt: skip
    assert summary["window"].keys() == {"start", "end"}
    assert summary["verdict"] == "PASS"


def test_summary_of_a_search_has_the_fields_of_the_contract():
    summary = json.loads(as_json(searched()))
    assert summary.keys() >= {"verdict", "rate", "limiting_stage", "confirmed", "steps", "fit"}
    assert summary["steps"][0].keys() >= {"rate", "completed_rate", "p95", "in_flight", "ok", "why"}
    assert [step["ok"] for step in summary["steps"]] == [True, False, True]
    assert (summary["verdict"], summary["rate"], summary["confirmed"], summary["fit"]) == (
        "PASS",
        1.0,
        True,
        None,
    )
    assert (summary["exit_code"], summary["jobs"]) == (0, 108)


@pytest.mark.parametrize("summary", [summary_of(samples_of(seed=1)), searched()], ids=["run", "search"])
def test_summary_is_read_as_it_was_written(tmp_path, summary):
    (tmp_path / SUMMARY).write_bytes(as_json(summary))
    assert read(tmp_path, type(summary)) == summary


def test_fields_of_a_later_release_do_not_matter(tmp_path):
    summary = summary_of(samples_of(seed=1))
    later = json.loads(as_json(summary)) | {"carbon": {"grams": 3}}
    (tmp_path / SUMMARY).write_text(json.dumps(later))
    assert read(tmp_path, RunSummary) == summary


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "MAYBE"}, "verdict: Input should be 'PASS', 'FAIL' or 'INVALID'"),
        ({"counts": {"offered": -1}}, "counts.offered: "),
        ({"latency": {"upload": {"p50": "fast"}}}, "latency.upload.p50: Input should be a valid number"),
        ({"window": None}, "window: "),
        ({"exit_code": 1.5}, "exit_code: "),
        ({"little": "NaN"}, "little: "),
    ],
)
def test_field_that_cannot_be_used_is_named(tmp_path, change, said):
    whole = json.loads(as_json(summary_of(samples_of(seed=1)))) | change
    (tmp_path / SUMMARY).write_text(json.dumps(whole))
    with pytest.raises(LoadRefused) as caught:
        read(tmp_path, RunSummary)
    assert said in str(caught.value)
    assert "summary.json" in str(caught.value)


def test_summary_of_the_other_command_is_told_apart(tmp_path):
    (tmp_path / SUMMARY).write_bytes(as_json(searched()))
    with pytest.raises(LoadRefused, match="is of load find-max, and what is wanted is one of load run"):
        read(tmp_path, RunSummary)


def test_summary_of_a_batch_is_told_apart(tmp_path):
    (tmp_path / LEDGER).touch()
    (tmp_path / SUMMARY).write_text('{"workflow_id": "W", "total": 1}')
    with pytest.raises(LoadRefused, match="is of a batch, and what is wanted is one of load find-max"):
        read(tmp_path, SearchSummary)


def test_directory_without_a_summary_is_refused(tmp_path):
    with pytest.raises(LoadRefused, match=r"no load test that can be read: summary\.json: No such file"):
        read(tmp_path, RunSummary)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path_factory, content):
    directory = tmp_path_factory.mktemp("damaged")
    (directory / SUMMARY).write_bytes(content)
    with pytest.raises(LoadRefused):
        read(directory, RunSummary)


def test_samples_are_read_as_they_were_written(tmp_path):
    run = run_of(seed=1)
    found = list(read_samples(written(tmp_path, run)))
    assert [sample.as_json() for sample in found] == [sample.as_json() for sample in run.samples]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [*lines[:2], b"{}\n"], "line 3: index: Field required"),
        (lambda lines: [lines[0], b"not json\n"], "line 2: Invalid JSON"),
        (lambda lines: [lines[0][:40]], "line 1: it is cut short"),
        (lambda lines: [lines[0].replace(b'"measured": ', b'"measured": 1')], "line 1: "),
        (lambda lines: [b"x" * 1_000_001], "line 1: it is longer than any sample"),
        (
            lambda lines: [lines[0].replace(b'"ended": ', b'"ended": -')],
            "line 1: the job ended before it was started",
        ),
        (lambda lines: [lines[0].replace(b'"presign": ', b'"presign": -')], "line 1: stages.presign: "),
    ],
)
def test_damaged_line_is_named(tmp_path, damage, said):
    written(tmp_path, run_of(seed=1))
    lines = (tmp_path / SAMPLES).read_bytes().splitlines(keepends=True)
    (tmp_path / SAMPLES).write_bytes(b"".join(damage(lines)))
    with pytest.raises(LoadRefused) as caught:
        list(read_samples(tmp_path))
    assert said in str(caught.value)


def test_missing_samples_are_told(tmp_path):
    with pytest.raises(LoadRefused, match="cannot be read: No such file"):
        list(read_samples(tmp_path))
