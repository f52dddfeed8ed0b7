"""The runs of every workflow and the jobs behind them: orders, turns of the queue, restarts, answers.

Nothing here needs a timer: what was due is done, in its order, whenever somebody looks.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from opus_async.simulator.durations import Duration
from opus_async.simulator.faults import PROFILES
from opus_async.simulator.operativus import traits
from opus_async.simulator.operativus.job_queue import JobQueue
from opus_async.simulator.operativus.jobs import CONTINUE, EXECUTION, Job
from opus_async.simulator.operativus.plans import PAUSED, ROUTE, Task
from opus_async.simulator.operativus.runs import RUNNING, WAITING, Run
from opus_async.simulator.operativus.scripts import RunScripts
from opus_async.simulator.seeded_random import hexadecimal, identifier, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opus_async.simulator.operativus.config import OperativusConfig, Workload

_DIGEST_DIGITS = 16
# Under `rows_shuffled` the rows of a tick appear over this share of it.
_SHUFFLED_SHARE = 0.5
_STALLED_SHARE = 1 / 3
_MOST_INTRUDERS = 3
_BUDGET = "Daily Budget Exhausted"


@dataclass(frozen=True, slots=True)
class Order:
    """One request to run a workflow.

    Attributes:
        workflow_id: The workflow.
        org: Whose it is.
        session_id: The session of the run.
        text: The input.
        tasks: What is to be done.
        graph: Whether the workflow has edges.
    """

    workflow_id: str
    org: str
    session_id: str
    text: str
    tasks: tuple[Task, ...]
    graph: bool


class RunBook:
    """Every run and every job of one server.

    Args:
        config: The queue, and after how long what happens.
        workload: Run times, shares and the seed.
        started_at: Epoch seconds.
    """

    def __init__(self, config: OperativusConfig, workload: Workload, started_at: float) -> None:
        self.scripts = RunScripts()
        self.starts: Counter[str] = Counter()
        """Orders per session id."""
        self.input_starts: Counter[tuple[str, str]] = Counter()
        """Orders per workflow and digest of their input."""
        self.counts: Counter[str] = Counter()
        """Restarts by the server, and answers to pauses: all, applied, ignored."""
        self.jobs: list[Job] = []
        self._config = config
        self._active = config.active
        self._workload = workload
        self._run_time = Duration.parse(workload.run_time)
        self._queue = JobQueue(config.queue_jobs, config.queue_tick, started_at, self._stalls)
        self._runs: dict[str, Run] = {}
        self._by_workflow: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
        self._by_session: defaultdict[str, list[Run]] = defaultdict(list)
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._due_numbers = count()
        self._numbers = count(1)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def find(self, run_id: str) -> Run | None:
        """Return the run with this id, or None."""
        return self._runs.get(run_id)

    def of_workflow(self, workflow_id: str, org: str) -> list[Run]:
        """Return the rows of a workflow, oldest first; not a copy."""
        return self._by_workflow.get((workflow_id, org), [])

    def of_session(self, session_id: str, org: str) -> list[Run]:
        """Return the rows of a session, oldest first."""
        return [run for run in self._by_session.get(session_id, ()) if run.org == org]

    def new_id(self, kind: str) -> str:
        """Return the id of a new thing of a kind: `wf`, `step`, `edge`, `run`, `job`, `session`."""
        number = next(self._numbers)
        if traits.SHORT_IDS in self._active and kind != "session":
            return f"{kind}_{hexadecimal(8, self._workload.seed, kind, number)}"
        return identifier(self._workload.seed, kind, number)

    def advance(self, now: float) -> None:
        """Do what was due until now."""
        while self._due and self._due[0][0] <= now:
            moment, _, effect = heapq.heappop(self._due)
            effect(moment)

    def order(self, order: Order, now: float) -> Job:
        """Accept an order; `now` is never earlier than in the call before."""
        digest = hexadecimal(_DIGEST_DIGITS, order.text)
        self.starts[order.session_id] += 1
        self.input_starts[order.workflow_id, digest] += 1
        about = (self._workload.seed, digest, self.input_starts[order.workflow_id, digest])
        drawn, seconds = self._draw(order, about)
        job = self._enqueue(EXECUTION, now)
        if traits.ROWS_AT_ONCE in self._active:
            self._start(job, drawn, seconds, now, begins=job.taken_at)
        else:
            self._on_turn(job, lambda moment: self._start(job, drawn, seconds, moment))
        return job

    def answer(self, kind: str, run_id: str, text: str, now: float) -> Job:
        """Accept an answer to a pause: a text or, for `CONTINUE`, a choice. It is judged at its turn."""
        self.counts["answers"] += 1
        job = self._enqueue(kind, now)
        self._at(job.taken_at, lambda moment: self._apply(job, run_id, text, moment))
        return job

    def intrude(self, workflow_id: str, org: str, now: float) -> None:
        """Let up to three runs of somebody else appear; they are over at once, and counted nowhere."""
        chance = uniform(self._workload.seed, "intruders", next(self._numbers))
        for _ in range(int(chance * (_MOST_INTRUDERS + 1))):
            run = Run(
                run_id=self.new_id("run"),
                workflow_id=workflow_id,
                org=org,
                session_id=self.new_id("session"),
                tasks=(Task("", 1, None, "AGENT"),),
                graph=False,
                created_at=now,
                seconds=0.0,
                expires_after=0.0,
            )
            run.begin(now, "")
            self._by_workflow[workflow_id, org].append(run)

    def restart_server(self, now: float) -> None:
        """Let the server be killed and come up again: what ran runs no more, though its row says so.

        A row that is older than two hours is cancelled at once; the job behind the others is found stalled
        some time after it was taken, and started again.
        """
        for run in self:
            if run.status(now) != RUNNING:
                continue
            if now - run.created_at >= self._config.running_expiry:
                run.cancel(now)
            else:
                run.lose(now)

    def _stalls(self, tick: int) -> bool:
        seed, profile = self._workload.seed, PROFILES[self._workload.faults]
        if traits.QUEUE_STALLS in self._active and uniform(seed, "stalled", tick) < _STALLED_SHARE:
            return True
        return profile.decide(seed, "queue", str(tick), 1) is not None

    def _enqueue(self, kind: str, now: float) -> Job:
        job = Job(self.new_id("job"), kind, now, self._queue.turn(now))
        self.jobs.append(job)
        return job

    def _at(self, moment: float, effect: Callable[[float], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._due_numbers), effect))

    def _on_turn(self, job: Job, effect: Callable[[float], None]) -> None:
        late = 0.0
        if traits.ROWS_SHUFFLED in self._active:
            share = uniform(self._workload.seed, "row", job.job_id) * _SHUFFLED_SHARE
            late = share * self._config.queue_tick
        self._at(job.taken_at + late, effect)

    def _start(
        self,
        job: Job,
        order: Order,
        seconds: float,
        now: float,
        *,
        begins: float | None = None,
        attempt: int = 1,
    ) -> None:
        """Let a row appear, and its first leg begin then or later."""
        run = job.run = Run(
            run_id=self.new_id("run"),
            workflow_id=order.workflow_id,
            org=order.org,
            session_id=order.session_id,
            tasks=order.tasks,
            graph=order.graph,
            created_at=now,
            seconds=seconds,
            # Only what is shown as PAUSED is swept.
            expires_after=math.inf if traits.HUMAN_REVIEW in self._active else self._config.pause_expiry,
            attempt=attempt,
        )
        run.begin(now if begins is None else begins, order.text)
        self._runs[run.run_id] = run
        self._by_workflow[order.workflow_id, order.org].append(run)
        self._by_session[order.session_id].append(run)
        if attempt <= self._config.restarts:
            stalled_at = run.leg.started_at + self._config.restart_after
            self._at(stalled_at, lambda moment: self._restart(job, run, order, moment))

    def _restart(self, job: Job, run: Run, order: Order, now: float) -> None:
        """Put a job into the queue again whose run takes too long; the run itself goes on."""
        if run.status(now) != RUNNING or len(run.legs) > 1:
            return
        self.counts["restarts"] += 1
        job.taken_at = self._queue.turn(now)
        self._on_turn(
            job, lambda moment: self._start(job, order, run.seconds, moment, attempt=run.attempt + 1)
        )

    def _apply(self, job: Job, run_id: str, text: str, now: float) -> None:
        """Let a run go on, if it waits: otherwise it is left alone, and nobody is told."""
        run = job.run = self._runs.get(run_id)
        if run is None:
            job.error = f"WorkflowRun not found: {run_id}"
            return
        status = run.status(now)
        if status not in WAITING or (job.kind == CONTINUE and status != ROUTE):
            self.counts["answers_ignored"] += 1
            return
        following, given = run.leg.last + 1, text or run.text_at_pause(now)
        if job.kind == CONTINUE:
            target = dict(run.tasks[run.leg.last].choices).get(text)
            if target is None:
                job.error = f"choiceKey '{text}' is not a declared choice"
                return
            following, given = target, run.text_at_pause(now)
        self.counts["answers_applied"] += 1
        run.begin(now, given, following)

    def _draw(self, order: Order, about: tuple[object, ...]) -> tuple[Order, float]:
        """Return the order with what is drawn and said about its tasks, and how long each takes."""
        tasks, said = list(order.tasks), self.scripts.take(order.workflow_id)
        work = self._run_time.at(uniform("work", *about)) + said.delay
        if (place := _place(said.pauses_at, tasks)) is not None:
            tasks[place] = replace(tasks[place], waits=PAUSED)
        elif uniform("waits", *about) < self._workload.waiting_share:
            place = max(len(tasks) - 2, 0)
            tasks[place] = replace(tasks[place], waits=PAUSED)
        if (place := _place(said.fails_at, tasks)) is not None:
            tasks[place] = replace(tasks[place], error=said.error)
        elif traits.BUDGET_EXHAUSTED in self._active:
            tasks[0] = replace(tasks[0], error=_BUDGET)
        elif uniform("fails", *about) < self._workload.fail_share:
            place = int(uniform("task", *about) * len(tasks))
            tasks[place] = replace(tasks[place], error="the model gave no answer")
        return replace(order, tasks=tuple(tasks)), work / len(tasks)


def _place(said: int | None, tasks: list[Task]) -> int | None:
    """Return the index of a task that a script names from either end, as near as there is one."""
    if said is None:
        return None
    return max(min(said if said >= 0 else len(tasks) + said, len(tasks) - 1), 0)
