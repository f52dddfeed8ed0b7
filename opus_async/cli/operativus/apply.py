"""``opus-async operativus apply``: makes workflows what a file says, and changes only what differs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.cli.connection import drive
from opus_async.cli.errors import Exit, Failed, WrongUse, print_error, print_hint
from opus_async.cli.job_progress import progress_for
from opus_async.cli.operativus import difference
from opus_async.cli.operativus.changes import (
    AddStep,
    Change,
    ChangeStep,
    Create,
    Describe,
    NoSuchStep,
    Plan,
    RemoveStep,
    plan_of,
)
from opus_async.cli.operativus.definitions import WantedWorkflow, read_workflows
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.platforms.operativus import connect
from opus_async.cli.tables import printable
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.operativus import Step, Workflow
    from opus_async.operativus.client import OperativusClient

_PAGE = 200

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
    from opus_async.progress.display import DisplayTask

    story = progress_for(options)
    async with connect(options, listeners=[story]) as client, DisplayTask(story):
        plans = await _plans(client, wanted, prune=options.prune)
        story.close()
        _show(options, plans)
        number = sum(len(plan.changes) for plan in plans)
        if not options.dry_run and number:
            await _make(client, plans, number)
            print_hint(f"{counted(number, 'change')} made.")
        return sum(len(plan.left) for plan in plans)


async def _plans(client: OperativusClient, wanted: Sequence[WantedWorkflow], *, prune: bool) -> list[Plan]:
    """Compare the file with the server.

    Raises:
        WrongUse: The file names what is not there, or what it cannot mean.
    """
    there = [workflow async for workflow in client.workflows.list(page_size=_PAGE)]
    plans = []
    for each in wanted:
        found = _found(each, there)
        steps = await client.steps.list(found.id) if found is not None and each.steps is not None else []
        try:
            plans.append(plan_of(each, found, steps, prune=prune))
        except NoSuchStep as error:
            raise WrongUse(f"{error}; nothing was changed") from None
    return plans


def _found(wanted: WantedWorkflow, there: Sequence[Workflow]) -> Workflow | None:
    """The workflow that is meant; None where it is to be made."""
    if wanted.id is not None:
        found = next((each for each in there if each.id == wanted.id), None)
        if found is None:
            raise WrongUse(
                f"{wanted.where}: there is no workflow {wanted.id} (for this user): correct the id, or take "
                "it out to make a new workflow; nothing was changed"
            )
        return found
    named = [each for each in there if each.name == wanted.name]
    if len(named) > 1:
        ids = ", ".join(each.id for each in named)
        raise WrongUse(
            f"{wanted.where}: {len(named)} workflows are named {wanted.name!r}: give the id of the one that "
            f"is meant ({ids}); nothing was changed"
        )
    return named[0] if named else None


async def _make(client: OperativusClient, plans: Sequence[Plan], number: int) -> None:
    """Make the changes, and see that the steps are what the file says.

    Raises:
        Failed: They are not.
        OpusError: A change failed; the message says how many were made.
    """
    from opus_async.errors import OpusError

    made = 0
    for plan in plans:
        for change in plan.changes:
            try:
                await _change(client, plan, change)
            except OpusError as error:
                error.message = (
                    f"{error.message} {made} of {counted(number, 'change')} had been made by then: run the "
                    "same command again to go on"
                )
                raise
            made += 1
        if plan.changes and plan.found is not None and plan.wanted.steps is not None and not plan.left:
            _check(plan, await client.steps.list(plan.found.id))


async def _change(client: OperativusClient, plan: Plan, change: Change) -> None:
    from opus_async.operativus import Step

    workflow_id = plan.found.id if plan.found is not None else ""
    match change:
        case Create(workflow=wanted):
            steps = [Step(step.agent, step.action) for step in wanted.steps or ()]
            await client.workflows.create(wanted.name, description=wanted.description, steps=steps)
        case Describe(name=name, description=description):
            await client.workflows.update(workflow_id, name=name, description=description)
        case AddStep(step=wanted, order=order):
            await client.steps.add(workflow_id, wanted.agent, wanted.action, order=order)
        case ChangeStep(step=step, agent=agent, order=order):
            await client.steps.update(workflow_id, step.id or "", agent_id=agent, order=order)
        case RemoveStep(step=step):
            await client.steps.remove(workflow_id, step.id or "")


def _check(plan: Plan, steps: Sequence[Step]) -> None:
    wanted = [(step.agent, step.action) for step in plan.wanted.steps or ()]
    if [(step.agent_id, step.action) for step in steps] != wanted:
        raise Failed(
            f"{plan.wanted.where}: every change was accepted, and the steps are still others than the file "
            "says: does somebody else change the workflow?"
        )


def _show(options: ApplyOptions, plans: Sequence[Plan]) -> None:
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
