"""The bodies of status answers: the words, the spelling and the key that the active traits ask for."""

from __future__ import annotations

import json
from typing import Final

from opus_async.simulator import traits
from opus_async.simulator.runs import COMPLETED, FAILED, IN_PROGRESS, PENDING, WAITING

QUEUED: Final = "QUEUED"
"""An accepted run that has not started. It is PENDING like a shell, unless a trait tells them apart."""

# In this order: what a parked job looks like is then spelled like any running one.
_WORDS: Final = (
    (traits.PARKED_LOOKS_RUNNING, WAITING, IN_PROGRESS),
    (traits.SPACED_STATUS, IN_PROGRESS, "IN PROGRESS"),
    (traits.STATUS_STRANGE, QUEUED, "BRAND_NEW"),
    (traits.ENDS_SUCCEEDED, COMPLETED, "SUCCEEDED"),
    (traits.FAILS_AS_TIMED_OUT, FAILED, "timed out"),
    (traits.FAILS_AS_STOPPED, FAILED, "stopped"),
    (traits.FAILS_AS_CANCELED, FAILED, "CANCELED"),
    (traits.FAILS_AS_ERROR, FAILED, "error"),
)


def status_bodies(active: frozenset[str]) -> dict[str, bytes]:
    """Return the body of the answer for each status of a run and for `QUEUED`."""
    key = "state" if traits.STATUS_UNDER_STATE in active else "status"
    bodies = {
        status: json.dumps({key: _say(status, active)}).encode()
        for status in (PENDING, QUEUED, IN_PROGRESS, WAITING, COMPLETED, FAILED)
    }
    if traits.QUEUED_LOOKS_UNSTARTED in active:
        bodies[QUEUED] = bodies[PENDING]
    return bodies


def _say(status: str, active: frozenset[str]) -> str:
    word = status
    for trait, before, after in _WORDS:
        if trait in active and word == before:
            word = after
    if word == QUEUED:
        word = PENDING
    if traits.STATUS_PADDED in active:
        word = word.replace("_", " ").title() + " "
    return word.lower() if traits.STATUS_LOWERCASE in active else word
