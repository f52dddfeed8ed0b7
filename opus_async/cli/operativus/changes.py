"""How workflows of a server differ from what a file says, and which changes make them the same. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TypeAlias

from opus_async.cli.operativus.definitions import WantedStep, WantedWorkflow
from opus_async.operativus import Step, Workflow


@dataclass(frozen=True, slots=True)
class Create:
    """Make a workflow with its steps."""

    workflow: WantedWorkflow


@dataclass(frozen=True, slots=True)
class Describe:
    """Give a workflow another name or description; None leaves it."""

    name: str | None
    description: str | None
    before: Workflow


@dataclass(frozen=True, slots=True)
class AddStep:
    """Add a step at a place."""

    step: WantedStep
    order: int


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """Give a step another agent or place; None leaves it."""

    step: Step
    agent: str | None
    order: int | None


@dataclass(frozen=True, slots=True)
class RemoveStep:
    """Remove a step."""

    step: Step


_Place: TypeAlias = tuple[int | None, int | None]
"""Of a step: its place in the file, and its place on the server; from 0, None where it is not there."""
Change: TypeAlias = Create | Describe | AddStep | ChangeStep | RemoveStep


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with one workflow.

    Attributes:
        wanted: What the file says.
        found: The workflow on the server; None where it is to be made.
        changes: In the order in which they are made: what removes comes last.
        left: Steps that the file does not have, and that stay because nothing may be deleted.
    """

    wanted: WantedWorkflow
    found: Workflow | None
    changes: tuple[Change, ...]
    left: tuple[Step, ...] = ()


class NoSuchStep(Exception):
    """A step has an id and cannot be that one; the text has the place in the file, and what to do."""


def plan_of(wanted: WantedWorkflow, found: Workflow | None, steps: Sequence[Step], *, prune: bool) -> Plan:
    """Which changes a workflow takes.

    Args:
        wanted: What the file says.
        found: The workflow on the server; None for none.
        steps: Its steps there, in order.
        prune: Whether steps that the file does not have are removed.

    Raises:
        NoSuchStep: The file names a step that is not there, or that cannot become what it says.
    """
    if found is None:
        return Plan(wanted, None, (Create(wanted),))
    changes: list[Change] = list(_described(wanted, found))
    if wanted.steps is None:
        return Plan(wanted, found, tuple(changes))
    pairs = _paired(wanted.steps, steps)
    extra = [number for number in range(len(steps)) if number not in pairs.values()]
    sequence = _sequence(wanted.steps, pairs, len(steps), left=() if prune else extra)
    changes += _placed(sequence, wanted.steps, steps)
    if prune:
        changes += [RemoveStep(steps[number]) for number in extra]
    return Plan(wanted, found, tuple(changes), () if prune else tuple(steps[number] for number in extra))


def _described(wanted: WantedWorkflow, found: Workflow) -> Iterator[Describe]:
    name = wanted.name if wanted.name != found.name else None
    description = wanted.description if wanted.description != (found.description or "") else None
    if name is not None or description is not None:
        yield Describe(name, description, found)


def _paired(wanted: Sequence[WantedStep], steps: Sequence[Step]) -> dict[int, int]:
    """Place in the file -> place on the server of the step that it is; both from 0.

    It is the one with its id; else one with its agent and action, if possible in the order of both; else one
    with its action and another agent.
    """
    pairs = {place: _by_id(each, steps) for place, each in enumerate(wanted) if each.id is not None}
    for parts in (2, 1):
        _pair(
            pairs,
            [(each.action, each.agent)[:parts] for each in wanted],
            [(step.action, step.agent_id)[:parts] for step in steps],
        )
    return pairs


def _by_id(wanted: WantedStep, steps: Sequence[Step]) -> int:
    for number, step in enumerate(steps):
        if step.id == wanted.id:
            if step.action == wanted.action:
                return number
            raise NoSuchStep(
                f"{wanted.where}: the action of step {wanted.id} is another, and the server cannot change "
                "it: take the id out, and --prune replaces the step"
            )
    raise NoSuchStep(f"{wanted.where}: the workflow has no step {wanted.id}: take the id out")


def _pair(pairs: dict[int, int], wanted: Sequence[tuple[str, ...]], steps: Sequence[tuple[str, ...]]) -> None:
    """Pair places that are in no pair yet and look the same, first in the order of both, then in any."""
    here = [place for place in range(len(wanted)) if place not in pairs]
    there = [number for number in range(len(steps)) if number not in pairs.values()]
    matcher = SequenceMatcher(
        None, [wanted[place] for place in here], [steps[number] for number in there], autojunk=False
    )
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            pairs[here[block.a + offset]] = there[block.b + offset]
    for place in here:
        taken = pairs.values()
        same = [number for number in there if number not in taken and steps[number] == wanted[place]]
        if place not in pairs and same:
            pairs[place] = same[0]


def _sequence(
    wanted: Sequence[WantedStep], pairs: dict[int, int], steps: int, *, left: Sequence[int]
) -> list[_Place]:
    """The steps as they shall follow each other: each its place in the file, and its place on the server.

    Args:
        wanted: What the file says.
        pairs: Which of these are there.
        steps: How many steps are there.
        left: Those that stay although the file does not have them: each behind the one before it.
    """
    sequence: list[_Place] = [(place, pairs.get(place)) for place in range(len(wanted))]
    for number in range(steps):
        if number in left:
            there = [each[1] for each in sequence]
            behind = there.index(number - 1) + 1 if number - 1 in there else 0
            sequence.insert(behind, (None, number))
    return sequence


def _placed(
    sequence: Sequence[_Place],
    wanted: Sequence[WantedStep],
    steps: Sequence[Step],
) -> Iterator[Change]:
    """What brings steps to their places, and gives them their agents."""
    orders = _orders([None if number is None else steps[number] for _, number in sequence])
    for (place, number), order in zip(sequence, orders, strict=True):
        if number is None and place is not None:
            yield AddStep(wanted[place], order)
        elif number is not None:
            step = steps[number]
            agent = step.agent_id if place is None else wanted[place].agent
            if agent != step.agent_id or order != step.order:
                yield ChangeStep(
                    step,
                    agent if agent != step.agent_id else None,
                    order if order != step.order else None,
                )


def _orders(steps: Sequence[Step | None]) -> list[int]:
    """The numbers of steps in this order, None for a new one: those that they have, if that will do."""
    kept = [step.order for step in steps if step is not None and step.order is not None]
    there = sum(step is not None for step in steps)
    new_are_last = all(step is None for step in steps[there:])
    if len(kept) == there and new_are_last and all(one < other for one, other in pairwise(kept)):
        last = max(kept, default=0)
        return [*kept, *range(last + 1, last + 1 + len(steps) - there)]
    return list(range(1, len(steps) + 1))
