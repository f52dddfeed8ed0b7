"""Whose limit it is that refused a request: of its operation alone, or of all operations together.

A refusal of one operation says nothing of others, so at first the limit is that of the operation. When
another one is refused in the same pause, or one limit explains the refusals of both, it is the limit of all.
When that only ever meets one operation, it was that operation's after all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from opus_async.transport.rate_history import RateHistory

if TYPE_CHECKING:
    from opus_async.transport.learned_limit import LearnedLimit
    from opus_async.transport.refusals import Histories

CHANCE = 0.005
"""A limit of all that has met the same operation so often that it is less likely than this, is the limit of
that operation."""


class Operation:
    """One kind of request.

    Attributes:
        name: Of the operation.
        history: What was granted of it.
        limit: Its own limit; None while none is known.
    """

    __slots__ = ("history", "limit", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.history = RateHistory()
        self.limit: LearnedLimit | None = None

    def histories(self) -> list[RateHistory]:
        """What its own limit counts."""
        return [self.history]


class LimitScope:
    """The operations of one server, their limits, and the limit of all of them together.

    Args:
        random: A source of numbers in [0, 1).

    Attributes:
        shared: The limit of all operations together; None while none is known.
        operations: By name.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self.shared: LearnedLimit | None = None
        self.operations: dict[str, Operation] = {}
        self._random = random
        self._alone, self._chance = "", 1.0
        """The operation that alone was refused in the newest pauses of all, and the chance of that."""
        self._counted: dict[str, int] = {}
        """Requests that were granted of each operation until the newest of these pauses."""

    def operation(self, name: str) -> Operation:
        """What is known of a kind of request; the same object at each call."""
        found = self.operations.get(name)
        if found is None:
            found = self.operations[name] = Operation(name)
        return found

    def limits(self) -> Iterator[LearnedLimit]:
        """All that are known."""
        if self.shared is not None:
            yield self.shared
        for each in self.operations.values():
            if each.limit is not None:
                yield each.limit

    def histories(self) -> list[RateHistory]:
        """What the limit of all counts."""
        return [each.history for each in self.operations.values()]

    def share(self, now: float) -> LearnedLimit:
        """The limit of all operations together, made if there is none."""
        if self.shared is None:
            self.shared = _new_limit(self.histories, now, self._random)
        return self.shared

    def met(self, operation: Operation, now: float, sent_at: float) -> LearnedLimit:
        """The limit that refused a request.

        Args:
            operation: Of the request.
            now: The clock's reading, in seconds.
            sent_at: When it was sent.
        """
        own, shared = operation.limit, self.shared
        if shared is not None and shared.refusals:
            if own is not None and own.pace.reserve(now) < shared.pace.reserve(now):
                return own
            if not self._was_alone(operation, shared, now, sent_at):
                return shared
            self.shared = None
        if own is None or (own.pace.known is None and own.begins_pause(now, sent_at)):
            shared = self._of_several(operation, now, sent_at)
            if shared is not None:
                return shared
        if own is None:
            own = operation.limit = _new_limit(operation.histories, now, self._random)
        return own

    def _of_several(self, operation: Operation, now: float, sent_at: float) -> LearnedLimit | None:
        """The limit of all, made of those of other operations, if it refused this one, too."""
        others = [
            each.limit
            for each in self.operations.values()
            if each.limit is not None and each is not operation
        ]
        if not others:
            return None
        met = others if operation.limit is None else [*others, operation.limit]
        shared = met[0].of_all(met, self.histories, now)
        paused = any(now < each.paused_until for each in others)
        if not paused and not shared.refusals.would_explain(sent_at):
            return None
        self.shared = shared
        for each in self.operations.values():
            each.limit = None
        self._alone, self._chance, self._counted = "", 1.0, self._totals()
        return shared

    def _was_alone(self, operation: Operation, shared: LearnedLimit, now: float, sent_at: float) -> bool:
        """Whether the limit of all has only ever met this operation, so often that it is no accident."""
        if not shared.begins_pause(now, sent_at):
            if operation.name != self._alone:
                self._alone, self._chance = "", 1.0
            return False
        if operation.name != self._alone:
            self._alone, self._chance = operation.name, 1.0
        if self._chance < CHANCE:
            return True
        totals = self._totals()
        came = {name: total - self._counted.get(name, 0) for name, total in totals.items()}
        self._chance *= (came.get(operation.name, 0) + 1) / (sum(came.values()) + 1)
        self._counted = totals
        return False

    def _totals(self) -> dict[str, int]:
        return {name: each.history.total for name, each in self.operations.items()}


def _new_limit(histories: Histories, now: float, random: Callable[[], float]) -> LearnedLimit:
    from opus_async.transport.learned_limit import LearnedLimit  # noqa: PLC0415 - most clients meet no limit
    from opus_async.transport.refusals import Refusals  # noqa: PLC0415 - most clients meet no limit

    return LearnedLimit(Refusals(histories), now, random)
