"""``opus-async run``: runs one job, and prints its outputs as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from opus_async.cli import connection, downloads, outcomes, platforms
from opus_async.cli.errors import WrongUse
from opus_async.cli.job_note import JobNote
from opus_async.cli.job_progress import JobProgress, progress_for
from opus_async.cli.options import OneJobOptions
from opus_async.cli.platforms import opus as opus_entry
from opus_async.cli.platforms.opus import connect
from opus_async.remote_urls import scheme_of

if TYPE_CHECKING:
    from opus_async.cli.outcomes import JobEnd

_EPILOG = """\
NAME is an input's display name or variable name ('opus-async workflow show ID' lists them). VALUE is text and
becomes what the workflow's schema asks for: 0.8, true, 2026-01-31, JSON for an object or a list. A NAME given
several times makes a list, of texts or of files.

stdout gets the outputs by display name, stderr the progress. A job that fails exits with 1 and names the
nodes that failed. Ctrl-C ends the waiting, not the job: 'opus-async wait JOB' goes on with it. Where stderr
cannot be written, a file opus-async-job-ID.txt in the current folder tells the job.

examples:
  opus-async run B9uGJfZ3CFwOdMKH --file Invoice=a.pdf --input Threshold=0.8
  opus-async run B9uGJfZ3CFwOdMKH --file Invoice=s3://bucket/a.pdf
  opus-async run B9uGJfZ3CFwOdMKH --file Pages=1.png --file Pages=2.png \\
      --title "Claim 17" --timeout 15m
  opus-async run B9uGJfZ3CFwOdMKH --inputs inputs.json --json > outcome.json
  opus-async run Rep0rtWithFiles1 --file Document=a.pdf --input Text=hello \\
      --download results/
  echo '{"Text": "hello"}' | opus-async run T3xtOnlyWorkfl0w --inputs -
"""


@dataclass(frozen=True, kw_only=True)
class RunOptions(OneJobOptions):
    """Options of ``run``.

    Attributes:
        workflow_id: The workflow.
        input: ``NAME=VALUE`` of inputs that are no files.
        file: ``NAME=PATH`` of inputs that are files, or a URL.
        inputs: A file that holds a JSON object of inputs, ``-`` for stdin; None without one.
        title: The title of the job.
        description: The description of the job.
        version_number: The pinned version by number.
        version_id: The pinned version by UUID.
    """

    workflow_id: str
    input: Sequence[str]
    file: Sequence[str]
    inputs: str | None
    title: str | None
    description: str | None
    version_number: int | None
    version_id: str | None


OPTIONS = RunOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("workflow_id", type=opus_entry.workflow_id, metavar="ID", help=opus_entry.WORKFLOW_ID)
    add("--input", action="append", default=[], metavar="NAME=VALUE", help="an input that is no file")
    add("--file", action="append", default=[], metavar="NAME=PATH", help="a file input, by path or URL")
    add("--inputs", metavar="FILE", help="a JSON object of inputs; '-' reads stdin; --input and --file win")
    add("--title", help="shown in the Opus UI")
    add("--description", help="shown in the Opus UI")
    connection.add_version(parser, "pin the workflow version by number")
    add("--version-id", metavar="UUID", help="pin it by UUID")
    outcomes.configure(parser)
    opus_entry.configure(parser)


def run(options: RunOptions) -> int:
    """Run one job."""
    inputs = gather(options.inputs, options.input, options.file, stdin=sys.stdin)
    outcomes.make_folder(options)
    progress, note = progress_for(options), JobNote(platforms.target_of(options))
    return outcomes.print_outcome(options, progress, _run(options, inputs, progress, note), note=note)


async def _run(
    options: RunOptions, inputs: Mapping[str, Any], progress: JobProgress, note: JobNote
) -> JobEnd:
    from opus_async.progress.display import DisplayTask

    workflow_id = options.workflow_id
    async with connect(options, listeners=[progress, note]) as opus, DisplayTask(progress):
        outcome = await opus.run(
            workflow_id,
            inputs,
            title=options.title,
            description=options.description,
            timeout=options.timeout,
            version_id=options.version_id,
            version_number=options.version_number,
        )
        return await downloads.fetch_files(
            opus, options, progress, outcome, lambda: opus.workflows.get(workflow_id)
        )


def gather(
    document: str | None, texts: Sequence[str], files: Sequence[str], *, stdin: TextIO | None
) -> dict[str, Any]:
    """Collect the inputs of ``--inputs``, ``--input`` and ``--file`` in one mapping.

    Args:
        document: The file of ``--inputs``, ``-`` for stdin; None without one.
        texts: ``NAME=VALUE`` of ``--input``.
        files: ``NAME=PATH`` of ``--file``, or a URL.
        stdin: Where ``-`` is read from; None where it is closed.

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
        given.setdefault(name, []).append(value if scheme_of(value) else Path(value).expanduser())
    return inputs | {name: values[0] if len(values) == 1 else values for name, values in given.items()}


def _split(text: str, option: str, meaning: str) -> tuple[str, str]:
    """Name and value of ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise WrongUse(f"{option} wants NAME={meaning}, got {text!r}")
    return name.strip(), value


def _read_object(document: str, stdin: TextIO | None) -> dict[str, Any]:
    """Read a JSON object from a file or stdin, in UTF-8 whatever the locale says."""
    named = "stdin" if document == "-" else document
    if document == "-" and stdin is None:
        raise WrongUse("--inputs: stdin is closed; name a file, or pipe the JSON object into this command")
    try:
        content = stdin.buffer.read() if stdin and document == "-" else Path(document).read_bytes()
        text = content.decode("utf-8-sig")
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
