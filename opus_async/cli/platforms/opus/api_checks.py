"""Checks which generations of the API answer, then makes one live call with the key."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from opus_async.cli.checks import PATIENCE, Check, bad, good, risk, skipped
from opus_async.cli.platforms.opus import ENTRY, Generation, diagnosis, generation
from opus_async.config import RetryPolicy, Timeouts
from opus_async.errors import APIError, ConfigurationError, OpusError, RateLimited
from opus_async.models import Workflow
from opus_async.opus.client import OpusClient

PROBE = "0000000000000000"
"""An id that no workflow has: the answer 404 shows that the key was accepted."""
RETRY_SECONDS = 3.0
"""Seconds over which a call is repeated; what lasts longer is reported."""
AUTO: Generation = "auto"
GENERATION, CALL = ENTRY.live_steps
SCHEMA = "input type"


async def examine(named: str | None, base_url: str, workflow_id: str | None) -> list[Check]:
    """Ask every generation whether it answers, then read a workflow with the configured one.

    Args:
        named: What ``--api`` named.
        base_url: The platform's URL.
        workflow_id: The workflow; None for an id that no workflow has.
    """
    try:
        api = generation(named)
        anyone = _client(AUTO)
    except ConfigurationError:  # said already
        return [skipped(step, "needs what has to be mended above") for step in ENTRY.live_steps]
    async with anyone:
        answers = await anyone.generations()
    used = _used(api, answers)
    asked = answers[used]
    if asked is False and any(answers.values()):
        return [_other_answers(used, answers)]
    # Who has just waited in vain for a turn need not wait again.
    found = asked if isinstance(asked, RateLimited) else await _read(used, workflow_id)
    if asked is False:
        return [diagnosis.of_host(GENERATION, answers, found, base_url)]
    return [
        _generation(api, used, answers),
        _call(found, workflow_id, works=asked is True),
        *_schema(found),
    ]


def _used(api: str, answers: Mapping[str, bool | OpusError]) -> str:
    """The generation that a client would use: the configured one, or for ``auto`` the first that answers."""
    if api != AUTO:
        return api
    return next((name for name, answer in answers.items() if answer is not False), next(iter(answers)))


def _generation(api: str, used: str, answers: Mapping[str, bool | OpusError]) -> Check:
    told = ", ".join(_told(name, answer) for name, answer in answers.items())
    if answers[used] is not True:
        return skipped(GENERATION, f"{told}: that is neither yes nor no, see the live call")
    return good(GENERATION, f"{told}; used: {used if api == used else f'{used} ({api})'}")


def _other_answers(used: str, answers: Mapping[str, bool | OpusError]) -> Check:
    """The check where the configured generation does not answer, and another does or may."""
    others = {name: answer for name, answer in answers.items() if answer is not False}
    told = ", ".join(_told(name, answer) for name, answer in others.items())
    name = next((name for name, answer in others.items() if answer is True), next(iter(others)))
    return bad(
        GENERATION,
        f"{used} does not answer at this base URL; {told}",
        f"set OPUS_API={name}, or pass --api {name} (in Python: api={name!r})",
    )


def _told(name: str, answer: bool | OpusError) -> str:  # noqa: FBT001 - what was found, no switch
    match answer:
        case True:
            return f"{name} answers"
        case False:
            return f"{name} does not answer"
        case APIError():
            return f"{name} says HTTP {answer.status}"
    return f"{name} gives no answer"


async def _read(api: str, workflow_id: str | None) -> Workflow | OpusError:
    try:
        async with _client(api) as opus:
            return await opus.workflows.get(workflow_id or PROBE)
    except OpusError as error:
        return error


def _call(found: Workflow | OpusError, workflow_id: str | None, *, works: bool) -> Check:
    if isinstance(found, OpusError):
        return diagnosis.of_call(CALL, found, workflow_id, works=works)
    inputs = ", ".join(field.display_name for field in found.inputs.values()) or "none"
    return good(CALL, f"the key works; workflow {found.name!r}, inputs: {inputs}")


def _schema(found: Workflow | OpusError) -> list[Check]:
    """What should be known about the inputs before a job runs."""
    if isinstance(found, OpusError):
        return []
    fix = "give values of it as Opus takes them, or look for a newer opus-async that knows it"
    return [risk(SCHEMA, str(warning), fix) for warning in found.warnings]


def _client(api: str) -> OpusClient:
    """A client that soon gives up, and does not warn: key and URL have been checked already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OpusClient(
            api=api,  # type: ignore[arg-type] # a name that the client itself has told, or auto
            retry=RetryPolicy(attempts=3, max_elapsed=RETRY_SECONDS, base=0.2),
            timeouts=Timeouts(connect=PATIENCE, request=PATIENCE),
        )
