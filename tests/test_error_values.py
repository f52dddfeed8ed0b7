"""What errors say to programs: a stable code for each class, and the next step as a value."""

from __future__ import annotations

import copy
import pickle

import pytest

from opus_async import errors
from opus_async.error_codes import COMES_FIRST, ErrorCode, NextAction, NextStep
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    DownloadError,
    InvalidInputs,
    JobFailed,
    LedgerBusy,
    LedgerError,
    NotFound,
    OpusError,
    TransportError,
)
from opus_async.gaps import gapped
from opus_async.models import JobStatus

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OpusError)]


def test_error_code_is_unique_per_error_class():
    codes = {kind: kind.error_code for kind in KINDS}
    assert len(set(codes.values())) == len(codes), codes
    assert set(codes.values()) == set(ErrorCode)
    assert codes[AuthenticationError] == "authentication"
    assert codes[InvalidInputs] == "invalid_inputs"


def test_error_keeps_platform_code_beside_error_code():
    error = NotFound("no", status=404, code="WORKFLOW_NOT_FOUND")
    assert (error.code, error.error_code) == ("WORKFLOW_NOT_FOUND", "not_found")


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (OpusError("x"), None),
        (ConfigurationError("x"), NextStep(NextAction.CORRECT_SETTINGS)),
        (JobFailed("x", job_id="1"), NextStep(NextAction.READ_AUDIT, "1")),
        (AmbiguousExecution("x", job_id="1"), NextStep(NextAction.LOOK_AT_JOB, "1")),
        (DeadlineExceeded("x"), NextStep(NextAction.ALLOW_MORE_TIME)),
        (DeadlineExceeded("x", job_id="1"), NextStep(NextAction.WAIT_FOR_JOB, "1")),
        (
            DeadlineExceeded("x", job_id="1", last_status=JobStatus.COMPLETED),
            NextStep(NextAction.FETCH_RESULTS, "1"),
        ),
        (DownloadError("x", destination="a"), NextStep(NextAction.FETCH_FILES)),
        (DownloadError("x", destination="a", disk_full=True), NextStep(NextAction.FREE_DISK_SPACE)),
        (LedgerError("x"), None),
        (LedgerError("x", disk_full=True), NextStep(NextAction.FREE_DISK_SPACE)),
        (LedgerBusy("x"), NextStep(NextAction.WAIT_FOR_PROCESS)),
    ],
)
def test_next_step_defaults_by_error_class_and_fields(error, step):
    assert error.next_step == step


def test_next_step_includes_job_id_set_by_located():
    error = TransportError("x", request_sent=True).advised(NextAction.WAIT_FOR_JOB)
    assert error.next_step == NextStep(NextAction.WAIT_FOR_JOB)
    assert error.located(job_id="7").next_step == NextStep(NextAction.WAIT_FOR_JOB, "7")


@pytest.mark.parametrize("first", sorted(COMES_FIRST))
def test_next_step_with_priority_is_not_replaced_by_later_advice(first):
    error = OpusError("x").advised(first).advised(NextAction.WAIT_FOR_JOB, "wait()")
    assert (error.next_step.action, error.hint) == (first, "")


def test_error_hint_is_in_str_but_not_in_message():
    error = OpusError("It goes on.", job_id="7", stage="watch").advised(NextAction.WAIT_FOR_JOB, "wait(7)")
    assert str(error) == "It goes on. wait(7). [job 7, stage watch]"
    assert error.message == "It goes on."
    assert error.without_hint() == "It goes on. [job 7, stage watch]"
    assert error.hint == "wait(7)"


@pytest.mark.parametrize("copied", [copy.copy, lambda it: pickle.loads(pickle.dumps(it))])
def test_error_values_survive_copy_and_pickle(copied):
    error = OpusError(gapped("took {} s", 12.5), job_id="7").advised(NextAction.READ_AUDIT, "audit()")
    same = copied(error)
    assert (str(same), same.group, same.next_step, same.hint) == (
        (str(error), "took … s", NextStep(NextAction.READ_AUDIT, "7"), "audit()")
    )
    assert type(same.message) is str


def test_errors_and_tracebacks_name_the_module_that_users_import():
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    assert {each.__module__ for each in classes} == {"opus_async.errors"}
