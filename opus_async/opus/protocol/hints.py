"""The hints of errors: which call of the client, or which argument, takes the next step."""

from __future__ import annotations

from collections.abc import Mapping

from opus_async.error_codes import NextAction, NextStep

_GENERATION = "api= or OPUS_API names the generation of the API"
_HINTS: Mapping[NextAction, str] = {
    NextAction.WAIT_FOR_JOB: "jobs.outcome({job}) goes on waiting",
    NextAction.FETCH_RESULTS: "jobs.outcome({job}) fetches what it left",
    NextAction.READ_AUDIT: "jobs.audit({job}) tells what its nodes did",
    NextAction.SET_KEY: "A program can pass service_key=... instead",
    NextAction.CHECK_ID: _GENERATION,
    NextAction.CHOOSE_GENERATION: _GENERATION,
}


def hint(step: NextStep) -> str:
    """Say how a program takes a step; empty where the message of the error says all there is."""
    return _HINTS.get(step.action, "").format(job=repr(step.job_id))
