"""Explains the error that ended a command: in sentences on stderr, without a traceback."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress

from opus_async.cli.errors import (
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
from opus_async.cli.target import Target
from opus_async.cli.unfailing import OutputLost
from opus_async.error_codes import NextAction
from opus_async.errors import (
    ConfigurationError,
    InvalidInputs,
    JobPaused,
    NotFound,
    OpusError,
    PermissionDenied,
    ProtocolError,
    ServerError,
    StoreUnavailable,
    TransportError,
    first_error,
)


def report(error: BaseException, *, debug: bool, target: Target) -> Exit:
    """Explain an error on stderr, and say what can be done next.

    Args:
        error: What ended the command.
        debug: Whether to show its traceback.
        target: The platform at hand.

    Returns:
        The exit code.
    """
    error = first_error(error)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, KeyboardInterrupt) and sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal has written ^C where we stand
    print_error(as_called(_explained(error)))
    if what_next := advice(error, target):
        print_hint(what_next)
    return exit_code(error, target)


def explaining(run: Callable[[], int], *, debug: bool, target: Target) -> int:
    """Run a command, and explain the error that ends it; returns the exit code."""
    try:
        return run()
    except OutputLost:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every one is explained
        return report(error, debug=debug, target=target)


def advice(error: BaseException, target: Target) -> str | None:
    """What a person at the command line can do about it, beyond what the message says; None for nothing."""
    if isinstance(error, Interrupted):
        return _ways_on(error.job_id, target) if error.job_id else None
    if not isinstance(error, OpusError):
        return None
    about = (*_about_the_job(error, target), *_about_the_connection(error, target), *_about_the_batch(error))
    return "\n".join(about) or None


def _about_the_job(error: OpusError, target: Target) -> Iterator[str]:
    """What can be done about the job that it happened to."""
    job_id = error.job_id
    if job_id is None:
        return
    action = error.next_step.action if error.next_step else None
    look, wait = target.look(job_id), target.wait(job_id)
    if isinstance(error, JobPaused):
        yield from _about_the_pause(error, target)
    elif action is NextAction.READ_AUDIT:
        if look:
            yield f"What each of its nodes did: {look}"
    elif action is NextAction.FETCH_FILES:
        yield f"The outputs are above; their files, once more: {wait} --download DIR"
    elif action is NextAction.FETCH_RESULTS:
        if wait:
            yield f"The job has ended; what it left, once more: {wait}"
    elif exit_code(error, target) is Exit.UNKNOWN:
        bill = f", and is {target.entry.billed}" if target.entry.billed else ""
        yield (
            f"Job {job_id} may still run{bill}. Do not run the same inputs again before you know how it "
            "ended:"
        )
        yield _ways_on(job_id, target)


def _about_the_pause(error: JobPaused, target: Target) -> Iterator[str]:
    """How a job that waits for a person goes on."""
    answer, wait = target.answer(error.alias, error.status.raw), target.wait(error.job_id or "")
    if answer:
        yield f"Approve a text, with which it goes on: {answer}"
    else:
        yield f"Act on it in {target.entry.title}."
    if wait:
        yield f"Then wait for its end: {wait}"


def _about_the_connection(error: OpusError, target: Target) -> Iterator[str]:
    """What can be checked of the connection to the platform."""
    action = error.next_step.action if error.next_step else None
    generation = target.entry.generation_hint
    if generation and action in {NextAction.CHECK_ID, NextAction.CHOOSE_GENERATION} and error.hint:
        yield f"{generation}."
    if proxy := _who_may_have_answered(error, target):
        yield f"The answer may be the proxy's: requests to this host go through {proxy}."
    no_such_path = isinstance(error, NotFound) and action is NextAction.CHOOSE_GENERATION
    if isinstance(error, StoreUnavailable):
        return
    if isinstance(error, TransportError) or no_such_path or exit_code(error, target) is Exit.NOT_ALLOWED:
        yield f"'{target.doctor()}' checks key, network and limits."


def _who_may_have_answered(error: OpusError, target: Target) -> str | None:
    """The proxy that an answer came through which it may have given itself; None where it cannot have."""
    if not isinstance(error, PermissionDenied | ServerError | ProtocolError):
        return None
    from yarl import URL

    from opus_async.transport.proxies import Proxies, shown

    with suppress(ConfigurationError, ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        url = URL(target.entry.base_url())
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


def _ways_on(job_id: str, target: Target) -> str:
    """The commands that go on with a job of unknown outcome."""
    ways = {"go on waiting:": target.wait(job_id), "see what it has done:": target.look(job_id)}
    return "\n".join(f"    {what:<21} {command}" for what, command in ways.items() if command)


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
