"""A decoded request, and the operation of the API that handles it: what the gate passes to endpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from opus_async.simulator.answers import Answer
    from opus_async.simulator.faults import Fault


@dataclass(slots=True)
class Call:
    """One request, decoded.

    Attributes:
        path: The path, for the error envelope.
        argument: The id in the path, decoded; empty if there is none.
        query: The raw query.
        body: The decoded JSON body; empty for a request without one.
        fault: The fault that hits this request, if any; most are delivered outside the endpoint.
    """

    path: str
    argument: str = ""
    query: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        name: What counters, fault profiles and logs call it.
        handle: Does it.
        identify: Returns what the faults of a call depend on: a row of the fault table, and whose call it is.
    """

    name: str
    handle: Callable[[Call], Answer]
    identify: Callable[[Call], tuple[str, str]]


def by_field(row: str, name: str) -> Callable[[Call], tuple[str, str]]:
    """Identify calls by a field of their body, which does not depend on the order in which they arrive."""
    return lambda call: (row, str(call.body.get(name)))


def by_argument(row: str) -> Callable[[Call], tuple[str, str]]:
    """Identify calls by the id in their path."""
    return lambda call: (row, call.argument)
