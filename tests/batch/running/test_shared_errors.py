"""What one row meets is its own, unless others meet it too; and no row fails for this machine's sake."""

from __future__ import annotations

import errno

import pytest
from fake_platform import FakePlatform
from plain_ledger import PlainLedger
from runner_session import Session

from opus_async.batch.observer import reason_text
from opus_async.errors import (
    AuthenticationError,
    HostDown,
    Obstacle,
    OpusError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    TransportError,
    UploadError,
)
from opus_async.exits import Exit

ROWS = 20


def refused(kind=PermissionDenied):
    return kind("no", status=403)


def redirected():
    return TransportError("elsewhere", request_sent=True, retryable=False, obstacle=Obstacle.REDIRECT)


def too_large():
    return TransportError("large", request_sent=True, retryable=False, obstacle=Obstacle.TOO_LARGE)


def odd_address():
    error = TransportError("no such name", request_sent=False)
    error.storage = True
    return error


def never_answered():
    error = HostDown("down", host="file storage", seconds=1, request_sent=False, answered=False)
    error.storage = True
    return error


def number_of(what):
    job = what[0] if isinstance(what, tuple) else what
    return job.get("n") if isinstance(job, dict) else int(job.partition("-")[2])


def meeting(error, stage, rows=None, *, at_once=1, count=ROWS, **options):
    """A session in which these rows, or all, meet this at this stage."""
    platform = FakePlatform(step=0.01, run_time=0.1)
    platform.fail[stage] = lambda what: error() if rows is None or number_of(what) in rows else None
    return Session(PlainLedger(count), platform, max_in_flight=at_once, **options)


@pytest.mark.parametrize("at_once", [1, 7])
@pytest.mark.parametrize("row", [0, 5, ROWS - 1])
@pytest.mark.parametrize(
    ("error", "stage", "state"),
    [
        (refused, "create", "failed"),
        (refused, "start", "failed"),
        (refused, "collect", "unknown"),
        (lambda: refused(AuthenticationError), "create", "failed"),
        (lambda: refused(AuthenticationError), "collect", "unknown"),
        (lambda: refused(RateLimited), "collect", "unknown"),
        (redirected, "create", "failed"),
        (redirected, "collect", "unknown"),
        (too_large, "collect", "unknown"),
        (lambda: ProtocolError("garbage"), "collect", "unknown"),
        (odd_address, "prepare", "failed"),
        (never_answered, "prepare", "failed"),
    ],
)
def test_shared_errors_met_by_one_row_end_only_that_row(error, stage, state, row, at_once):
    session = meeting(error, stage, {row}, at_once=at_once)
    session.run()
    assert session.states == {"completed": ROWS - 1, state: 1}
    assert session.control.reason is None


@pytest.mark.parametrize("at_once", [1, 7])
@pytest.mark.parametrize(
    ("error", "stage"),
    [(refused, "create"), (refused, "start"), (odd_address, "prepare"), (redirected, "create")],
)
def test_shared_errors_met_by_every_row_end_session_and_fail_no_row(error, stage, at_once):
    session = meeting(error, stage, at_once=at_once)
    session.run()
    assert session.control.reason.exit == Exit.NOT_ALLOWED
    assert set(session.states) <= {"planned", "ordering"}
    assert len(session.platform.calls) < 60


def test_shared_errors_met_by_the_only_row_end_session_and_do_not_fail_it():
    session = meeting(refused, "create", count=1)
    session.run()
    assert session.control.reason.exit == Exit.NOT_ALLOWED
    assert session.states == {"planned": 1}


def test_shared_errors_end_session_at_first_row_if_key_is_refused_everywhere():
    session = meeting(lambda: refused(AuthenticationError), "collect")
    session.platform.fail["reopen"] = lambda _: refused(AuthenticationError)
    session.run()
    assert session.control.reason.exit == Exit.NOT_ALLOWED
    assert session.states == {"planned": ROWS - 1, "running": 1}


def test_shared_errors_still_undecided_at_interrupt_fail_no_row():
    session = meeting(refused, "create", {0, 1}, at_once=2)
    session.run((0.015, session.control.interrupt))
    assert "failed" not in session.states


def out_of_files(kind):
    if kind is OSError:
        return OSError(errno.EMFILE, "Too many open files")
    if kind is RuntimeError:
        return RuntimeError("can't start new thread")
    error = UploadError("none left", filename="a") if kind is UploadError else OpusError("none left")
    error.shortage = "open files"
    return error


@pytest.mark.parametrize("stage", ["bind", "prepare", "create", "start", "collect"])
@pytest.mark.parametrize("kind", [OSError, RuntimeError, UploadError, MemoryError])
def test_shortage_of_local_resources_is_waited_out_at_every_stage(kind, stage):
    left = {"times": 10 if stage == "start" else 25}  # an order may be given twice, whatever became of it

    def for_a_while(_):
        left["times"] -= 1
        return None if left["times"] < 0 else (MemoryError() if kind is MemoryError else out_of_files(kind))

    platform = FakePlatform(step=0.01, run_time=0.1)
    platform.fail[stage] = for_a_while
    session = Session(PlainLedger(ROWS), platform)
    session.run()
    assert session.states == {"completed": ROWS}
    started = session.platform.started
    assert len(started) == ROWS


def test_shortage_that_lasts_halts_session_and_fails_no_row():
    session = meeting(lambda: out_of_files(OSError), "prepare", at_once=5)
    session.run()
    assert session.control.reason.exit == Exit.HALTED
    assert reason_text(session.control.reason) == "this machine has no open files left"
    assert session.states == {"planned": ROWS}
    assert session.took >= 120
