"""From what became of a job to how its row ended, and what failures have in common."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

from opus_async.batch.rows import FetchedFile, Row, RowState
from opus_async.batch.running.row_result import add_timings, from_error, from_outcome
from opus_async.errors import (
    AmbiguousExecution,
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    OpusError,
    ProtocolError,
    TransportError,
    UploadError,
    ValidationFailed,
)
from opus_async.models import JobStatus
from opus_async.outcome import JobOutcome
from opus_async.platform import Stages

STAGES = Stages(bind="look", prepare="pack", create="open", start="go", watch="see", collect="take")
ROW = Row(id=1, index=17, key="K17", cells={}, timings=MappingProxyType({"see": 2.0, "total": 3.0}))


def outcome(status="COMPLETED", error=None, **more):
    return JobOutcome(job_id="job-1", status=JobStatus(status), error=error, timings={"see": 1.0}, **more)


def test_row_result_of_completed_job_has_json_line():
    ending = from_outcome(ROW, outcome(outputs={"Verdict": "PASS", "ü": [1]}), stage="take")
    assert (ending.state, ending.status, ending.remote_id) == (RowState.COMPLETED, "COMPLETED", "job-1")
    assert ending.line.endswith(b"\n")
    assert json.loads(ending.line) == {
        "index": 17,
        "key": "K17",
        "job_id": "job-1",
        "status": "COMPLETED",
        "outputs": {"Verdict": "PASS", "ü": [1]},
        "timings": {"see": 3.0, "total": 3.0},
    }


def test_row_result_line_accepts_lone_surrogate():
    ending = from_outcome(ROW, outcome(outputs={"Text": "\ud83d"}), stage="take")
    assert json.loads(ending.line)["outputs"] == {"Text": "\ud83d"}


def test_row_result_line_lists_downloaded_files():
    file = FetchedFile(name="Report", path="outputs/K17/r.pdf", size=3, sha256="ab")
    ending = from_outcome(ROW, outcome(outputs={}), stage="take", files=(file,))
    assert json.loads(ending.line)["files"] == [
        {"name": "Report", "path": "outputs/K17/r.pdf", "size": 3, "sha256": "ab"}
    ]
    assert ending.files == (file,)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("FAILED", RowState.FAILED),
        ("CANCELLED", RowState.CANCELLED),
        ("TIMED_OUT", RowState.TIMED_OUT),
        ("COMPLETED", RowState.UNKNOWN),
    ],
)
def test_row_result_state_of_outcome_with_error_follows_job_status(status, state):
    error = JobFailed("no", job_id="job-1", stage="take")
    ending = from_outcome(ROW, outcome(status, error), stage="take")
    assert (ending.state, ending.status, ending.line) == (state, status, None)
    assert ending.error == "no"


@pytest.mark.parametrize(
    ("error", "ordered", "state"),
    [
        (InvalidInputs(["no file"], stage="look"), False, RowState.FAILED),
        (UploadError("no", filename="a", stage="pack"), False, RowState.FAILED),
        (DeadlineExceeded("late", stage="pack"), False, RowState.FAILED),
        (ValidationFailed("refused", status=400, stage="go"), True, RowState.FAILED),
        (TransportError("never left", request_sent=False, stage="go"), True, RowState.FAILED),
        (InvalidInputs(["gone"], stage="look"), True, RowState.FAILED),
        (AmbiguousExecution("who knows", stage="go"), True, RowState.UNKNOWN),
        (DeadlineExceeded("late", stage="see"), True, RowState.UNKNOWN),
        (DeadlineExceeded("late", stage="go"), True, RowState.UNKNOWN),
        (ProtocolError("nonsense", stage="see"), True, RowState.UNKNOWN),
        (OpusError("a surprise", stage="go"), True, RowState.UNKNOWN),
        (OpusError("a surprise", stage="download"), True, RowState.UNKNOWN),
    ],
)
def test_row_result_of_error_is_failed_only_if_job_provably_did_not_start(error, ordered, state):
    assert from_error(ROW, error, ordered=ordered, stages=STAGES, status=None).state is state


def test_row_result_of_error_keeps_job_id_type_and_timings():
    error = AmbiguousExecution("job job-77 may run", job_id="job-77", stage="go")
    ending = from_error(ROW, error, ordered=True, stages=STAGES, status="PENDING")
    assert (ending.remote_id, ending.status, ending.stage) == ("job-77", "PENDING", "go")
    assert ending.error_type == "AmbiguousExecution"
    assert ending.timings == ROW.timings


def test_row_result_timings_add_up_over_processes():
    assert add_timings({"a": 1.0, "b": 2.0}, {"b": 0.5, "c": 1.0}) == {"a": 1.0, "b": 2.5, "c": 1.0}
