"""The state of the simulated Operativus: users, workflows, runs, counters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from opus_async.simulator.faults import PROFILES, FaultSource
from opus_async.simulator.operativus.accounts import Tokens
from opus_async.simulator.operativus.book import RunBook
from opus_async.simulator.operativus.definitions import Definitions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opus_async.simulator.operativus.config import OperativusConfig, Workload


@dataclass(slots=True)
class OperativusState:
    """Everything the server knows.

    Attributes:
        config: What it was started with.
        workload: What it shares with the other platform.
        clock: Returns epoch seconds that never run backwards.
        started_at: Epoch seconds.
        tokens: Users and their tokens.
        token: The admin's first token, for whom it is started.
        definitions: Workflows.
        book: Runs and jobs.
        faults: Decides what goes wrong.
        requests: Requests per operation.
        answers: Answers per HTTP status.
        injected: Faults per `operation.kind`.
        listing: Pages of runs: how many were given out, and how many rows on them.
    """

    config: OperativusConfig
    workload: Workload
    clock: Callable[[], float]
    started_at: float
    tokens: Tokens
    token: str
    definitions: Definitions
    book: RunBook
    faults: FaultSource
    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    listing: Counter[str] = field(default_factory=Counter)

    @classmethod
    def create(cls, config: OperativusConfig, workload: Workload, clock: Callable[[], float]) -> Self:
        """Make the state of a new server."""
        now = clock()
        tokens = Tokens(workload.seed, config.token_life)
        return cls(
            config=config,
            workload=workload,
            clock=clock,
            started_at=now,
            tokens=tokens,
            token=tokens.issue(tokens.accounts["admin"], now),
            definitions=Definitions(),
            book=RunBook(config, workload, now),
            faults=FaultSource(PROFILES[workload.faults], workload.seed, now),
        )

    def command(self, what: str, given: Mapping[str, Any]) -> None:
        """Do what a test says: an operation of `RunScripts`, or `restart_server`."""
        if what == "restart_server":
            self.book.restart_server(self.now())
        else:
            getattr(self.book.scripts, what)(**given)

    def now(self) -> float:
        """Return the present, after all that was due by then."""
        now = self.clock()
        self.book.advance(now)
        return now
