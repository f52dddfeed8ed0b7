"""The endpoints of definitions: workflows, steps, edges."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opus_async.simulator.answers import Answer
from opus_async.simulator.operativus import graph, traits
from opus_async.simulator.operativus.agents import AGENT_KINDS, kind_of
from opus_async.simulator.operativus.definitions import Definition, Edge, Step, settings_of
from opus_async.simulator.operativus.operations import Call, Operation
from opus_async.simulator.operativus.paging import lenient, page_of, sorting
from opus_async.simulator.operativus.problems import (
    Missing,
    conflict,
    invalid,
    malformed,
    rule_broken,
)
from opus_async.simulator.operativus.shapes import edge_json, step_json, workflow_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opus_async.simulator.operativus.world import OperativusState

BASE = "/api/v1/workflows"
_SORTED_BY = {
    "id": lambda workflow: workflow.workflow_id,
    "name": lambda workflow: workflow.name,
    "description": lambda workflow: workflow.description or "",
    "createdAt": lambda workflow: workflow.created_at,
    "updatedAt": lambda workflow: workflow.updated_at,
}


def to_json(value: object, status: int = HTTPStatus.OK) -> Answer:
    """Return `value` as an answer."""
    return Answer(status, json.dumps(value).encode(), "application/json")


def no_content() -> Answer:
    """Return a 204."""
    return Answer(HTTPStatus.NO_CONTENT, b"", content_type="")


class WorkflowsApi:
    """The endpoints of definitions.

    Args:
        world: What the server knows.
    """

    def __init__(self, world: OperativusState) -> None:
        self._world = world
        self._active = world.config.active
        self._agents = world.config.known_agents

    def operations(self) -> list[Operation]:
        """Return every operation."""
        one, steps, edges = f"{BASE}/{{}}", f"{BASE}/{{}}/steps", f"{BASE}/{{}}/edges"

        def changes(name: str, method: str, pattern: str, handle: Any, *, reads: bool = True) -> Operation:
            return Operation(name, method, pattern, handle, identity=_subject, admin=True, reads=reads)

        return [
            Operation("workflows", "GET", BASE, self.list_all),
            changes("create", "POST", BASE, self.create),
            Operation("workflow_read", "GET", one, self.get),
            changes("update", "PATCH", one, self.update),
            changes("delete", "DELETE", one, self.delete, reads=False),
            Operation("steps", "GET", steps, self.list_steps),
            changes("add_step", "POST", steps, self.add_step),
            changes("update_step", "PATCH", f"{steps}/{{}}", self.update_step),
            changes("remove_step", "DELETE", f"{steps}/{{}}", self.remove_step, reads=False),
            changes("clone", "POST", f"{one}/clone", self.clone, reads=False),
            Operation("edges", "GET", edges, self.list_edges),
            changes("add_edge", "POST", edges, self.add_edge),
            changes("update_edge", "PATCH", f"{edges}/{{}}", self.update_edge),
            changes("remove_edge", "DELETE", f"{edges}/{{}}", self.remove_edge, reads=False),
            Operation("validate", "GET", f"{one}/validate", self.validate),
            Operation("graph", "GET", f"{one}/graph", self.graph),
        ]

    def find(self, call: Call) -> Definition:
        """Return the workflow that a call names, if it is one of the caller's.

        Raises:
            Missing: It is not.
        """
        workflow = self._world.definitions.find(call.arguments[0], call.org)
        if workflow is None:
            raise Missing
        return workflow

    def list_all(self, call: Call) -> Answer:
        """GET on the base path."""
        page, size = lenient(call.query)
        order = sorting(call.query, tuple(_SORTED_BY))
        rows = self._world.definitions.of(call.org)
        if order is not None:
            rows.sort(key=_SORTED_BY[order[0]], reverse=order[1])
        shown = [workflow_json(each, self._active) for each in rows[page * size : (page + 1) * size]]
        return to_json(page_of(shown, page, size, len(rows), self._active))

    def create(self, call: Call) -> Answer:
        """POST on the base path: with an id of one's own it may be sent again."""
        body, world = call.body, self._world
        name, description = _text(body, "name"), _text(body, "description")
        if name is None:
            raise conflict("name", "workflows")
        workflow_id = self._given_id(body) or world.book.new_id("wf")
        if world.definitions.is_taken(workflow_id, call.org):
            raise conflict("id", "workflows")
        earlier = world.definitions.find(workflow_id, call.org)
        if earlier is None:
            workflow = Definition(workflow_id, call.org, name, description, call.now, call.now)
            if traits.STEPS_STORED in self._active:
                for order, step in enumerate(body.get("steps") or (), start=1):
                    workflow.put(self._new_step(workflow, {"stepOrder": order, **step}, call.now))
            world.definitions.add(workflow)
        else:
            workflow = earlier
            workflow.name, workflow.description, workflow.updated_at = name, description, call.now
        return to_json(workflow_json(workflow, self._active, fresh=True), HTTPStatus.CREATED)

    def get(self, call: Call) -> Answer:
        """GET /{id}."""
        return to_json(workflow_json(self.find(call), self._active))

    def update(self, call: Call) -> Answer:
        """PATCH /{id}: null is no value."""
        workflow = self.find(call)
        name, description = _text(call.body, "name"), _text(call.body, "description")
        workflow.name = workflow.name if name is None else name
        workflow.description = workflow.description if description is None else description
        workflow.updated_at = call.now
        return to_json(workflow_json(workflow, self._active, fresh=True))

    def delete(self, call: Call) -> Answer:
        """DELETE /{id}: 204 whatever there was."""
        workflow = self._world.definitions.find(call.arguments[0], call.org)
        if workflow is not None:
            self._world.definitions.remove(workflow)
        return no_content()

    def clone(self, call: Call) -> Answer:
        """POST /{id}/clone: of its steps order, agent and action only, and no edges."""
        source, book = self.find(call), self._world.book
        copy = Definition(
            book.new_id("wf"), call.org, f"{source.name} (Copy)", source.description, call.now, call.now
        )
        for step in source.steps:
            copy.put(
                Step(
                    book.new_id("step"),
                    copy.workflow_id,
                    step.order,
                    step.agent_id,
                    step.action,
                    settings_of({}),
                    call.now,
                    call.now,
                )
            )
        self._world.definitions.add(copy)
        return to_json(workflow_json(copy, self._active, fresh=True), HTTPStatus.CREATED)

    def list_steps(self, call: Call) -> Answer:
        """GET /{id}/steps: nothing for a workflow that does not exist."""
        workflow = self._world.definitions.find(call.arguments[0], call.org)
        steps = [] if workflow is None else workflow.steps
        return to_json([step_json(step, self._active) for step in steps])

    def add_step(self, call: Call) -> Answer:
        """POST /{id}/steps: any bad argument is a 404 without a body."""
        workflow = self.find(call)
        step = self._new_step(workflow, call.body, call.now)
        workflow.put(step)
        return to_json(step_json(step, self._active, fresh=True), HTTPStatus.CREATED)

    def update_step(self, call: Call) -> Answer:
        """PATCH /{id}/steps/{stepId}: what is absent becomes null, but for the order; action stays."""
        workflow, body = self.find(call), call.body
        step = workflow.step(call.arguments[1])
        if step is None:
            raise Missing
        agent_id, order = _text(body, "agentId"), _whole(body, "stepOrder")
        self._check_step(workflow, step.action, agent_id, body)
        step.agent_id, step.settings, step.updated_at = agent_id, settings_of(body), call.now
        step.order = step.order if order is None else order
        workflow.sort()
        return to_json(step_json(step, self._active, fresh=True))

    def remove_step(self, call: Call) -> Answer:
        """DELETE /{id}/steps/{stepId}: the workflow in the path does not matter."""
        if found := self._world.definitions.step(call.arguments[1], call.org):
            workflow, step = found
            workflow.remove(step.step_id)
        return no_content()

    def list_edges(self, call: Call) -> Answer:
        """GET /{id}/edges."""
        return to_json([edge_json(edge) for edge in self.find(call).edges])

    def add_edge(self, call: Call) -> Answer:
        """POST /{id}/edges."""
        workflow, body = self.find(call), call.body
        ends = {name: _text(body, name) or "" for name in ("fromStepId", "toStepId")}
        for name, step_id in ends.items():
            if not step_id.strip():
                raise invalid(name, "must not be blank")
        if ends["fromStepId"] == ends["toStepId"]:
            raise rule_broken("An edge cannot connect a step to itself.")
        if not all(workflow.step(step_id) for step_id in ends.values()):
            raise rule_broken("Both fromStepId and toStepId must be steps of this workflow.")
        edge = Edge(
            self._world.book.new_id("edge"), ends["fromStepId"], ends["toStepId"], _text(body, "condition")
        )
        _refuse_twin(workflow, edge)
        workflow.edges.append(edge)
        if graph.has_cycle(workflow):
            workflow.edges.remove(edge)
            raise rule_broken("Workflow graph contains a cycle.")
        return to_json(edge_json(edge), HTTPStatus.CREATED)

    def update_edge(self, call: Call) -> Answer:
        """PATCH /{id}/edges/{edgeId}: its label."""
        workflow = self.find(call)
        edge = next((each for each in workflow.edges if each.edge_id == call.arguments[1]), None)
        if edge is None:
            raise Missing
        label = _text(call.body, "condition")
        _refuse_twin(workflow, Edge(edge.edge_id, edge.from_step, edge.to_step, label))
        edge.condition = label
        return to_json(edge_json(edge))

    def remove_edge(self, call: Call) -> Answer:
        """DELETE /{id}/edges/{edgeId}."""
        workflow = self.find(call)
        workflow.edges = [edge for edge in workflow.edges if edge.edge_id != call.arguments[1]]
        return no_content()

    def validate(self, call: Call) -> Answer:
        """GET /{id}/validate."""
        return to_json(graph.report(self.find(call)))

    def graph(self, call: Call) -> Answer:
        """GET /{id}/graph."""
        workflow = self.find(call)
        steps = [step_json(step, self._active) for step in workflow.steps]
        return to_json({"steps": steps, "edges": [edge_json(edge) for edge in workflow.edges]})

    def _new_step(self, workflow: Definition, body: Mapping[str, Any], now: float) -> Step:
        agent_id, action, order = _text(body, "agentId"), _text(body, "action"), _whole(body, "stepOrder")
        self._check_step(workflow, action, agent_id, body)
        if order is None:
            raise conflict("step_order", "workflow_steps")
        if order < 1 and traits.ORDER_FROM_ONE in self._active:
            raise invalid("stepOrder", "must be greater than or equal to 1")
        step_id = self._given_id(body) or self._world.book.new_id("step")
        return Step(step_id, workflow.workflow_id, order, agent_id, action, settings_of(body), now, now)

    def _check_step(
        self, workflow: Definition, action: str | None, agent_id: str | None, body: Mapping[str, Any]
    ) -> None:
        """Refuse what the kind of a step does not take.

        Raises:
            Missing: Whatever is wrong with it.
        """
        kind = kind_of(action)
        if agent_id is not None:
            if kind in AGENT_KINDS and agent_id not in self._agents:
                raise Missing
            if kind == "WORKFLOW" and self._world.definitions.find(agent_id, workflow.org) is None:
                raise Missing
        config, policy, otherwise = (body.get(name) for name in ("routerConfig", "onReject", "elseStepId"))
        if (kind == "ROUTER") != (config is not None) or (kind == "ROUTER" and not _is_router_config(config)):
            raise Missing
        confirms = body.get("requiresConfirmation") is True
        if kind != "CONDITION" and (policy is not None or confirms):
            raise Missing
        if policy not in (None, "SKIP", "CANCEL", "ELSE_BRANCH") or (confirms and policy == "CANCEL"):
            raise Missing
        if (policy == "ELSE_BRANCH") != (otherwise is not None):
            raise Missing
        if otherwise is not None and workflow.step(str(otherwise)) is None:
            raise Missing

    def _given_id(self, body: Mapping[str, Any]) -> str | None:
        return None if traits.BODY_ID_IGNORED in self._active else _text(body, "id")


