"""A decoded request, the operation that handles it, and which operation that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opus_async.simulator.answers import Answer
    from opus_async.simulator.operativus.accounts import Account


@dataclass(frozen=True, slots=True)
class Call:
    """One request, decoded.

    Attributes:
        path: The path, for errors.
        arguments: The ids in the path, decoded.
        query: The raw query.
        body: The decoded JSON body; empty for a request without one.
        account: Who asks; None for a login.
        now: Epoch seconds.
    """

    path: str
    arguments: tuple[str, ...]
    query: str
    body: Mapping[str, Any]
    account: Account | None
    now: float

    @property
    def org(self) -> str:
        """The organization of the caller."""
        return "" if self.account is None else self.account.org


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        name: What counters, fault profiles and logs call it.
        method: The HTTP method.
        pattern: Its path; `{}` stands for an id.
        handle: Does it.
        identity: Returns what the faults of a call depend on besides the operation.
        admin: Whether it needs the role ADMIN.
        reads: Whether it needs a body.
    """

    name: str
    method: str
    pattern: str
    handle: Callable[[Call], Answer]
    identity: Callable[[Call], str] = field(default=lambda call: "/".join(call.arguments))
    admin: bool = False
    reads: bool = False


class Routes:
    """Finds the operation of a request.

    Args:
        operations: All there are.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], Operation]]] = {}
        for operation in operations:
            parts = tuple(operation.pattern.split("/"))
            self._by_length.setdefault(len(parts), []).append((parts, operation))

    def find(self, path: str) -> dict[str, tuple[Operation, tuple[str, ...]]]:
        """Return what there is at a path: method -> operation and ids; literal parts go before ids."""
        asked = path.split("/")
        found: dict[str, tuple[Operation, tuple[str, ...]]] = {}
        for parts, operation in self._by_length.get(len(asked), ()):
            if any(
                part not in ("{}", given) or not given
                for part, given in zip(parts[1:], asked[1:], strict=True)
            ):
                continue
            ids = tuple(unquote(given) for part, given in zip(parts, asked, strict=True) if part == "{}")
            if operation.method not in found or len(ids) < len(found[operation.method][1]):
                found[operation.method] = operation, ids
        return found
