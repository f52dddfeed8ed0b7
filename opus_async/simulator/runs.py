"""Jobs and their runs: a run's state is a function of the clock, so no job needs a timer or a task.

When an execute is accepted, everything about the run is drawn at once: how long it queues and works,
whether it parks for a person, whether and at which node it fails. What it is *now* follows from the moment
it was accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from opus_async.simulator.draws import uniform
from opus_async.simulator.durations import Duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opus_async.simulator.config import SimulatorConfig
    from opus_async.simulator.workflows import Workflow

PENDING, IN_PROGRESS, WAITING, COMPLETED, FAILED = "PENDING", "IN_PROGRESS", "WAITING", "COMPLETED", "FAILED"
# The first id of the vendor's documentation.
FIRST_ID = 2514
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
    """

    accepted_at: float
    queue: float
    work: float
    waiting: float
    nodes: int
    failing_node: int | None

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
        job_id: Decimal text.
        identity: Title and the how-many-eth job with it: what its draws depend on.
        workflow: The workflow it was made for.
        request: The body of the initiate request.
        created_at: Epoch seconds.
        run: The latest accepted run, or None for a shell.
        inputs: Variable name to value of the latest accepted payload.
        execute_requests: How many execute requests named this job.
        executions: How many of them were accepted: each would be billed.
        callback_url: The callbackUrl of the latest accepted execute.
        result_reads: How many times results were asked for after completion.
        unnamed_inputs: Inputs of the latest payload that came without displayName.
    """

    job_id: str
    identity: str
    workflow: Workflow
    request: Mapping[str, Any]
    created_at: float
    run: Run | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    execute_requests: int = 0
    executions: int = 0
    callback_url: str | None = None
    result_reads: int = 0
    unnamed_inputs: int = 0

    def status(self, now: float) -> str:
        """Return the status at a moment; a shell is PENDING."""
        return PENDING if self.run is None else self.run.status(now)

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
        self._ids = count(FIRST_ID)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def find(self, job_id: str) -> Job | None:
        """Return the job with this id, or None."""
        return self._jobs.get(job_id)

    def open(self, workflow: Workflow, request: Mapping[str, Any], now: float) -> Job:
        """Make the shell of a job."""
        title = str(request.get("title") or "")
        nth = self._titled[title] = self._titled.get(title, 0) + 1
        job = Job(str(next(self._ids)), f"{title}#{nth}", workflow, request, now)
        self._jobs[job.job_id] = job
        return job

    def start(self, job: Job, now: float) -> None:
        """Accept an execution: draw its run."""
        job.executions += 1
        job.run = self._draw(job, now)

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
