"""``opus-async operativus apply``: makes workflows what a file says, and changes only what differs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.cli.errors import Exit, print_error, print_hint
from opus_async.cli.event_loop import drive
from opus_async.cli.job_progress import progress_for
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.platforms.operativus import connect
from opus_async.cli.tables import printable
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.cli.operativus.changes import Plan
    from opus_async.cli.operativus.definitions import WantedWorkflow

_EPILOG = """\
A workflow is found by its name, or by its id where the file gives one. What the file does not say stays as it
is: without 'description' that of the server, without 'steps' the steps. Nothing is deleted without --prune:
steps that the file does not have stay, and are told (exit code 1). With --prune they are removed; workflows
never are. The server cannot change the action of a step, so a step with another action is a new one.

The difference goes to stdout, before anything is changed. Running the same command again goes on where it
failed. It takes the role ADMIN.

  workflows:
    - name: Briefing
      description: Prices, summed up
      steps:
        - agent: finance_agent
          action: Fetch the prices.
        - agent: writer_agent
          action: Sum them up.

In TOML each workflow begins with [[workflows]], each of its steps with [[workflows.steps]].

examples:
  opus-async operativus apply briefing.yaml --dry-run
  opus-async operativus apply briefing.toml --prune
"""


@dataclass(frozen=True, kw_only=True)
class ApplyOptions(ConnectionOptions):
    """Options of ``operativus apply``.

    Attributes:
        file: What workflows shall be.
        dry_run: Whether to show the difference only.
        prune: Whether steps that the file does not have are removed.
        json: Whether to print JSON.
    """

    file: Path
    dry_run: bool
    prune: bool
    json: bool


OPTIONS = ApplyOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="YAML (.yaml, .yml, .json) or TOML (.toml)")
    add("--dry-run", action="store_true", help="show the difference, and change nothing")
    add("--prune", action="store_true", help="remove steps that the file does not have")
    add("--json", action="store_true", help="the difference as one JSON object on stdout")


def run(options: ApplyOptions) -> int:
    """Make the workflows what the file says."""
    from opus_async.cli.operativus.definitions import read_workflows

    wanted = read_workflows(options.file)
    left = drive(_apply(options, wanted))
    if left and not options.dry_run:
        print_error(
            f"{counted(left, 'step')} that the file does not have {'stays' if left == 1 else 'stay'}: add "
            "them to the file, or remove them with --prune"
        )
        return Exit.FAILED
    return Exit.OK


async def _apply(options: ApplyOptions, wanted: Sequence[WantedWorkflow]) -> int:
    """Show the difference, and make the changes; returns how many steps were left."""
    from opus_async.cli.operativus import applying
    from opus_async.progress.display import DisplayTask

    story = progress_for(options)
    async with connect(options, listeners=[story]) as client, DisplayTask(story):
        plans = await applying.plans(client, wanted, prune=options.prune)
        story.close()
        _show(options, plans)
        number = sum(len(plan.changes) for plan in plans)
        if not options.dry_run and number:
            await applying.make(client, plans, number)
            print_hint(f"{counted(number, 'change')} made.")
        return sum(len(plan.left) for plan in plans)


def _show(options: ApplyOptions, plans: Sequence[Plan]) -> None:
    from opus_async.cli.operativus import difference

    if options.json:
        described = {
            "file": str(options.file),
            "dry_run": options.dry_run,
            "workflows": [difference.as_json(plan) for plan in plans],
        }
        print(json.dumps(described, indent=2, ensure_ascii=False))
        return
    for plan in plans:
        print("\n".join(map(printable, difference.lines(plan))))
