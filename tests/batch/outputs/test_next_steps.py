"""What can be done next with a batch: one decision, before anybody puts it into words."""

from __future__ import annotations

import pytest
from ledgers import START, make_ledger

from opus_async.batch.ledger.lock import Process
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.outputs.next_steps import Action, NextStep, next_steps
from opus_async.exits import Exit
from opus_async.metrics.counts import Counts

HERE = Process(7, "here", START, alive=True)
ELSEWHERE = Process(7, "elsewhere.invalid", START, None)


@pytest.mark.parametrize(
    ("counts", "steps"),
    [
        ({}, []),
        ({"completed": 3}, [NextStep(Action.EXPORT, 3)]),
        ({"planned": 2, "running": 1}, [NextStep(Action.RESUME, 3)]),
        (
            {"waiting": 2, "completed": 1},
            [NextStep(Action.ACT_IN_PLATFORM, 2), NextStep(Action.RESUME, 2), NextStep(Action.EXPORT, 1)],
        ),
        (
            {"unknown": 2},
            [NextStep(Action.LOOK_AGAIN, 2), NextStep(Action.DECIDE, 2), NextStep(Action.EXPORT, 0)],
        ),
        (
            {"unknown": 2, "planned": 1},
            [NextStep(Action.RESUME, 1), NextStep(Action.DECIDE, 2), NextStep(Action.EXPORT, 0)],
        ),
        (
            {"failed": 1, "timed_out": 2},
            [NextStep(Action.RETRY, 3, ("failed",)), NextStep(Action.EXPORT, 0)],
        ),
        (
            {"failed": 1, "cancelled": 2},
            [NextStep(Action.RETRY, 3, ("failed", "cancelled")), NextStep(Action.EXPORT, 0)],
        ),
    ],
)
def test_next_steps_of_idle_batch_follow_its_counts(counts, steps):
    assert next_steps(Counts(**counts), None, None) == steps


def test_next_steps_begin_with_setup_check_if_key_was_refused(tmp_path):
    sessions = [{"exit_code": int(Exit.NOT_ALLOWED), "ended_because": "the key was refused"}]
    made = make_ledger(tmp_path, rows=[{"state": "planned"}], sessions=sessions)
    with LedgerReader(made) as ledger:
        (last,) = ledger.sessions()
    assert [step.action for step in next_steps(Counts(planned=1), last, None)] == [
        Action.CHECK_SETUP,
        Action.RESUME,
    ]


@pytest.mark.parametrize(
    ("process", "actions"),
    [(HERE, [Action.FOLLOW]), (ELSEWHERE, [Action.FOLLOW, Action.TAKE_OVER])],
)
def test_next_steps_while_a_process_works_are_follow_take_over_and_export(process, actions):
    counts = Counts(planned=1, unknown=1, failed=1)
    assert [step.action for step in next_steps(counts, None, process)] == [*actions, Action.EXPORT]
