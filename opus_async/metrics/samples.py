"""How a session stands, sampled every few seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How a session stood at one moment; every few seconds one goes into the ledger.

    Attributes:
        elapsed: Seconds since the session began.
        in_flight: Rows that hold a slot.
        waiting: Rows parked for a person.
        completed: Rows that are completed, earlier sessions included.
        not_completed: Rows that ended otherwise, likewise.
        inside: Stage -> rows in it now.
        requests: Requests answered in this session.
        retries: Attempts that failed and were followed by another, in this session.
        throttled: Of these, how many were turned away with 429.
        uploaded_bytes: Of files, in this session.
        bottleneck: What limits the session now, in a few words; empty when nothing does.
    """

    elapsed: float
    in_flight: int
    waiting: int
    completed: int
    not_completed: int
    inside: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    uploaded_bytes: int = 0
    bottleneck: str = ""
