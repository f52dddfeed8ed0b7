"""``opus-async workflow show``: shows the inputs of a workflow."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opus_async.cli import connection
from opus_async.cli.argument_types import STDOUT, output_file
from opus_async.cli.errors import Exit, WrongUse
from opus_async.cli.event_loop import drive
from opus_async.cli.job_progress import progress_for
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.parser import add_everywhere
from opus_async.cli.platforms import opus as opus_entry
from opus_async.cli.platforms.opus import connect
from opus_async.cli.program import command_line
from opus_async.cli.tables import columns, printable, terminal_width

if TYPE_CHECKING:
    from opus_async.models import InputField, Workflow

_EPILOG = """\
examples:
  opus-async workflow show B9uGJfZ3CFwOdMKH
  opus-async workflow show B9uGJfZ3CFwOdMKH --version 3
  opus-async workflow show B9uGJfZ3CFwOdMKH --json | jq '.inputs[].display_name'
  opus-async workflow show B9uGJfZ3CFwOdMKH --python --output invoice.py
"""


@dataclass(frozen=True, kw_only=True)
class ShowOptions(ConnectionOptions):
    """Options of ``workflow show``.

    Attributes:
        workflow_id: The workflow.
        version_number: A version by number; None for the latest active one.
        version_id: A version by UUID; wins over the number.
        json: Whether to print JSON.
        python: Whether to print a Python module.
        output: The file that gets it instead of stdout; None or ``-`` for stdout.
    """

    workflow_id: str
    version_number: int | None
    version_id: str | None
    json: bool
    python: bool
    output: Path | None


OPTIONS = ShowOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    show = verbs.add_parser(
        "show",
        help="the inputs as a table",
        description="Show the inputs of a workflow: display name, variable, type, whether it is required, "
        "file types. Variable names change when a workflow is edited; display names do not.",
        epilog=_EPILOG,
    )
    show.add_argument("workflow_id", type=opus_entry.workflow_id, metavar="ID", help=opus_entry.WORKFLOW_ID)
    connection.add_version(show, "a version number; default: the latest active")
    show.add_argument("--version-id", metavar="UUID", help="a version's UUID; wins over --version")
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object on stdout")
    form.add_argument(
        "--python", action="store_true", help="a Python module on stdout: the inputs and outputs as types"
    )
    show.add_argument(
        "--output",
        type=output_file,
        metavar="FILE",
        help="write it to this file, whole or not at all: '>' leaves an empty one where this fails",
    )
    opus_entry.configure(show)
    add_everywhere(show, shown=False)
    show.set_defaults(module=sys.modules[__name__])


def run(options: ShowOptions) -> int:
    """Show a workflow."""
    workflow = drive(_get(options))
    if options.json:
        text = json.dumps(as_json(workflow), indent=2, ensure_ascii=False) + "\n"
    elif options.python:
        from opus_async.typed import python_module

        text = python_module(workflow)
    else:
        text = "\n".join(_lines(workflow)) + "\n"
    if options.output is None or options.output == STDOUT:
        print(text, end="")
    else:
        _write(text, options.output)
    if not (options.json or options.python):
        print(f"\nTry: {example(workflow, options.api)}", file=sys.stderr)
    return Exit.OK


def _write(text: str, path: Path) -> None:
    """Write it to a file, whole or not at all, and print its path.

    Raises:
        WrongUse: The file cannot be written.
    """
    from opus_async.disk import atomic_write

    try:
        with atomic_write(path, private=False) as file:
            file.write(text.encode(errors="replace"))
    except OSError as error:
        raise WrongUse(f"--output: {path} cannot be written ({error.strerror})") from None
    print(path)


async def _get(options: ShowOptions) -> Workflow:
    async with connect(options, listeners=[progress_for(options)]) as opus:
        return await opus.workflows.get(
            options.workflow_id, version=options.version_number, version_id=options.version_id
        )


def as_json(workflow: Workflow) -> dict[str, Any]:
    """The workflow as JSON."""
    return {
        "workflow_id": workflow.workflow_id,
        "name": workflow.name,
        "description": workflow.description,
        "version": workflow.version,
        "version_id": workflow.version_id,
        "workspace_id": workflow.workspace_id,
        "inputs": [
            {
                "variable_name": field.variable_name,
                "display_name": field.display_name,
                "type": field.type,
                "schema_type": field.schema_type,
                "item_type": field.item_type,
                "required": not field.nullable,
                "allowed_file_types": list(field.allowed_file_types),
            }
            for field in workflow.inputs.values()
        ],
        "outputs": dict(workflow.outputs),
    }


def example(workflow: Workflow, api: str | None) -> str:
    """An example of ``run`` with the required inputs to be filled in, and ``--api`` where that was given."""
    words = [command_line("run", printable(workflow.workflow_id), api=api)]
    for field in workflow.inputs.values():
        if not field.nullable:
            flag, value = (
                ("--file", "PATH") if field.takes_file or field.takes_files else ("--input", "VALUE")
            )
            words.append(f"{flag} {_shell_word(field.display_name)}={value}")
    return " ".join(words)


def _lines(workflow: Workflow) -> list[str]:
    name = printable(workflow.name) or "(no name)"
    version = f", version {workflow.version}" if workflow.version is not None else ""
    lines = [f"{name} ({printable(workflow.workflow_id)}{version})"]
    if workflow.description:
        lines.append(printable(workflow.description))
    if not workflow.inputs:
        return [*lines, "", "It takes no inputs."]
    rows = [("DISPLAY NAME", "VARIABLE", "TYPE", "REQUIRED", "FILE TYPES")]
    rows += [_row(field) for field in workflow.inputs.values()]
    return [*lines, "", columns(rows, width=terminal_width())]


def _row(field: InputField) -> tuple[str, str, str, str, str]:
    kind = f"array of {field.item_type}" if field.type == "array" and field.item_type else field.type
    takes_files = field.takes_file or field.takes_files
    file_types = ", ".join(field.allowed_file_types) or ("any supported" if takes_files else "")
    required = "no" if field.nullable else "yes"
    return field.display_name, field.variable_name, kind, required, file_types


def _shell_word(text: str) -> str:
    import shlex

    return shlex.quote(printable(text))
