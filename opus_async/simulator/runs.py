"""Jobs and their runs: a run's state is a function of the clock, so no job needs a timer or a task.

When an execute is accepted, everything about the run is drawn at once: how long it queues and works,
whether it parks for a person, whether and at which node it fails. What it is *now* follows from the moment
it was accepted.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from opus_async.simulator.durations import Duration
from opus_async.simulator.run_plans import UNSAID
from opus_async.simulator.seeded_random import identifier, uniform
from opus_async.simulator.traits import HUGE_IDS, NASTY_FILE_NAMES, NUMERIC_IDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opus_async.simulator.config import SimulatorConfig
    from opus_async.simulator.run_plans import Plan
    from opus_async.simulator.workflows import Workflow

PENDING, IN_PROGRESS, WAITING, COMPLETED, FAILED = "PENDING", "IN_PROGRESS", "WAITING", "COMPLETED", "FAILED"
UNFINISHED = frozenset({PENDING, IN_PROGRESS, WAITING})
"""The statuses from which a job goes on."""
# Which API made a job: "v0" calls it a job, "v1" a case.
Generation = Literal["v0", "v1"]
# The first id of the vendor's documentation.
FIRST_ID = 2514
# The first integer that a 64-bit float cannot hold.
FIRST_HUGE_ID = 2**53 + 1
# Share of the work that the input node takes: it is short in every observed run.
_INPUT_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """One accepted execution.

    Attributes:
        accepted_at: Epoch seconds.
        queue: Seconds until the first node starts.
        work: Seconds of work over all nodes, if none fails.
        waiting: Seconds parked for a person; 0 if it does not park.
        nodes: Number of nodes.
        failing_node: Index of the node that fails at its end, or None.
        error: What the audit says of that failure; empty for nothing.
    """

    accepted_at: float
    queue: float
    work: float
    waiting: float
    nodes: int
    failing_node: int | None
    error: str = ""

    def node_start(self, index: int) -> float:
        """Return the seconds of work before the node at `index`; at `nodes` it is all of it."""
        if index == 0:
            return 0.0
        share = _INPUT_SHARE + (1 - _INPUT_SHARE) * (index - 1) / max(self.nodes - 1, 1)
        return self.work * share

    @property
    def parking_node(self) -> int:
        """Index of the node where a person is asked: the last but one."""
        return max(self.nodes - 2, 0)

    @property
    def parks(self) -> bool:
        """Whether the run reaches its parking node and waits there."""
        return self.waiting > 0 and (self.failing_node is None or self.failing_node >= self.parking_node)

    @property
    def end(self) -> float:
        """Seconds of work until the run ends."""
        return self.work if self.failing_node is None else self.node_start(self.failing_node + 1)

    @property
    def ends_at(self) -> float:
        """The moment, epoch seconds, at which the run ends: its work is done and nobody is waited for."""
        return self.accepted_at + self.queue + self.end + (self.waiting if self.parks else 0.0)

    def wall(self, worked: float) -> float:
        """Return the moment, epoch seconds, at which `worked` seconds of work are done."""
        parked = self.waiting if self.parks and worked > self.node_start(self.parking_node) else 0.0
        return self.accepted_at + self.queue + worked + parked

    def worked(self, now: float) -> tuple[float, bool]:
        """Return the seconds of work done, negative while queued, and whether the run is parked."""
        elapsed = now - self.accepted_at - self.queue
        if self.parks and elapsed >= (parked_at := self.node_start(self.parking_node)):
            if elapsed < parked_at + self.waiting:
                return parked_at, True
            elapsed -= self.waiting
        return min(elapsed, self.end), False

    def resumed(self, now: float) -> Run:
        """Return the run as it is if the person for whom it waits acts now."""
        return replace(self, waiting=now - self.accepted_at - self.queue - self.node_start(self.parking_node))

    def status(self, now: float) -> str:
        """Return the status at a moment, in the vendor's words."""
        worked, parked = self.worked(now)
        if parked:
            return WAITING
        if worked < 0:
            return PENDING
        if worked < self.end:
            return IN_PROGRESS
        return COMPLETED if self.failing_node is None else FAILED


