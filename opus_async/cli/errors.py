"""Errors of the command line itself, the exit code of each error, and how messages are printed on stderr."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping

from opus_async.cli.program import NAME, program_name
from opus_async.cli.target import Target
from opus_async.error_codes import NextAction
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    JobPaused,
    LedgerBusy,
    LedgerDoubtful,
    LedgerError,
    LoadRefused,
    ManifestError,
    NotFound,
    OpusError,
    PermissionDenied,
    QuotaExhausted,
    TransportError,
    ValidationFailed,
    with_hint,
)
from opus_async.exits import Exit, first_of

__all__ = [
    "Exit",
    "as_called",
    "exit_code",
    "first_of",
    "message_of",
    "print_error",
    "print_hint",
]

READER_GONE = 141
"""The exit code when nobody reads stdout any more: 128 + SIGPIPE, as a shell sees it of any program."""
DOWNLOAD = "download"
"""The stage of an error that came after the end of a job: its outputs are here, their files are not."""

HINTS: Mapping[NextAction, str] = {
    NextAction.WAIT_FOR_JOB: "{wait} goes on waiting",
    NextAction.FETCH_RESULTS: "{wait} fetches what it left",
    NextAction.READ_AUDIT: "{look} tells what its nodes did",
    NextAction.ANSWER_JOB: "{answer} answers it",
    NextAction.CHECK_ID: "{generation}",
    NextAction.CHOOSE_GENERATION: "{generation}",
    NextAction.SKIP_INVALID_ROWS: "--skip-invalid runs the others",
    NextAction.ACCEPT_SECOND_BILL: "--accept-second-bill accepts it",
    NextAction.FORCE: "--force goes on with it",
}
"""How the next step is taken at a shell; where there is none, or the platform has no command for it, the
message says all there is."""


class WrongUse(Exception):
    """Arguments are wrong in a way that argparse cannot judge: a file that is not there, say. Exit code 2."""


class Failed(Exception):
    """A command failed, and the text says why. Exit code 1."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what the person should know about what goes on remotely. Exit code 130.

    Attributes:
        job_id: The job that may go on; None where there is none.
    """

    def __init__(self, text: str, *, job_id: str | None = None) -> None:
        super().__init__(text)
        self.job_id = job_id


def exit_code(error: BaseException, target: Target) -> Exit:  # noqa: C901, PLR0911 - a table
    """The exit code for an error that ended a command.

    Args:
        error: The error.
        target: The platform at hand, by whose stages it is told how far a job had come.
    """
    stages = target.entry.stages
    match error:
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case JobFailed():
            return Exit.FAILED
        case ConfigurationError() | AuthenticationError() | PermissionDenied() | QuotaExhausted():
            return Exit.NOT_ALLOWED
        case OpusError() if error.job_id and error.stage == stages.watch:  # ordered, whatever is denied now
            return Exit.UNKNOWN
        case OpusError() if error.job_id and error.stage in {stages.collect, DOWNLOAD}:
            return Exit.FAILED
        case WrongUse() | InvalidInputs() | ValidationFailed() | NotFound() | ManifestError():
            return Exit.WRONG_USE
        case LedgerBusy() | LedgerDoubtful() | LoadRefused():
            return Exit.WRONG_USE
        case LedgerError(disk_full=True):
            return Exit.HALTED
        case AmbiguousExecution() | JobPaused():
            return Exit.UNKNOWN
        # A job that was ordered goes on without us: how it ends is unknown here, and it will be billed.
        case DeadlineExceeded() if error.job_id and not _completed(error):
            return Exit.UNKNOWN
        case TransportError():  # nothing was ordered, and the host cannot be reached
            return Exit.NOT_ALLOWED
    return Exit.NOT_ALLOWED if shortage_text(error) else Exit.FAILED


def print_error(text: str) -> None:
    """Print a message on stderr, behind the program's name."""
    print(_folded(f"opus-async: {text}", indent="  "), file=sys.stderr)


def print_hint(text: str) -> None:
    """Print on stderr what can be done next."""
    print(_folded(text), file=sys.stderr)


def as_called(text: str) -> str:
    """A message with the commands of this program in it as they have to be typed here.

    The library names them by the program's bare name; it may not be on the path.
    """
    return text.replace(f"'{NAME} batch ", f"'{program_name()} batch ")


def message_of(error: OpusError, target: Target) -> str:
    """The message of an error for JSON, with the command that takes the next step where there is one."""
    step = error.next_step
    meant = error.hint or isinstance(error, JobPaused)
    hint = _hint(HINTS.get(step.action, ""), error, target) if meant and step else ""
    return with_hint(as_called(error.message), hint)


def _hint(template: str, error: OpusError, target: Target) -> str:
    """A hint of ``HINTS`` with its command; empty where the platform has no such command."""
    job_id = error.job_id or ""
    alias, status = (error.alias, error.status.raw) if isinstance(error, JobPaused) else (None, None)
    commands = {
        "{wait}": target.wait(job_id),
        "{look}": target.look(job_id),
        "{answer}": target.answer(alias, status),
    }
    for mark, command in commands.items():
        if mark in template:
            return template.replace(mark, f"'{command}'") if command else ""
    return template.replace("{generation}", target.entry.generation_hint)


def shortage_text(error: BaseException) -> str | None:
    """What this machine has none left of, as a sentence; None for any other error."""
    from opus_async.transport.shortage import advice, out_of

    what = out_of(error)
    return None if what is None else f"this machine has no {what} left: {advice(what)}"


def _completed(error: DeadlineExceeded) -> bool:
    return error.last_status == "COMPLETED"


def _folded(text: str, *, indent: str = "") -> str:
    """The text with its lines folded between words on a terminal, and as it is elsewhere."""
    if not sys.stderr.isatty():
        return text
    fold = textwrap.TextWrapper(
        shutil.get_terminal_size().columns,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(fold.fill(line) for line in text.splitlines())
