"""Faults: what goes wrong, how often, and when it is decided.

A profile is a frozen table from operation to kinds of fault with their shares. Whether a request is hit is
a pure function of seed, profile, operation, identity (the job, the file) and how many times that identity
asked before. How a fault looks on the wire is in `breakage`; this module only decides.

A profile also knows *patience*: after so many faults in a row the same request is let through, so that a
client that does the right thing always finishes. An order (Opus's execute, Operativus's run) and an answer
to a pause have the patience 1: the second, careful attempt is never hit, because a client may send it at most
twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from opus_async.simulator.seeded_random import uniform

RESET_BEFORE: Final = "reset_before"
RESET_AFTER: Final = "reset_after"
ERROR_BEFORE: Final = "error_before"
ERROR_AFTER: Final = "error_after"
TRUNCATED: Final = "truncated"
CUT_JSON: Final = "cut_json"
SLOW: Final = "slow"
RATE_LIMITED: Final = "rate_limited"
UNAVAILABLE: Final = "unavailable"
EXPIRED_SLOT: Final = "expired_slot"
ODD_STATUS: Final = "odd_status"
NOT_FOUND: Final = "not_found"
SLOW_DOWN: Final = "slow_down"
FORBIDDEN: Final = "forbidden"
CUT_UPLOAD: Final = "cut_upload"
STALLED: Final = "stalled"

KINDS: Final[dict[str, str]] = {
    RESET_BEFORE: "the connection is closed without an answer, nothing was done",
    RESET_AFTER: "it was done, and the connection is closed without an answer",
    ERROR_BEFORE: "a 5xx with an HTML page, nothing was done",
    ERROR_AFTER: "it was done, and a 5xx with an HTML page says otherwise",
    TRUNCATED: "it was done, and the answer ends before its Content-Length",
    CUT_JSON: "it was done, and the JSON of a complete answer is cut",
    SLOW: "it is done, and the answer takes its time",
    RATE_LIMITED: "a 429 with retryAfterSeconds, nothing was done",
    UNAVAILABLE: "a 503 with an HTML page, nothing was done",
    EXPIRED_SLOT: "the presigned URL has expired when it is handed out",
    ODD_STATUS: "a status answer without a usable status",
    NOT_FOUND: "a 404 for a job that exists, as a replica that lags behind answers",
    SLOW_DOWN: "storage answers 503 SlowDown",
    FORBIDDEN: "storage answers 403 AccessDenied to a valid URL",
    CUT_UPLOAD: "storage closes the connection in the middle of the body, nothing is stored",
    STALLED: "the queue of Operativus takes no job at one of its ticks: rows appear later",
}
"""Every kind of fault and what it does, in one sentence."""
ORDERS: Final = ("execute", "run", "resume", "continue")
"""The operations that start work: each is let through after one fault."""
STORAGE_OPERATIONS: Final = ("put", "get")
"""The operations of the storage host; all others are the API's."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, decided.

    Attributes:
        kind: One of `KINDS`.
        chance: A second draw in [0, 1) for the details: which status, how long, where to cut.
    """

    kind: str
    chance: float


@dataclass(frozen=True, slots=True)
class Rule:
    """How often one kind of fault hits an operation.

    Attributes:
        kind: One of `KINDS`.
        share: Share of requests, 0 to 1.
        first: Hit only the first so many requests of an identity; 0 for any.
    """

    kind: str
    share: float
    first: int = 0


@dataclass(frozen=True, slots=True)
class Waves:
    """Windows of time in which every request is turned away.

    Attributes:
        period: Seconds from one wave to the next.
        length: Seconds that a wave lasts.
        kinds: The kinds that take turns, wave by wave.
    """

    period: float
    length: float
    kinds: tuple[str, ...]

    def kind_at(self, elapsed: float) -> str | None:
        """Return the kind of fault `elapsed` seconds after the start, or None between two waves."""
        wave, offset = divmod(elapsed, self.period)
        # The wave is at the end of its period, so that a client gets its first requests through.
        if offset < self.period - self.length:
            return None
        return self.kinds[int(wave) % len(self.kinds)]


@dataclass(frozen=True, slots=True)
class Profile:
    """A named mixture of faults.

    Attributes:
        name: What `--faults` calls it.
        summary: One sentence for people.
        rules: Operation to the rules that hit it.
        api_waves: Waves that hit every API request.
        storage_waves: Waves that hit every request to storage.
        patience: Faults in a row before an identity is let through; `ORDERS` have 1 always.
    """

    name: str
    summary: str
    rules: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    api_waves: Waves | None = None
    storage_waves: Waves | None = None
    patience: int = 3

    def decide(self, seed: int, operation: str, identity: str, nth: int) -> Fault | None:
        """Return the fault that hits the `nth` (from 1) request of `identity`, or None."""
        fault = self._draw(seed, operation, identity, nth)
        if fault is None:
            return None
        patience = 1 if operation in ORDERS else self.patience
        earlier = range(max(nth - patience, 1), nth)
        if len(earlier) == patience and all(self._draw(seed, operation, identity, n) for n in earlier):
            return None
        return fault

    def _draw(self, seed: int, operation: str, identity: str, nth: int) -> Fault | None:
        rules = self.rules.get(operation)
        if not rules:
            return None
        point = uniform(seed, self.name, operation, identity, nth)
        for rule in rules:
            if point < rule.share:
                if rule.first and nth > rule.first:
                    return None
                return Fault(rule.kind, uniform(seed, "details", operation, identity, nth))
            point -= rule.share
        return None


def _rules(*, share: float, kinds: tuple[str, ...], first_only: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    # A 429 stops everybody, not one request: a quarter as many are as much of a nuisance.
    return (
        *(Rule(kind, share / 4 if kind == RATE_LIMITED else share) for kind in kinds),
        *(Rule(kind, share, first=1) for kind in first_only),
    )


# What can go wrong with any call, whether it changes something or not.
_ANY_CALL = (RESET_BEFORE, RESET_AFTER, ERROR_BEFORE, TRUNCATED, CUT_JSON, SLOW, RATE_LIMITED)
_ANY_CHANGE = (*_ANY_CALL, ERROR_AFTER)


_OPERATIVUS_READS = ("workflows", "workflow_read", "steps", "runs", "session_runs", "node_runs", "login")
_OPERATIVUS_CHANGES = (
    *("create", "update", "delete", "add_step", "update_step", "remove_step", "clone"),
    *("run", "resume", "continue", "cancel"),
)


def _mixture(share: float) -> dict[str, tuple[Rule, ...]]:
    operativus = {name: _rules(share=share, kinds=_ANY_CALL) for name in _OPERATIVUS_READS}
    operativus |= {name: _rules(share=share, kinds=_ANY_CHANGE) for name in _OPERATIVUS_CHANGES}
    return operativus | {
        "queue": _rules(share=share, kinds=(STALLED,)),
        "workflow": _rules(share=share, kinds=_ANY_CALL),
        "initiate": _rules(share=share, kinds=_ANY_CHANGE),
        "presign": _rules(share=share, kinds=(*_ANY_CHANGE, EXPIRED_SLOT)),
        "execute": _rules(share=share, kinds=_ANY_CHANGE),
        "shell_status": _rules(share=share, kinds=_ANY_CALL),
        "status": _rules(share=share, kinds=(*_ANY_CALL, ODD_STATUS), first_only=(NOT_FOUND,)),
        "results": _rules(share=share, kinds=_ANY_CALL),
        "audit": _rules(share=share, kinds=_ANY_CALL),
        "put": _rules(
            share=share,
            kinds=(RESET_BEFORE, RESET_AFTER, SLOW, SLOW_DOWN, CUT_UPLOAD),
            first_only=(FORBIDDEN,),
        ),
        "download": _rules(share=share, kinds=(*_ANY_CHANGE, EXPIRED_SLOT)),
        "get": _rules(
            share=share,
            kinds=(RESET_BEFORE, TRUNCATED, SLOW, SLOW_DOWN),
            first_only=(FORBIDDEN,),
        ),
    }


PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("none", "Nothing goes wrong."),
        Profile(
            "flaky",
            "A bad day: every kind of fault, each in a half to one percent of calls.",
            _mixture(0.008),
        ),
        Profile(
            "storm",
            "Waves of 429 and 503 over the whole service, half a second every two; little besides.",
            {
                name: _rules(share=0.01, kinds=(RATE_LIMITED, UNAVAILABLE))
                for name in ("initiate", "execute", "status", "run", "runs")
            }
            | {name: _rules(share=0.01, kinds=(SLOW_DOWN,)) for name in STORAGE_OPERATIONS},
            api_waves=Waves(2.0, 0.5, (RATE_LIMITED, UNAVAILABLE)),
            storage_waves=Waves(2.5, 0.4, (SLOW_DOWN,)),
        ),
        Profile("hostile", "Every kind of fault, each in five percent of calls.", _mixture(0.05)),
    )
}
"""Every fault profile by its name."""


class FaultSource:
    """Decides the fault of each request; counts how often each identity asked.

    Args:
        profile: The mixture to draw from.
        seed: What every draw depends on.
        started_at: The moment from which waves are counted, on the clock of the simulator.
    """

    def __init__(self, profile: Profile, seed: int, started_at: float) -> None:
        self.profile = profile
        self.quiet = not (profile.rules or profile.api_waves or profile.storage_waves)
        self._seed = seed
        self._started_at = started_at
        self._asked: dict[tuple[str, str], int] = {}

    def next(self, operation: str, identity: str, now: float) -> Fault | None:
        """Return the fault of this request, or None; each call counts as one request."""
        asked = (operation, identity)
        nth = self._asked[asked] = self._asked.get(asked, 0) + 1
        profile = self.profile
        waves = profile.storage_waves if operation in STORAGE_OPERATIONS else profile.api_waves
        if waves is not None and (kind := waves.kind_at(now - self._started_at)):
            # A second order that is answered by 503 could never be cleared up; by 429 it was not started.
            shown = RATE_LIMITED if operation in ORDERS and nth > 1 else kind
            return Fault(shown, uniform(self._seed, "wave", operation, identity, nth))
        return self.profile.decide(self._seed, operation, identity, nth)
