"""How a test reaches the simulated Operativus, in its own event loop or in another process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opus_async.simulator.operativus.accounts import Account


@dataclass(frozen=True, slots=True)
class OperativusAccess:
    """A simulated Operativus that runs: where it is, who may use it, what it counted, what it is told.

    Attributes:
        base_url: Without a slash at its end.
        token: A token of its admin.
        accounts: Its users by name: `admin`, `user` (no admin, same organization), `stranger` (another one).
    """

    base_url: str
    token: str = field(repr=False)
    accounts: Mapping[str, Account] = field(repr=False)
    state: Callable[[str | None], dict[str, Any]] = field(repr=False)
    command: Callable[[str, dict[str, Any]], Any] = field(repr=False)

    @property
    def username(self) -> str:
        """The name of its admin."""
        return self.accounts["admin"].username

    @property
    def password(self) -> str:
        """The password of its admin."""
        return self.accounts["admin"].password

    def stats(self) -> dict[str, Any]:
        """Return what the server counted itself: orders, rows by status, requests, pages, faults.

        `started_twice` holds the sessions that were ordered more than once. Blocks if the server is in
        another process.
        """
        return self.state(None)

    def session(self, session_id: str) -> dict[str, Any]:
        """Return how often a session was ordered, and its rows."""
        return self.state(session_id)

    def fail_next(self, workflow_id: str, times: int = 1, *, step: int = -1, error: str = "") -> None:
        """Let the next runs of a workflow end as FAILED, at a step by its place from 0, or from the end."""
        self.command("fail_next", {"workflow_id": workflow_id, "times": times, "step": step, "error": error})

    def pause_next(self, workflow_id: str, times: int = 1, *, step: int = -1) -> None:
        """Let the next runs of a workflow wait for a person, at a step counted from 0, or from the end."""
        self.command("pause_next", {"workflow_id": workflow_id, "times": times, "step": step})

    def delay_next(self, workflow_id: str, seconds: float, times: int = 1) -> None:
        """Let the next runs of a workflow take so many seconds more."""
        self.command("delay_next", {"workflow_id": workflow_id, "seconds": seconds, "times": times})

    def restart_server(self) -> None:
        """Let the server be killed and come up again.

        What ran runs no more, though its row says so, until its job is found stalled and started again; rows
        that run for two hours already are cancelled.
        """
        self.command("restart_server", {})

    def reset(self) -> None:
        """Forget what was said; runs that were ordered keep it."""
        self.command("reset", {})
