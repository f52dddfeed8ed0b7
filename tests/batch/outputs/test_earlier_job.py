"""What a line of failures.jsonl tells of its earlier job, whoever wrote it. Its use is in test_retry.py."""

from __future__ import annotations

import pytest

from opus_async.batch.outputs.earlier_job import earlier_job, job_fields, second_bill_check
from opus_async.batch.rows import EarlierJob, RowState
from opus_async.batch.world import world_of
from opus_async.manifests import Record

HERE = {"platform": "opus", "host": "opus.example", "generation": "v0"}
ELSEWHERE = {**HERE, "host": "other.example"}
JOB = EarlierJob(
    remote_id="2514", world=world_of({**HERE, "workflow_id": "w"}), digest="d", state=RowState.FAILED
)


def record(**past):
    return Record(index=4, where="line 5", cells={"Text": "a"}, past=past)


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED", "TIMED_OUT"])
def test_second_bill_check_accepts_proved_failures(status):
    assert second_bill_check(HERE)(record(status=status)) is None


@pytest.mark.parametrize("status", ["UNKNOWN", "COMPLETED", "RUNNING", "failed", None, 7, ["FAILED"]])
def test_second_bill_check_refuses_any_other_status(status):
    problem = second_bill_check(HERE)(record(status=status))
    assert "its job may have run, and be billed" in problem.message
    assert "--accept-second-bill" in problem.fix
    assert (problem.index, problem.where) == (4, "line 5")


def test_second_bill_check_accepts_record_without_earlier_batch():
    assert second_bill_check(HERE)(Record(index=0, where="line 2", cells={})) is None


def test_earlier_job_is_read_back_as_written():
    past = {"job_id": JOB.remote_id, "status": "FAILED", **job_fields(JOB)}
    assert earlier_job(past) == JOB
    assert second_bill_check(HERE)(record(**past)) is None
    assert "'other.example'" not in second_bill_check(ELSEWHERE)(record(**past)).message
    assert "'opus.example'" in second_bill_check(ELSEWHERE)(record(**past)).message


@pytest.mark.parametrize(
    "edited",
    [
        {"ordered": "yes"},
        {"job_id": None},
        {"job_id": ""},
        {"world": "opus"},
        {"world": None},
        {"status": "failed"},
    ],
)
def test_earlier_job_of_edited_line_is_none(edited):
    assert earlier_job({"job_id": "2514", "status": "FAILED", **job_fields(JOB), **edited}) is None


def test_second_bill_check_refuses_malformed_world():
    past = {
        "job_id": "2514",
        "status": "FAILED",
        **job_fields(JOB),
        "world": {"host": ["x"], "generation": {}},
    }
    assert "cannot be asked here" in second_bill_check(HERE)(record(**past)).message
