"""What users of Operativus hold: workflows, their steps, and their runs. Frozen values, free of I/O.

What came over the wire is offered twice: normalised in named fields, and as it was in ``raw``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opus_async.models import JobStatus
from opus_async.models.mappings import EMPTY

STEP_KINDS = frozenset(
    {
        "AGENT",
        "CONDITION",
        "PARALLEL",
        "WEBHOOK",
        "LOOP",
        "SEQUENTIAL",
        "ROUTER",
        "JOIN",
        "FUNCTION",
        "WORKFLOW",
    }
)
"""Words that change what a step is, on current servers, where they are its ``action``."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a workflow: an agent, and what it is to do.

    Attributes:
        agent_id: The agent that is asked; empty where the server names none, as for kinds of steps that have
            no agent.
        action: The prompt of the step, by the vendor's documentation. Current servers take it for the kind of
            the step where it is one of :data:`STEP_KINDS`, take any other text for ``AGENT``, and show that
            text to no agent. It is passed on unchanged.
        order: Its place, from 1; None before it is known.
        id: None for a step that is not on the server yet.
        raw: As the server sent it, with what has no field here (``routerConfig``, ``onReject``, ...).
    """

    agent_id: str
    action: str
    order: int | None = None
    id: str | None = None
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow: steps that run one after the other, each on the output of the one before.

    Attributes:
        id: Its id.
        name: As people see it; empty where not told.
        description: None where there is none.
        steps: In order; None where the server did not say, which is not the same as none: ask for them.
        raw: As the server sent it.
    """

    id: str
    name: str
    description: str | None = None
    steps: tuple[Step, ...] | None = None
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow, as a listing shows it. It holds no text of its output.

    Attributes:
        id: Its id, by which it is resumed and cancelled.
        workflow_id: Of which workflow.
        session_id: In which session; a session can have several runs, also because a server starts one that
            took too long again. None where not told.
        status: Normalised, with the server's own word in ``raw``. It alone decides whether the run is over.
        step_order: The step that runs, or ran last; None where not told.
        duration_ms: As the server computes it, in milliseconds: on current servers about 0, whatever the run
            took. None where not told.
        created_at: In UTC, by the clock of the server; a time without a zone is taken for UTC. A run is
            created when its job is taken from the queue, not when it was ordered. None where not told.
        updated_at: The last change that the server notes, in UTC as above. None where not told.
        raw: As the server sent it.
    """

    id: str
    workflow_id: str
    session_id: str | None
    status: JobStatus
    step_order: int | None = None
    duration_ms: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class StartedRun:
    """An order that was accepted. The run appears in listings when its turn has come.

    Attributes:
        job_id: The background job that will make the run. Servers do not tell its status.
        workflow_id: Of which workflow.
        session_id: Under which the run is found.
    """

    job_id: str
    workflow_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class ResumedRun:
    """An answer to a paused run that was accepted, which does not mean that it had an effect.

    Attributes:
        job_id: The background job that will go on with the run.
        run_id: The run.
    """

    job_id: str
    run_id: str