def _subject(call: Call) -> str:
    """Return whose call it is for the faults: what it makes or changes, however often it is sent."""
    made = call.body.get("id") or call.body.get("name") or call.body.get("stepOrder") or ""
    return "/".join((*call.arguments, str(made)))


def _refuse_twin(workflow: Definition, edge: Edge) -> None:
    twins = (each for each in workflow.edges if each.edge_id != edge.edge_id)
    if any(
        (e.from_step, e.to_step, e.condition) == (edge.from_step, edge.to_step, edge.condition) for e in twins
    ):
        raise rule_broken("An identical edge already exists.")


def _is_router_config(config: object) -> bool:
    return (
        isinstance(config, dict)
        and config.get("selectorType") in ("RULE", "LLM", "HITL")
        and isinstance(config.get("choices"), dict)
        and bool(config["choices"])
    )


def _text(body: Mapping[str, Any], name: str) -> str | None:
    """Return a text, or None; numbers and booleans become texts, as the server's reader makes them."""
    match body.get(name):
        case None:
            return None
        case str() as text:
            return text
        case bool() as flag:
            return str(flag).lower()
        case int() | float() as number:
            return str(number)
    raise malformed()


def _whole(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    try:
        return int(value)
    except (TypeError, ValueError):
        raise malformed() from None
