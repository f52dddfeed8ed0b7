"""Values of the Operativus API that users do not hold: what steps left behind, and the choices of a route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opus_async.models import JobStatus
from opus_async.models.mappings import EMPTY
from opus_async.redaction import Mask
from opus_async.wire.excerpts import as_it_is


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """What one node of a workflow with edges did in a run. Known from the server's source only.

    Attributes:
        id: Its id; None where not told.
        node_id: The step.
        name: As people see it; None where not told.
        kind: Of the step: ``AGENT``, ``JOIN``, ...
        success: Whether it went well; None where not told.
        error: The server's words on its failure, without secrets.
        paused: Whether it waits for a person.
        content: The text it gave.
        started_at: In UTC.
        ended_at: In UTC; None while it runs.
        parent_node_id: The node whose nested workflow it belongs to; None for one of the run itself.
        raw: As the server sent it.
        mask: Takes the secrets of whoever asked out of a text.
    """

    id: str | None = None
    node_id: str | None = None
    name: str | None = None
    kind: str | None = None
    success: bool | None = None
    error: str | None = None
    paused: bool = False
    content: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    parent_node_id: str | None = None
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)
    mask: Mask = field(default=as_it_is, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRun:
    """One call of an agent in a session: a step, or what a step's agent asked of others. Source only.

    Attributes:
        id: Its id; None where not told.
        agent_id: The agent.
        parent_id: The call that asked for it; None for a step.
        status: Of the call, in the words of a run.
        input: The text it was given.
        output: The text it gave.
        error: The server's words on its failure, without secrets.
        duration_ms: Milliseconds.
        created_at: In UTC.
        updated_at: In UTC.
        raw: As the server sent it.
        mask: Takes the secrets of whoever asked out of a text.
    """

    id: str | None = None
    agent_id: str | None = None
    parent_id: str | None = None
    status: JobStatus
    input: str | None = None
    output: str | None = None
    error: str | None = None
    duration_ms: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)
    mask: Mask = field(default=as_it_is, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteOptions:
    """The ways on which a run that waits at a router can go on. Source only.

    Attributes:
        run_id: The run.
        status: Of the run.
        awaiting: Whether it waits for a choice.
        choices: Keys that ``continue`` takes.
        default: The choice that is taken without one; None where not told.
    """

    run_id: str
    status: JobStatus
    awaiting: bool
    choices: tuple[str, ...] = ()
    default: str | None = None
