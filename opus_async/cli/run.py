"""``opus-async run``: one job, its outputs as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from opus_async.cli import connection, errors
from opus_async.cli.connection import connect, drive
from opus_async.cli.errors import Exit, WrongUse
from opus_async.errors import JobFailed, OpusError
from opus_async.events import Event, JobStageChanged, RequestRetried

if TYPE_CHECKING:
    from opus_async.models import JobOutcome

_EPILOG = """\
NAME is an input's display name or variable name ('opus-async workflow show ID' lists them). VALUE is text and
becomes what the workflow's schema asks for: 0.8, true, 2026-01-31, JSON for an object or a list. A NAME given
several times makes a list, of texts or of files.

stdout gets the outputs by display name, stderr the progress. A job that fails exits with 1 and names the
nodes that failed. Ctrl-C ends the waiting, not the job: its id is printed.

examples:
  opus-async run B9uGJfZ3CFwOdMKH --file Invoice=invoice.pdf --input Threshold=0.8
  opus-async run B9uGJfZ3CFwOdMKH --file Pages=1.png --file Pages=2.png --title "Claim 17" --timeout 900
  opus-async run B9uGJfZ3CFwOdMKH --inputs inputs.json --json > outcome.json
  echo '{"Text": "hello"}' | opus-async run T3xtOnlyWorkfl0w --inputs -
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("workflow_id", metavar="ID", help="the workflow: 16 characters, or a UUID")
    add("--input", action="append", default=[], metavar="NAME=VALUE", help="an input that is no file")
    add("--file", action="append", default=[], metavar="NAME=PATH", help="a file input; the file is uploaded")
    add("--inputs", metavar="FILE", help="a JSON object of inputs; '-' reads stdin; --input and --file win")
    add("--title", help="shown in the Opus UI")
    add("--description", help="likewise")
    add("--timeout", type=seconds, metavar="S", help="seconds to wait; the job itself goes on (no limit)")
    add("--version-number", type=int, metavar="N", help="pin the workflow version by number")
    add("--version-id", metavar="UUID", help="pin it by UUID")
    add("--json", action="store_true", help="the whole outcome: job_id, status, timings, outputs, results")
    connection.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Run one job."""
    inputs = gather(options.inputs, options.input, options.file, stdin=sys.stdin)
    story = Story()
    try:
        outcome = drive(_run(options, inputs, story))
    except KeyboardInterrupt:
        raise errors.Interrupted(story.remaining()) from None
    except OpusError as error:
        if options.json:
            print(json.dumps(_failure(error), indent=2, ensure_ascii=False))
        raise
    if options.json:
        print(json.dumps(as_json(outcome), indent=2, ensure_ascii=False, default=str))
    elif outcome.ok:
        print(json.dumps(dict(outcome.outputs), indent=2, ensure_ascii=False, default=str))
    outcome.raise_for_status()
    return Exit.OK


async def _run(options: argparse.Namespace, inputs: Mapping[str, Any], story: Story) -> JobOutcome:
    async with connect(options, listeners=[story]) as opus:
        return await opus.run(
            options.workflow_id,
            inputs,
            title=options.title,
            description=options.description,
            timeout=options.timeout,
            version_id=options.version_id,
            version_number=options.version_number,
        )


class Story:
    """A listener that tells on stderr how far the job is."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.job_id: str | None = None
        self.stage = ""
        self._stream = stream or sys.stderr
        self._began = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        if isinstance(event, JobStageChanged):
            new_id = event.job_id if event.job_id != self.job_id else None
            self.job_id, self.stage = event.job_id, event.stage
            ended = (event.status or "no outcome") if event.stage == "done" else ""
            self._say(event.stage, ended or (f"job {new_id}" if new_id else ""))
        elif isinstance(event, RequestRetried):
            self._say(self.stage, f"{event.operation} again in {event.wait:.1f} s ({event.reason})")

    def remaining(self) -> str:
        """What goes on when we stop now."""
        if self.job_id and self.stage in {"execute", "watch", "results"}:
            return (
                f"job {self.job_id} goes on remotely, and is billed when it completes. Look at it in Opus "
                "before you run the same inputs again."
            )
        return "no job was started."

    def _say(self, stage: str, what: str) -> None:
        seconds = time.monotonic() - self._began
        print(f"{seconds:7.1f} s  {stage:<10}{what}".rstrip(), file=self._stream, flush=True)


def seconds(text: str) -> float:
    """A time of more than 0 s, for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def gather(
    document: str | None, texts: Sequence[str], files: Sequence[str], *, stdin: TextIO
) -> dict[str, Any]:
    """The inputs of all three options in one mapping.

    Raises:
        WrongUse: The document is no JSON object, or an option has no ``=``.
    """
    inputs = _read_object(document, stdin) if document is not None else {}
    given: dict[str, list[Any]] = {}
    for text in texts:
        name, value = _split(text, "--input", "VALUE")
        given.setdefault(name, []).append(value)
    for text in files:
        name, value = _split(text, "--file", "PATH")
        given.setdefault(name, []).append(Path(value).expanduser())
    return inputs | {name: values[0] if len(values) == 1 else values for name, values in given.items()}


def _split(text: str, option: str, meaning: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise WrongUse(f"{option} wants NAME={meaning}, got {text!r}")
    return name.strip(), value


def _read_object(document: str, stdin: TextIO) -> dict[str, Any]:
    named = "stdin" if document == "-" else document
    try:
        text = stdin.read() if document == "-" else Path(document).read_text("utf-8-sig")
        value = json.loads(text)
    except OSError as error:
        raise WrongUse(f"--inputs: {named} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise WrongUse(f"--inputs: {named} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise WrongUse(
            f"--inputs: {named} holds a JSON {type(value).__name__}; wanted is an object of name to value"
        )
    return value


def as_json(outcome: JobOutcome) -> dict[str, Any]:
    """The whole outcome for a machine."""
    return {
        "job_id": outcome.job_id,
        "status": outcome.status,
        "ok": outcome.ok,
        "outputs": dict(outcome.outputs),
        "timings": {stage: round(spent, 3) for stage, spent in outcome.timings.items()},
        "error": _error(outcome.error) if outcome.error else None,
        "results": outcome.results,
    }


def _failure(error: OpusError) -> dict[str, Any]:
    """What is known when no outcome is."""
    return {"job_id": error.job_id, "status": None, "ok": False, "outputs": {}, "error": _error(error)}


def _error(error: OpusError) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "message": error.message,
        "stage": error.stage,
    }
    if isinstance(error, JobFailed):
        described["failed_nodes"] = list(error.failed_nodes)
    return described
