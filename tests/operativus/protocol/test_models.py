"""The values that users of Operativus hold: frozen, comparable, picklable, and quiet about what was sent."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields

import pytest

from opus_async.models import JobStatus
from opus_async.operativus.models import ResumedRun, Run, StartedRun, Step, Workflow

VALUES = [
    Workflow("wf", "N", None, (Step("a", "b"),), {"id": "secret"}),
    Step("a", "b", 1, "s", {"id": "secret"}),
    Run("r", "w", "s", JobStatus("WAITING", "PAUSED"), raw={"id": "secret"}),
    StartedRun("j", "w", "s"),
    ResumedRun("j", "r"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_models_are_frozen_and_survive_a_pickle(value):
    again = pickle.loads(pickle.dumps(value))
    assert again == copy.deepcopy(value) == value
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, "x")
    assert "secret" not in repr(value)


def test_models_compare_without_what_was_sent():
    assert Step("a", "b", raw={"x": 1}) == Step("a", "b") != Step("a", "c")
    assert Workflow("w", "N", raw={"x": 1}) == Workflow("w", "N")
    assert Workflow("w", "N", steps=()) != Workflow("w", "N")


def test_step_is_made_of_an_agent_and_an_action():
    step = Step("finance_agent", "Fetch the prices.")
    assert (step.agent_id, step.action, step.order, step.id, dict(step.raw)) == (
        "finance_agent",
        "Fetch the prices.",
        None,
        None,
        {},
    )


def test_models_can_be_put_into_a_set():
    assert len({*VALUES, *copy.deepcopy(VALUES)}) == len(VALUES)
