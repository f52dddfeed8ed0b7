"""Explains the error that ended a command: in sentences on stderr, without a traceback."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress

from opus_async.cli.errors import (
    GENERATION,
    HINTS,
    Exit,
    Failed,
    Interrupted,
    WrongUse,
    as_called,
    exit_code,
    print_error,
    print_hint,
    shortage_text,
)
from opus_async.cli.program import command_line
from opus_async.error_codes import NextAction
from opus_async.errors import (
    ConfigurationError,
    InvalidInputs,
    NotFound,
    OpusError,
    PermissionDenied,
    ProtocolError,
    ServerError,
    TransportError,
    first_error,
)


def report(error: BaseException, *, debug: bool, api: str | None = None) -> Exit:
    """Explain an error on stderr, and say what can be done next.

    Args:
        error: What ended the command.
        debug: Whether to show its traceback.
        api: What ``--api`` named: the commands that are told as the next step need it too.

    Returns:
        The exit code.
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


def advice(error: BaseException, api: str | None = None) -> str | None:
    """What a person at the command line can do about it, beyond what the message says; None for nothing."""
    if isinstance(error, Interrupted):
        return _ways_on(error.job_id, api) if error.job_id else None
    if not isinstance(error, OpusError):
        return None
    about = (*_about_the_job(error, api), *_about_the_connection(error, api), *_about_the_batch(error))
    return "\n".join(about) or None


def _about_the_job(error: OpusError, api: str | None) -> Iterator[str]:
    """What can be done about the job that it happened to."""
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


def _about_the_connection(error: OpusError, api: str | None) -> Iterator[str]:
    """What can be checked of the connection to the platform."""
    action = error.next_step.action if error.next_step else None
    if action in {NextAction.CHECK_ID, NextAction.CHOOSE_GENERATION} and error.hint:
        yield f"{GENERATION}."
    if proxy := _who_may_have_answered(error):
        yield f"The answer may be the proxy's: requests to this host go through {proxy}."
    no_such_path = isinstance(error, NotFound) and action is NextAction.CHOOSE_GENERATION
    if isinstance(error, TransportError) or no_such_path or exit_code(error) is Exit.NOT_ALLOWED:
        yield f"'{command_line('doctor', api=api)}' checks key, network and limits."


def _who_may_have_answered(error: OpusError) -> str | None:
    """The proxy that an answer came through which it may have given itself; None where it cannot have."""
    if not isinstance(error, PermissionDenied | ServerError | ProtocolError):
        return None
    from yarl import URL

    from opus_async.opus.settings import resolve_base_url
    from opus_async.transport.proxies import Proxies, shown

    with suppress(ConfigurationError, ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        url = URL(resolve_base_url(None))
        if url.scheme == "https" and not isinstance(error, ProtocolError):
            return None  # nobody in between could write it
        proxy = Proxies().for_url(url)
        return None if proxy is None else shown(proxy)
    return None


def _about_the_batch(error: OpusError) -> Iterator[str]:
    """The option with which a batch goes on all the same."""
    action = error.next_step.action if error.next_step else None
    if action in {NextAction.SKIP_INVALID_ROWS, NextAction.ACCEPT_SECOND_BILL, NextAction.FORCE}:
        yield f"{HINTS[action]}."


def _ways_on(job_id: str, api: str | None) -> str:
    """The commands that go on with a job of unknown outcome."""
    wait, audit = command_line("wait", job_id, api=api), command_line("audit", job_id, api=api)
    return f"    go on waiting:        {wait}\n    see what it has done: {audit}"


def _explained(error: BaseException) -> str:  # noqa: PLR0911 - a table
    """What happened, in a sentence."""
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
            return f"{named}{shortage_text(error) or error.strerror}"
    if short := shortage_text(error):
        return short
    return f"{type(error).__name__}: {error} (this is a bug: run it again with --debug and report the trace)"