@dataclass(slots=True)
class Job:
    """One job, from its shell to its last run.

    Attributes:
        job_id: Decimal text, or a UUID for a case.
        identity: Title and the how-many-eth job with it: what its draws depend on.
        workflow: The workflow it was made for.
        request: The body of the initiate request.
        created_at: Epoch seconds.
        generation: The generation of the API that made it, and that alone can see it.
        run: The latest accepted run, or None for a shell.
        inputs: Variable name to value of the latest accepted payload.
        execute_requests: How many execute requests named this job.
        executions: How many of them were accepted: each would be billed.
        callback_url: The callbackUrl of the latest accepted execute.
        result_reads: How many times results were asked for after completion.
        early_result_reads: How many times a case was asked for results before it ended.
        unnamed_inputs: Inputs of the latest payload that came without displayName.
        archived: Whether searches leave it out.
        nasty_names: Whether the files it generates have names that no file system should be given.
        outputs: What a script says that its latest run gives; None to compute it.
        held: Whether its latest run waits for such outputs, and does not end before.
    """

    job_id: str
    identity: str
    workflow: Workflow
    request: Mapping[str, Any]
    created_at: float
    generation: Generation = "v0"
    run: Run | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    execute_requests: int = 0
    executions: int = 0
    # Its path is a secret: it is in no repr.
    callback_url: str | None = field(default=None, repr=False)
    result_reads: int = 0
    early_result_reads: int = 0
    unnamed_inputs: int = 0
    archived: bool = False
    nasty_names: bool = False
    outputs: dict[str, dict[str, Any]] | None = None
    held: bool = False

    def status(self, now: float) -> str:
        """Return the status at a moment; a shell is PENDING."""
        if self.run is None:
            return PENDING
        status = self.run.status(now)
        return IN_PROGRESS if self.held and status not in UNFINISHED else status

    def settle(self, outputs: dict[str, dict[str, Any]] | None, error: str) -> None:
        """Let a run that was held end: with outputs, or by None with a failure at its last node."""
        self.held = False
        self.outputs = outputs
        if outputs is None and self.run is not None:
            self.run = replace(self.run, failing_node=self.run.nodes - 1, error=error)

    def receive(self, payload: Mapping[str, Mapping[str, Any]], callback_url: str | None) -> None:
        """Keep what an accepted execute brought."""
        self.inputs = {name: entry["value"] for name, entry in payload.items()}
        self.unnamed_inputs = sum("displayName" not in entry for entry in payload.values())
        self.callback_url = callback_url


class JobBook:
    """Every job of one simulator.

    Args:
        config: Shares, distributions and the seed.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._run_time = Duration.parse(config.run_time)
        self._queue_time = Duration.parse(config.queue_time)
        self._waiting_time = Duration.parse(config.waiting_time)
        self._jobs: dict[str, Job] = {}
        self._titled: dict[str, int] = {}
        self._ends: list[float] = []
        """When each of as many runs ends as may be at work: those that were begun last."""
        self._ids = count(FIRST_HUGE_ID if HUGE_IDS in config.traits else FIRST_ID)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def find(self, job_id: str) -> Job | None:
        """Return the job with this id, or None."""
        return self._jobs.get(job_id)

    def open(
        self, workflow: Workflow, request: Mapping[str, Any], now: float, generation: Generation = "v0"
    ) -> Job:
        """Make the shell of a job."""
        title = str(request.get("title") or "")
        nth = self._titled[title] = self._titled.get(title, 0) + 1
        identity = f"{title}#{nth}"
        job = Job(self._new_id(identity, generation), identity, workflow, request, now, generation)
        job.nasty_names = NASTY_FILE_NAMES in self._config.traits
        self._jobs[job.job_id] = job
        return job

    def remove(self, job: Job) -> None:
        """Forget a job; its id is not given out again."""
        del self._jobs[job.job_id]

    def start(self, job: Job, now: float, plan: Plan = UNSAID) -> None:
        """Accept an execution: draw its run, and change it as a script says."""
        job.executions += 1
        drawn = self._queued(self._draw(job, now))
        job.outputs = plan.outputs
        if plan is UNSAID:
            job.run = drawn
            return
        job.run = replace(
            drawn,
            work=drawn.work + plan.delay,
            waiting=drawn.waiting if plan.pause is None else plan.pause,
            failing_node=drawn.failing_node if plan.failing_node is None else plan.failing_node,
            error=plan.error,
        )

    def _queued(self, run: Run) -> Run:
        """A run as it is where only so many work at once: it begins when the first of these has ended."""
        if self._config.capacity is None:
            return run
        ends = self._ends
        if len(ends) >= self._config.capacity:
            run = replace(run, queue=max(run.queue, heapq.heappop(ends) - run.accepted_at))
        heapq.heappush(ends, run.ends_at)
        return run

    def _new_id(self, identity: str, generation: Generation) -> str:
        # The type of a caseId is not documented: a UUID, so that no client takes every id for a number.
        if generation == "v1" and not {NUMERIC_IDS, HUGE_IDS} & self._config.traits:
            return identifier(self._config.seed, "case", identity)
        return str(next(self._ids))

    def _draw(self, job: Job, now: float) -> Run:
        config = self._config
        about = (config.seed, job.identity, job.executions)
        nodes = len(job.workflow.nodes)
        fails = _happens(config.fail_share, "fails", *about)
        waits = _happens(config.waiting_share, "waits", *about)
        return Run(
            accepted_at=now,
            queue=_seconds(self._queue_time, "queue", *about),
            work=_seconds(self._run_time, "work", *about),
            waiting=_seconds(self._waiting_time, "waiting", *about) if waits else 0.0,
            nodes=nodes,
            failing_node=int(uniform("node", *about) * nodes) if fails else None,
        )


# A draw costs as much as the rest of a run: it is made only where it decides something.
def _happens(share: float, *about: object) -> bool:
    return share > 0 and uniform(*about) < share


def _seconds(duration: Duration, *about: object) -> float:
    return duration.first if duration.kind == "constant" else duration.at(uniform(*about))
