"""How one job ended, printed as JSON: for the commands that wait for one, of any platform."""

from __future__ import annotations

import argparse
import json
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opus_async.cli import platforms
from opus_async.cli.argument_types import duration
from opus_async.cli.errors import Exit, Interrupted, WrongUse, message_of, print_error, print_hint
from opus_async.cli.event_loop import drive
from opus_async.cli.job_note import JobNote
from opus_async.cli.job_progress import JobProgress
from opus_async.cli.streams import deliver
from opus_async.cli.tables import printable
from opus_async.cli.target import Target
from opus_async.errors import JobFailed, OpusError

if TYPE_CHECKING:
    from opus_async.cli.options import OneJobOptions
    from opus_async.outcome import JobOutcome


@dataclass(frozen=True)
class JobEnd:
    """An outcome, and what became of its files.

    Attributes:
        outcome: How the job ended.
        remote: Output name -> URLs of its files.
        files: Output name -> where they lie here; None when they were not fetched.
        error: Why they could not be fetched.
    """

    outcome: JobOutcome
    remote: Mapping[str, list[str]]
    files: Mapping[str, list[str]] | None = None
    error: OpusError | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command that waits for one job."""
    add = parser.add_argument
    add(
        "--timeout",
        type=duration,
        metavar="TIME",
        help="how long to wait: 90, 5m, 1h30m; the job itself goes on (no limit)",
    )
    add(
        "--download",
        type=Path,
        metavar="DIR",
        help="fetch outputs that are files into DIR; 'files' in the JSON says where they lie",
    )
    add("--json", action="store_true", help="the whole outcome: job_id, status, timings, outputs, results")


def make_folder(options: OneJobOptions) -> None:
    """See to the folder of ``--download`` before anything costs.

    Raises:
        WrongUse: There can be no such folder.
    """
    if options.download is None:
        return
    from opus_async.batch.outputs.destinations import is_of_a_batch

    if is_of_a_batch(options.download):
        raise WrongUse(f"--download: {options.download} is the directory of a batch: name another folder")
    try:
        options.download.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"--download: {options.download} is no folder ({error.strerror})") from None


def print_outcome(
    options: OneJobOptions,
    story: JobProgress,
    waiting: Coroutine[Any, Any, JobEnd],
    *,
    note: JobNote | None = None,
) -> Exit:
    """Wait for the end of one job, and print it.

    Args:
        options: Of the command.
        story: What is known when it is interrupted.
        waiting: What the command does.
        note: Tells the id of the job where stderr did not; removed once stdout has told it.

    Raises:
        Interrupted: By Ctrl-C.
        OpusError: The job failed, or how it ended is not known.
    """
    target = platforms.target_of(options)
    try:
        ending = drive(waiting)
    except KeyboardInterrupt:
        raise Interrupted(story.remaining(), job_id=story.job_id if story.started else None) from None
    except OpusError as error:
        if options.json:
            _print(options, _failure(error, target), error.job_id, None, note)
        raise
    outcome = ending.outcome
    if options.json:
        _print(options, as_json(ending, target), outcome.job_id, outcome.status, note)
    elif outcome.ok:
        _print(options, _outputs(ending), outcome.job_id, outcome.status)
    if ending.error is not None:
        raise ending.error
    outcome.raise_for_status()
    if ending.remote and ending.files is None:
        names = ", ".join(map(printable, ending.remote))
        again = target.wait(outcome.job_id or "")
        print_hint(f"Files in {names}: fetch them with {again} --download DIR")
    return Exit.OK


def as_json(ending: JobEnd, target: Target) -> dict[str, Any]:
    """The whole outcome for a machine."""
    outcome, error = ending.outcome, ending.outcome.error or ending.error
    described = {
        "job_id": outcome.job_id,
        "status": outcome.status,
        "ok": outcome.ok and ending.error is None,
        "outputs": dict(outcome.outputs),
        "timings": {stage: round(spent, 3) for stage, spent in outcome.timings.items()},
        "error": _error(error, target) if error else None,
        "results": outcome.results,
    }
    return described if ending.files is None else {**described, "files": dict(ending.files)}


def _outputs(ending: JobEnd) -> dict[str, Any]:
    outputs = dict(ending.outcome.outputs)
    if ending.files is not None:
        outputs.setdefault("files", dict(ending.files))  # an output of that name was paid for
    return outputs


def _failure(error: OpusError, target: Target) -> dict[str, Any]:
    """What is known when no outcome is."""
    return {
        "job_id": error.job_id,
        "status": None,
        "ok": False,
        "outputs": {},
        "error": _error(error, target),
    }


def _error(error: OpusError, target: Target) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "message": message_of(error, target),
        "stage": error.stage,
    }
    if isinstance(error, JobFailed):
        described["failed_nodes"] = list(error.failed_nodes)
    return described


def _print(
    options: OneJobOptions,
    value: dict[str, Any],
    job_id: str | None,
    status: str | None,
    note: JobNote | None = None,
) -> None:
    """Print what a job gave; where stdout does not take it, say on stderr which job it was.

    Args:
        options: Of the command.
        value: What is printed.
        job_id: Which job it was; None where there was none.
        status: How it ended; None where that is not known.
        note: Removed when ``value``, which has the id, was taken.
    """
    loss = deliver(json.dumps(value, indent=2, ensure_ascii=False, default=str))
    if loss is None and note is not None:
        note.remove()
    if loss is None or job_id is None:
        return
    again = platforms.target_of(options).wait(job_id)
    ended = f"job {job_id} is {status}" if status else f"this is about job {job_id}"
    told = f", and what it gave is printed by: {again}{' --json' if options.json else ''}" if again else ""
    print_error(f"stdout cannot be written: {loss.reason}; {ended}{told}")
