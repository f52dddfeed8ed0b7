"""Errors of the ledger of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from opus_async.error_codes import ErrorCode, NextAction
from opus_async.errors.base import OpusError


class LedgerError(OpusError):
    """The ledger of a batch cannot be read or written. No more jobs are started; what it holds is not lost.

    Attributes:
        disk_full: Whether the disk has no room left: make some, then resume.
    """

    error_code = ErrorCode.LEDGER

    def __init__(self, message: str, *, disk_full: bool = False) -> None:
        super().__init__(message)
        self.disk_full = disk_full

    def _action_by_itself(self) -> NextAction | None:
        return NextAction.FREE_DISK_SPACE if self.disk_full else self.usual_action


class LedgerBusy(LedgerError):
    """Another process works on this batch; the message names it.

    Attributes:
        pid: Its process id; None when it cannot be told.
        host: The machine it runs on.
    """

    error_code = ErrorCode.LEDGER_BUSY
    usual_action = NextAction.WAIT_FOR_PROCESS

    def __init__(self, message: str, *, pid: int | None = None, host: str = "") -> None:
        super().__init__(message)
        self.pid = pid
        self.host = host


class LedgerDoubtful(LedgerError):
    """The files in a batch directory contradict its ledger, or were changed by somebody else.

    Rows may have been billed of which the ledger knows nothing: nothing was ordered, and nothing changed.

    Attributes:
        problems: One sentence per thing that was found.
        keys: The keys of the rows that it concerns, the first of them when there are many.
    """

    error_code = ErrorCode.LEDGER_DOUBTFUL

    def __init__(self, message: str, problems: Sequence[str] = (), *, keys: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        self.keys = tuple(keys)
        super().__init__(message)
