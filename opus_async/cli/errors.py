"""Exit codes, and an error as a person reads it: on stderr, in sentences, without a traceback."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterable
from enum import IntEnum

from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    NotFound,
    OpusError,
    PermissionDenied,
    TransportError,
    ValidationFailed,
    first_error,
)

READER_GONE = 141
"""128 + SIGPIPE: what a shell sees of any program whose reader has gone."""


class Exit(IntEnum):
    """The exit codes; a contract."""

    OK = 0
    FAILED = 1
    """Some jobs failed, or it could not be done."""
    WRONG_USE = 2
    HALTED = 3
    NOT_ALLOWED = 4
    """Key, permission or configuration."""
    UNKNOWN = 5
    """An outcome is unknown and needs a decision."""
    SLO_FAILED = 6
    INVALID_LOAD = 7
    INTERRUPTED = 130


_ORDER = (
    Exit.INTERRUPTED,
    Exit.NOT_ALLOWED,
    Exit.WRONG_USE,
    Exit.HALTED,
    Exit.INVALID_LOAD,
    Exit.SLO_FAILED,
    Exit.UNKNOWN,
    Exit.FAILED,
)


class WrongUse(Exception):
    """Arguments that argparse cannot judge: a file that is not there, a folder that is not ours."""


class Failed(Exception):
    """It could not be done, and the text says why."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what the person should know about what goes on remotely."""


def first_of(codes: Iterable[Exit]) -> Exit:
    """Of several that apply, the one that counts."""
    found = set(codes)
    return next((code for code in _ORDER if code in found), Exit.OK)


def exit_code(error: BaseException) -> Exit:  # noqa: PLR0911 - a table
    """What this error means for the shell."""
    match error:
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case JobFailed():
            return Exit.FAILED
        case ConfigurationError() | AuthenticationError() | PermissionDenied():
            return Exit.NOT_ALLOWED
        case OpusError(stage="watch") if error.job_id:  # it was ordered, whatever is denied now
            return Exit.UNKNOWN
        case OpusError(stage="results") if error.job_id:
            return Exit.FAILED
        case WrongUse() | InvalidInputs() | ValidationFailed() | NotFound():
            return Exit.WRONG_USE
        case AmbiguousExecution():
            return Exit.UNKNOWN
        # A job that was ordered goes on without us: how it ends is unknown here, and it will be billed.
        case DeadlineExceeded() if error.job_id and not _completed(error):
            return Exit.UNKNOWN
        case TransportError(retryable=False):
            return Exit.NOT_ALLOWED
    return Exit.FAILED


def report(error: BaseException, *, debug: bool) -> Exit:
    """Explain an error on stderr; returns the exit code."""
    error = first_error(error)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, KeyboardInterrupt) and sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal has written ^C where we stand
    complain(_explained(error))
    if hint := advice(error):
        print(_folded(hint), file=sys.stderr)
    return exit_code(error)


def complain(text: str) -> None:
    """One message on stderr, marked as ours."""
    print(_folded(f"opus-async: {text}", indent="  "), file=sys.stderr)


def advice(error: BaseException) -> str | None:
    """What a person at the command line can do about it, beyond what the message says; None for nothing."""
    if not isinstance(error, OpusError):
        return None
    code = exit_code(error)
    if error.job_id and (code is Exit.UNKNOWN or error.stage == "watch"):
        return (
            f"Job {error.job_id} may still run, and is billed when it completes. Do not run the same inputs "
            "again before you know. Look at it in Opus, or wait for it in Python:\n"
            f"    status = await opus.jobs.wait({error.job_id!r})\n"
            f"    outputs = (await opus.jobs.results({error.job_id!r})).outputs"
        )
    return "'opus-async doctor' checks key, network and limits." if code is Exit.NOT_ALLOWED else None


def start_logging(*, debug: bool) -> None:
    """Send our log to stderr when asked to; else nowhere, because errors are told in sentences."""
    logger = logging.getLogger("opus_async")
    if not debug:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


def _explained(error: BaseException) -> str:
    match error:
        case Interrupted():
            return f"interrupted; {error}"
        case KeyboardInterrupt():
            return "interrupted"
        case InvalidInputs():
            return error.message  # a list: where it happened is of no help
        case OpusError() | WrongUse() | Failed():
            return str(error)
        case OSError() if error.strerror:
            named = f"{error.filename}: " if error.filename else ""
            return f"{named}{error.strerror}"
    return f"{type(error).__name__}: {error} (this is a bug: run it again with --debug and report the trace)"


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
