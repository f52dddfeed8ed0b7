"""Exit codes, and an error as a person reads it: on stderr, in sentences, without a traceback."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterator, Mapping

from opus_async.cli.program import NAME, command_line, program_name
from opus_async.error_codes import NextAction
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    LedgerBusy,
    LedgerDoubtful,
    LedgerError,
    ManifestError,
    NotFound,
    OpusError,
    PermissionDenied,
    QuotaExhausted,
    TransportError,
    ValidationFailed,
    first_error,
    with_hint,
)
from opus_async.exits import Exit, first_of

__all__ = [
    "Exit",
    "advice",
    "as_called",
    "exit_code",
    "first_of",
    "message_of",
    "print_error",
    "print_hint",
    "report",
    "start_logging",
]

READER_GONE = 141
"""128 + SIGPIPE: what a shell sees of any program whose reader has gone."""
GENERATION = "--api or OPUS_API names the generation of the API"
DOWNLOAD = "download"
"""The stage of an error after the end of a job: its outputs are here, their files are not."""


_HINTS: Mapping[NextAction, str] = {
    NextAction.WAIT_FOR_JOB: "{command} goes on waiting",
    NextAction.FETCH_RESULTS: "{command} fetches what it left",
    NextAction.READ_AUDIT: "{command} tells what its nodes did",
    NextAction.CHECK_ID: GENERATION,
    NextAction.CHOOSE_GENERATION: GENERATION,
    NextAction.SKIP_INVALID_ROWS: "--skip-invalid runs the others",
    NextAction.ACCEPT_SECOND_BILL: "--accept-second-bill accepts it",
    NextAction.FORCE: "--force goes on with it",
}
"""How the next step is taken at a shell; where there is none, the message says all there is."""


class WrongUse(Exception):
    """Arguments that argparse cannot judge: a file that is not there, a folder that is not ours."""


class Failed(Exception):
    """It could not be done, and the text says why."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what the person should know about what goes on remotely.

    Attributes:
        job_id: The job that may go on; None where there is none.
    """

    def __init__(self, text: str, *, job_id: str | None = None) -> None:
        super().__init__(text)
        self.job_id = job_id


def exit_code(error: BaseException) -> Exit:  # noqa: C901, PLR0911 - a table
    """What this error means for the shell."""
    match error:
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case JobFailed():
            return Exit.FAILED
        case ConfigurationError() | AuthenticationError() | PermissionDenied() | QuotaExhausted():
            return Exit.NOT_ALLOWED
        case OpusError(stage="watch") if error.job_id:  # it was ordered, whatever is denied now
            return Exit.UNKNOWN
        case OpusError(stage="results" | "download") if error.job_id:
            return Exit.FAILED
        case WrongUse() | InvalidInputs() | ValidationFailed() | NotFound() | ManifestError():
            return Exit.WRONG_USE
        case LedgerBusy() | LedgerDoubtful():
            return Exit.WRONG_USE
        case LedgerError(disk_full=True):
            return Exit.HALTED
        case AmbiguousExecution():
            return Exit.UNKNOWN
        # A job that was ordered goes on without us: how it ends is unknown here, and it will be billed.
        case DeadlineExceeded() if error.job_id and not _completed(error):
            return Exit.UNKNOWN
        case TransportError():  # nothing was ordered, and the host cannot be reached
            return Exit.NOT_ALLOWED
    return Exit.NOT_ALLOWED if _shortage(error) else Exit.FAILED


def report(error: BaseException, *, debug: bool, api: str | None = None) -> Exit:
    """Explain an error on stderr; returns the exit code.

    Args:
        error: What ended the command.
        debug: Whether to show its traceback.
        api: What ``--api`` named: the commands that are told as the next step need it too.
    """
    error = first_error(error)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, KeyboardInterrupt) and sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal has written ^C where we stand
    print_error(as_called(_explained(error)))
    if what_next := advice(error, api):
        print_hint(what_next)
    return exit_code(error)


def print_error(text: str) -> None:
    """One message on stderr, marked as ours."""
    print(_folded(f"opus-async: {text}", indent="  "), file=sys.stderr)


def print_hint(text: str) -> None:
    """What can be done next, on stderr."""
    print(_folded(text), file=sys.stderr)


def advice(error: BaseException, api: str | None = None) -> str | None:
    """What a person at the command line can do about it, beyond what the message says; None for nothing."""
    if isinstance(error, Interrupted):
        return _ways_on(error.job_id, api) if error.job_id else None
    if not isinstance(error, OpusError):
        return None
    about = (*_about_the_job(error, api), *_about_the_way(error, api), *_about_the_batch(error))
    return "\n".join(about) or None


def _about_the_job(error: OpusError, api: str | None) -> Iterator[str]:
    job_id = error.job_id
    if job_id is None:
        return
    action = error.next_step.action if error.next_step else None
    if action is NextAction.READ_AUDIT:
        yield f"What each of its nodes did: {command_line('audit', job_id, api=api)}"
    elif action is NextAction.FETCH_FILES:
        again = f"{command_line('wait', job_id, api=api)} --download DIR"
        yield f"The outputs are above; their files, once more: {again}"
    elif action is NextAction.FETCH_RESULTS:
        yield f"The job has ended; what it left, once more: {command_line('wait', job_id, api=api)}"
    elif exit_code(error) is Exit.UNKNOWN:
        yield (
            f"Job {job_id} may still run, and is billed when it completes. Do not run the same inputs again "
            "before you know how it ended:"
        )
        yield _ways_on(job_id, api)


def _about_the_way(error: OpusError, api: str | None) -> Iterator[str]:
    """Of the way to the platform: whether it is one."""
    action = error.next_step.action if error.next_step else None
    if action in {NextAction.CHECK_ID, NextAction.CHOOSE_GENERATION} and error.hint:
        yield f"{GENERATION}."
    no_such_path = isinstance(error, NotFound) and action is NextAction.CHOOSE_GENERATION
    if isinstance(error, TransportError) or no_such_path or exit_code(error) is Exit.NOT_ALLOWED:
        yield f"'{command_line('doctor', api=api)}' checks key, network and limits."


def _about_the_batch(error: OpusError) -> Iterator[str]:
    """Which option goes on all the same."""
    action = error.next_step.action if error.next_step else None
    if action in {NextAction.SKIP_INVALID_ROWS, NextAction.ACCEPT_SECOND_BILL, NextAction.FORCE}:
        yield f"{_HINTS[action]}."


def _ways_on(job_id: str, api: str | None) -> str:
    wait, audit = command_line("wait", job_id, api=api), command_line("audit", job_id, api=api)
    return f"    go on waiting:        {wait}\n    see what it has done: {audit}"


def as_called(text: str) -> str:
    """A message with the commands in it as they are typed here: this program may not be on the path."""
    return text.replace(f"'{NAME} batch ", f"'{program_name()} batch ")


def message_of(error: OpusError, api: str | None) -> str:
    """The message of an error for a machine that reads nothing else, with the command where it has a hint."""
    step = error.next_step
    hint = _HINTS[step.action] if error.hint and step and step.action in _HINTS else ""
    if "{command}" in hint:
        verb = "audit" if step and step.action is NextAction.READ_AUDIT else "wait"
        hint = hint.format(command=f"'{command_line(verb, error.job_id or '', api=api)}'")
    return with_hint(as_called(error.message), hint)


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


def _explained(error: BaseException) -> str:  # noqa: PLR0911 - a table
    match error:
        case Interrupted():
            return f"interrupted; {error}"
        case KeyboardInterrupt():
            return "interrupted"
        case InvalidInputs():
            return error.message  # a list: where it happened is of no help
        case OpusError():
            return error.without_hint()
        case WrongUse() | Failed():
            return str(error)
        case OSError() if error.strerror:
            named = f"{error.filename}: " if error.filename else ""
            return f"{named}{error.strerror}"
    if short := _shortage(error):
        return short
    return f"{type(error).__name__}: {error} (this is a bug: run it again with --debug and report the trace)"


def _shortage(error: BaseException) -> str | None:
    """The sentence for a shortage of this machine; None when it is none."""
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
