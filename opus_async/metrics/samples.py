"""Samples of a session, taken every few seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Self

from opus_async.metrics.bottleneck import Bottleneck

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why and how a session is being ended early, while it still has rows in flight.

    Attributes:
        mode: How: a :class:`~opus_async.jobs.shutdown.ShutdownMode` by its name in lower case.
        kind: Why: a :class:`~opus_async.jobs.shutdown.StopKind`.
        detail: What more is to be said of the kind: the halt policy, or what the machine has none left of.
        failed: Rows of the session that had failed by then; of a halt.
        ended: Rows of the session that had ended by then; of a halt.
    """

    mode: str
    kind: str
    detail: str = ""
    failed: int = 0
    ended: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The state of a session at one moment; the ledger gets one every few seconds.

    Attributes:
        elapsed: Seconds since the session began.
        in_flight: Rows that hold a slot.
        waiting: Rows parked for a person.
        completed: Rows that are completed, earlier sessions included.
        not_completed: Rows that ended otherwise, earlier sessions included.
        inside: Stage -> rows that were in it.
        requests: Requests sent in this session, repeated attempts included.
        retries: Attempts that failed and were followed by another, in this session.
        throttled: Of these, how many were turned away with 429.
        uploaded_bytes: Bytes of files, in this session.
        bottleneck: What limits the session now; None when nothing does.
        ending: Why it is being ended early; None as long as it is not.
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
    bottleneck: Bottleneck | None = None
    ending: Ending | None = None

    @property
    def ended(self) -> int:
        """Rows that have ended, one way or another."""
        return self.completed + self.not_completed

    def as_json(self) -> dict[str, Any]:
        """The sample as JSON, for a ledger."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        limit, ending = self.bottleneck, self.ending
        return values | {
            "inside": dict(self.inside),
            "bottleneck": limit and limit.as_json(),
            "ending": ending and asdict(ending),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read the JSON of a ledger; fields that this release does not know are left out."""
        known = {name: value for name, value in stored.items() if name in _FIELDS}
        ending = stored.get("ending")
        return cls(
            **known
            | {
                "bottleneck": Bottleneck.from_json(stored.get("bottleneck")),
                "ending": ending and Ending(**ending),
            }
        )


_FIELDS = frozenset(each.name for each in fields(Sample))
