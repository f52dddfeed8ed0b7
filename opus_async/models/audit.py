"""The audit of a job: what each node of its workflow did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opus_async.models.mappings import EMPTY
from opus_async.models.results import OutputValue
from opus_async.value import Value

NODE_FAILED = frozenset({"FAILED", "ERROR"})
"""The statuses of a node that failed."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class AuditNode(Value):
    """What one node of a workflow did in a job.

    Attributes:
        name: The node's name (the vendor calls it an id; live bodies hold names).
        status: As sent, upper case: ``COMPLETED``, ``FAILED``, ``SLEEPING``; FAILED where only the list of
            failed nodes tells; None where nothing does.
        started_at: Seconds since the epoch; None where not told.
        seconds: How long it ran; nodes overlap, so the sum is more than the elapsed time.
        error: The platform's words on its failure, where it has any.
        inputs: What it was given, where told; large ones can be base64 text, which stays as it is.
        outputs: What it gave, where told; large ones can be base64 text, which stays as it is.
        raw: The node as sent.
    """

    name: str
    status: str | None = None
    started_at: float | None = None
    seconds: float | None = None
    error: str | None = None
    # their values can be lists, and a node can be put into a set all the same
    inputs: tuple[OutputValue, ...] = field(default=(), repr=False, hash=False)
    outputs: tuple[OutputValue, ...] = field(default=(), repr=False, hash=False)
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)

    @property
    def ended_at(self) -> float | None:
        """Seconds since the epoch; of a running node, when the audit was made; None where not told."""
        return None if self.started_at is None or self.seconds is None else self.started_at + self.seconds


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class AuditEntry(Value):
    """One line of the older, textual audit trail.

    Attributes:
        timestamp: As sent.
        actor: Who did it.
        action: What was done.
    """

    timestamp: str
    actor: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class AuditLog(Value):
    """The audit of a job: which nodes of its workflow have run, failed or remain.

    Attributes:
        nodes: The nodes that have run or are running, in the order of their start.
        failed_nodes: Names.
        executed_nodes: Names.
        executed_count: How many they are, also where only their number is told; None where not even that.
        remaining_nodes: Names; a finished run can still list every node here, so it decides nothing.
        running_node: Name; None when nothing runs.
        total_nodes: How many nodes the workflow has; None where not told.
        trail: The older form's entries; empty in the newer form.
        raw: The whole answer.
    """

    nodes: tuple[AuditNode, ...] = ()
    failed_nodes: tuple[str, ...] = ()
    executed_nodes: tuple[str, ...] = ()
    executed_count: int | None = None
    remaining_nodes: tuple[str, ...] = ()
    running_node: str | None = None
    total_nodes: int | None = None
    trail: tuple[AuditEntry, ...] = ()
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def started_at(self) -> float | None:
        """When the first node started, in seconds since the epoch; None where not told."""
        return min((node.started_at for node in self.nodes if node.started_at is not None), default=None)

    @property
    def ended_at(self) -> float | None:
        """When the last node ended that has a start and a duration; None where there is none."""
        return max((node.ended_at for node in self.nodes if node.ended_at is not None), default=None)

    @property
    def elapsed(self) -> float | None:
        """Seconds from the first start to the last end; None where not told.

        Nodes overlap and wait for each other, so that the sum of their seconds is another number.
        """
        started, ended = self.started_at, self.ended_at
        return None if started is None or ended is None else ended - started

    @property
    def progress(self) -> float | None:
        """How much of the workflow has run, 0 to 1, by the nodes executed; None where not told.

        The nodes that remain decide nothing: a finished run can still list all of them. Of a workflow with
        branches a finished run executes only those it reached, so that 1 is never promised.
        """
        known = {*self.executed_nodes, *self.failed_nodes, *self.remaining_nodes}
        if self.running_node:
            known.add(self.running_node)
        if self.total_nodes is None and not self.remaining_nodes:
            return None  # nodes that were not reached yet may be missing altogether
        total = max(self.total_nodes or 0, len(known))
        executed = len(self.executed_nodes) or self.executed_count or 0
        return min(executed / total, 1.0) if total else None

    @property
    def failures(self) -> tuple[AuditNode, ...]:
        """The nodes that failed, by their status or by name, in the order of their start.

        One of which only the name is told comes last, with nothing but its name. Of several entries with a
        name, as a node leaves that was tried again, those with a failed status count.
        """
        by_status = {node.name for node in self.nodes if node.status in NODE_FAILED}
        by_name = set(self.failed_nodes) - by_status
        found = [node for node in self.nodes if node.status in NODE_FAILED or node.name in by_name]
        told = {node.name for node in found}
        return (*found, *(AuditNode(name=name) for name in self.failed_nodes if name not in told))
