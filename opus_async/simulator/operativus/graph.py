"""The graph of a workflow: is it valid, and in which order do its steps run."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opus_async.simulator.operativus.definitions import Definition, Step


def ordered(workflow: Definition) -> list[tuple[Step, list[str]]]:
    """Return the steps as they run, each with the ids of the steps whose outputs it is given.

    Without edges they run by their order, each on the output of the one before. With edges those run that
    can be reached from a start, after all before them.
    """
    if not workflow.edges:
        return [(step, []) for step in workflow.steps]
    before = _before(workflow)
    left = [step for step in workflow.steps if step.step_id in _reached(workflow)]
    done: list[tuple[Step, list[str]]] = []
    while left:
        ran = {step.step_id for step, _ in done}
        ready = next((step for step in left if set(before[step.step_id]) <= ran), None)
        if ready is None:  # what is left stands behind a cycle
            return done
        left.remove(ready)
        done.append((ready, before[ready.step_id]))
    return done


def report(workflow: Definition) -> dict[str, Any]:
    """Return what the validation of a workflow tells; without edges it is valid."""
    unreached = [] if not workflow.edges else _unreached(workflow)
    cycle = has_cycle(workflow)
    return {
        "valid": not cycle and not unreached,
        "hasCycle": cycle,
        "cycleMessage": "Workflow graph contains a cycle." if cycle else None,
        "unreachableStepIds": unreached,
    }


def has_cycle(workflow: Definition) -> bool:
    """Whether its edges lead back to a step."""
    after = _after(workflow)
    left = {step.step_id for step in workflow.steps}
    while ends := {step_id for step_id in left if not set(after[step_id]) & left}:
        left -= ends
    return bool(left)


def _unreached(workflow: Definition) -> list[str]:
    reached = _reached(workflow)
    return [step.step_id for step in workflow.steps if step.step_id not in reached]


def _reached(workflow: Definition) -> set[str]:
    """Return the steps that can be reached from a start: the first step that no edge leads to, and its like.

    A step without any edge is no start: it hangs in the air.
    """
    before, after = _before(workflow), _after(workflow)
    reached: set[str] = set()
    front = [step.step_id for step in workflow.steps if after[step.step_id] and not before[step.step_id]]
    while front:
        reached.add(step_id := front.pop())
        front += [target for target in after[step_id] if target not in reached]
    return reached


def _before(workflow: Definition) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for edge in workflow.edges:
        if edge.from_step not in found[edge.to_step]:
            found[edge.to_step].append(edge.from_step)
    return found


def _after(workflow: Definition) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for edge in workflow.edges:
        found[edge.from_step].append(edge.to_step)
    return found
