"""The hints of errors: which call of the client, or which argument, takes the next step."""

from __future__ import annotations

from collections.abc import Mapping

from opus_async.error_codes import NextAction, NextStep

_HINTS: Mapping[NextAction, str] = {
    NextAction.WAIT_FOR_JOB: "runs.wait(workflow_id, {job}) goes on waiting",
    NextAction.LOOK_AT_JOB: "runs.find(workflow_id, {job}) shows its run, once the server has taken it up",
    NextAction.FETCH_RESULTS: "runs.find(workflow_id, {job}) shows how it ended",
    NextAction.READ_AUDIT: "runs.find(workflow_id, {job}) shows its run",
    NextAction.ANSWER_JOB: "runs.resume({alias}, output) answers it, runs.wait(workflow_id, {job}) goes on",
    NextAction.SET_KEY: "A program can pass token=..., or username=... and password=..., instead",
    NextAction.CHECK_KEY: "A program can pass username=... and password=... instead",
}


def hint(step: NextStep) -> str:
    """Say how a program takes a step; empty where the message of the error says all there is."""
    return _HINTS.get(step.action, "").format(
        job=repr(step.job_id), alias="run_id" if step.alias is None else repr(step.alias)
    )
