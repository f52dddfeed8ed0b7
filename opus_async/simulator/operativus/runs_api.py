"""The endpoints of runs: order, list, answer a pause, cancel, and what their steps gave."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opus_async.simulator.operativus import graph, traits
from opus_async.simulator.operativus.book import Order
from opus_async.simulator.operativus.jobs import CONTINUE, RESUME
from opus_async.simulator.operativus.old_runs import old_rows
from opus_async.simulator.operativus.operations import Call, Operation
from opus_async.simulator.operativus.paging import page_of, strict
from opus_async.simulator.operativus.plans import ROUTE, task_of
from opus_async.simulator.operativus.problems import (
    Missing,
    budget_exhausted,
    invalid,
    malformed,
    rule_broken,
)
from opus_async.simulator.operativus.shapes import node_run_json, run_json, status_word
from opus_async.simulator.operativus.workflows_api import BASE, no_content, to_json

if TYPE_CHECKING:
    from opus_async.simulator.answers import Answer
    from opus_async.simulator.operativus.definitions import Definition
    from opus_async.simulator.operativus.plans import Task
    from opus_async.simulator.operativus.runs import Run
    from opus_async.simulator.operativus.world import OperativusState


class RunsApi:
    """The endpoints of runs.

    Args:
        world: What the server knows.
    """

    def __init__(self, world: OperativusState) -> None:
        self._world = world
        self._active = world.config.active
        self._accepted = HTTPStatus.OK if traits.RUN_200 in self._active else HTTPStatus.ACCEPTED

    def operations(self) -> list[Operation]:
        """Return every operation."""
        run = f"{BASE}/runs/{{}}"
        return [
            Operation("run", "POST", f"{BASE}/{{}}/run", self.run, identity=_session, reads=True),
            Operation("runs", "GET", f"{BASE}/{{}}/runs", self.list_runs),
            Operation("resume", "POST", f"{run}/resume", self.resume, reads=True),
            Operation("continue", "POST", f"{run}/continue", self.go_on, reads=True),
            Operation("route_options", "GET", f"{run}/route-options", self.route_options),
            Operation("cancel", "DELETE", run, self.cancel),
            Operation("node_runs", "GET", f"{run}/node-runs", self.node_runs),
            Operation("child_node_runs", "GET", f"{run}/child-node-runs", self.child_node_runs),
        ]

    def run(self, call: Call) -> Answer:
        """POST /{id}/run: puts a job into the queue; the answer names no run."""
        world, text, session_id = self._world, _said(call, "input"), _said(call, "sessionId")
        workflow = world.definitions.find(call.arguments[0], call.org)
        if workflow is None:
            raise Missing
        if not workflow.steps:
            raise rule_broken("Workflow has no steps to execute. Add at least one step before running.")
        if traits.RUN_402 in self._active:
            raise budget_exhausted()
        if session_id and traits.SESSION_MUST_EXIST in self._active and session_id not in world.book.starts:
            raise Missing
        session_id = session_id or world.book.new_id("session")
        order = Order(
            workflow.workflow_id, call.org, session_id, text, self._tasks(workflow), bool(workflow.edges)
        )
        job = world.book.order(order, call.now)
        told = {"jobId": job.job_id, "workflowId": workflow.workflow_id, "sessionId": session_id}
        return to_json(told, self._accepted)

    def list_runs(self, call: Call) -> Answer:
        """GET /{workflowId}/runs: newest first; an empty page for a workflow that does not exist."""
        page, size = strict(call.query)
        world, workflow_id = self._world, call.arguments[0]
        rows = world.book.of_workflow(workflow_id, call.org)
        if page and rows and traits.ROWS_SHIFT in self._active:
            world.book.intrude(workflow_id, call.org, call.now)
        # A run is kept longer than its workflow; old ones that were never made are gone with it.
        workflow = world.definitions.find(workflow_id, call.org)
        old = 0 if workflow is None else world.config.old_runs
        first = page * size
        shown: list[dict[str, Any]] = [
            run_json(rows[-1 - index], call.now, self._active)
            for index in range(first, min(first + size, len(rows)))
        ]
        if workflow is not None and len(shown) < size:
            start = max(first - len(rows), 0)
            places = range(start, min(start + size - len(shown), old))
            shown += old_rows(workflow, places, world.workload.seed, self._active)
        world.listing["pages"] += 1
        world.listing["first_pages"] += not page
        world.listing["rows"] += len(shown)
        world.listing["deepest"] = max(world.listing["deepest"], page)
        return to_json(page_of(shown, page, size, len(rows) + old, self._active))

    def resume(self, call: Call) -> Answer:
        """POST /runs/{runId}/resume: accepted for a run that is unknown or not paused, too."""
        return self._answer_pause(call, RESUME, _said(call, "output"))

    def go_on(self, call: Call) -> Answer:
        """POST /runs/{runId}/continue."""
        choice = _said(call, "choiceKey")
        if not choice.strip():
            raise invalid("choiceKey", "must not be blank")
        return self._answer_pause(call, CONTINUE, choice)

    def route_options(self, call: Call) -> Answer:
        """GET /runs/{runId}/route-options."""
        run = self._find(call)
        awaited = run.status(call.now) == ROUTE
        task = run.tasks[run.current(call.now)]
        return to_json(
            {
                "runId": run.run_id,
                "status": status_word(run, call.now, self._active),
                "awaitingRouteSelection": awaited,
                "choiceKeys": [key for key, _ in task.choices] if awaited else [],
                "defaultChoice": task.default_choice if awaited else None,
            }
        )

    def cancel(self, call: Call) -> Answer:
        """DELETE /runs/{runId}: 204 for a run that is over, too."""
        self._find(call).cancel(call.now)
        return no_content()

    def node_runs(self, call: Call) -> Answer:
        """GET /runs/{runId}/node-runs: empty for a workflow without edges."""
        if traits.NODE_RUNS_MISSING in self._active:
            raise Missing
        run = self._find(call)
        shown = run.graph or traits.NODE_RUNS_ALWAYS in self._active
        steps = [step for step in run.steps(call.now) if step.ended_at is not None] if shown else []
        return to_json([node_run_json(run, step) for step in steps])

    def child_node_runs(self, call: Call) -> Answer:
        """GET /runs/{runId}/child-node-runs: nothing, as workflows inside of workflows do not run here."""
        self._find(call)
        return to_json([])

    def _answer_pause(self, call: Call, kind: str, text: str) -> Answer:
        run_id = call.arguments[0]
        run = self._world.book.find(run_id)
        if run is not None and run.org != call.org:
            raise Missing
        job = self._world.book.answer(kind, run_id, text, call.now)
        return to_json({"jobId": job.job_id, "runId": run_id}, self._accepted)

    def _find(self, call: Call) -> Run:
        run = self._world.book.find(call.arguments[0])
        if run is None or run.org != call.org:
            raise Missing
        return run

    def _tasks(self, workflow: Definition) -> tuple[Task, ...]:
        steps = graph.ordered(workflow)
        places = {step.step_id: index for index, (step, _) in enumerate(steps)}
        routers = traits.ROUTERS_ON in self._active
        return tuple(
            replace(
                task_of(step, routers=routers, places=places), sources=tuple(places[each] for each in before)
            )
            for step, before in steps
        )


def _session(call: Call) -> str:
    """Return whose call it is for the faults: by the input, as sessions are made anew each time."""
    return str(call.body.get("input") or call.body.get("sessionId") or "")


def _said(call: Call, name: str) -> str:
    value = call.body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed()
    return value
