"""When a batch stops for failures, and how a session is brought to its end."""

from __future__ import annotations

import asyncio

import pytest

from opus_async.errors import (
    AuthenticationError,
    HostDown,
    LedgerError,
    QuotaExhausted,
    RateLimited,
)
from opus_async.exits import Exit
from opus_async.jobs.halt import Halt
from opus_async.jobs.shutdown import Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.platform import Stages

STAGES = Stages(bind="look", prepare="pack", create="open", start="go", watch="see", collect="take")


@pytest.mark.parametrize(
    ("text", "when", "failures", "share"),
    [
        ("now,fail=1", "now", 1, None),
        ("soon,fail=25", "soon", 25, None),
        ("soon,fail=10%", "soon", None, 0.1),
        ("now, fail=2.5%", "now", None, 0.025),
        ("never", "soon", None, None),
    ],
)
def test_halt_parses_policy_text(text, when, failures, share):
    halt = Halt.parse(text)
    assert (halt.when, halt.failures, halt.share) == (when, failures, share)
    assert Halt.parse(str(halt)) == halt


@pytest.mark.parametrize(
    "text",
    ["", "now", "fail=1", "later,fail=1", "now,fail=0", "now,fail=1.5", "soon,fail=0%", "now,fail=101%"],
)
def test_halt_refuses_invalid_policy_with_valid_forms(text):
    with pytest.raises(ValueError, match=r"fail=N|between 0% and 100%"):
        Halt.parse(text)


def test_halt_counts_failures_or_share_of_ended_rows():
    assert [Halt.parse("now,fail=2").reached(failed=n, ended=50) for n in (0, 1, 2, 3)] == [
        False,
        False,
        True,
        True,
    ]
    tenth = Halt.parse("soon,fail=10%")
    assert not tenth.reached(failed=1, ended=1)  # the first row is no sample
    assert not tenth.reached(failed=2, ended=2)
    assert tenth.reached(failed=3, ended=3)
    assert not tenth.reached(failed=3, ended=31)
    assert tenth.reached(failed=4, ended=31)
    assert not Halt.parse("never").reached(failed=10**6, ended=10**6)


async def test_shutdown_first_interrupt_drains_and_second_cancels():
    control = ShutdownControl()
    assert control.admitting
    changed = asyncio.create_task(control.changed())
    await asyncio.sleep(0)
    control.interrupt()
    await changed
    assert (control.mode, control.admitting) == (ShutdownMode.DRAIN, False)
    control.interrupt()
    assert control.mode is ShutdownMode.CANCEL
    assert control.reason == Reason(StopKind.INTERRUPTED, Exit.INTERRUPTED)


async def test_shutdown_mode_never_relaxes_and_first_reason_yields_only_to_interrupt():
    control = ShutdownControl()
    control.end(ShutdownMode.CANCEL, Reason(StopKind.DISK_FULL, Exit.HALTED))
    control.end(ShutdownMode.STOP_ADMITTING, Reason(StopKind.HOST_DOWN, Exit.HALTED))
    assert control.mode is ShutdownMode.CANCEL
    assert control.reason.kind is StopKind.DISK_FULL
    control.interrupt()
    assert control.reason.kind is StopKind.INTERRUPTED


def refusal(kind, **more):
    return kind("no", status=400, **more)


@pytest.mark.parametrize(
    ("error", "exit_code", "pace"),
    [
        (refusal(AuthenticationError), Exit.NOT_ALLOWED, ShutdownMode.DRAIN),
        (refusal(QuotaExhausted), Exit.NOT_ALLOWED, ShutdownMode.DRAIN),
        (refusal(RateLimited), Exit.HALTED, ShutdownMode.DRAIN),
        (HostDown("no", host="h", seconds=1, request_sent=False), Exit.HALTED, ShutdownMode.CANCEL),
        (LedgerError("no", disk_full=True), Exit.HALTED, ShutdownMode.CANCEL),
    ],
)
async def test_shutdown_maps_fatal_error_to_exit_code_and_mode(error, exit_code, pace):
    control = ShutdownControl()
    control.fail_all(error)
    assert (control.reason.exit, control.mode, control.reason.error) == (exit_code, pace, error)
