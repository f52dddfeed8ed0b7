"""The reference paths: a workflow as the V2 graph, whatever the other paths answer. Observed, not documented.

They take the UUID of a workflow only, and stand under no generation's prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from opus_async.simulator import traits
from opus_async.simulator.answers import Answer, Refusal, to_json
from opus_async.simulator.operations import Call, Operation, by_argument
from opus_async.simulator.schemas import Shape, describe_variables
from opus_async.simulator.service import BAD_REQUEST, NOT_FOUND, OK, asked_version
from opus_async.simulator.workflows import is_uuid

if TYPE_CHECKING:
    from opus_async.simulator.workflows import Workflow
    from opus_async.simulator.world import SimulatorState

_PREFIX = "/reference-workflow/v2/workflow-object/"


class ReferenceApi:
    """The endpoints that describe a workflow by its UUID.

    Args:
        world: What the simulator knows.
    """

    def __init__(self, world: SimulatorState) -> None:
        self._world = world
        # What the V2 graph is written like; the spelling and the wrappers are matters of the other paths.
        kept = world.config.traits & {traits.SCHEMA_OUTPUT_SIDE, traits.SCHEMA_NODES_LIST}
        self._shape = Shape.of(kept, "snake")
        # A fault profile treats them as what they stand in for.
        identify = by_argument("workflow")
        self._whole = Operation("workflow_object", self.workflow_object, identify)
        self._variables = Operation("variables_schema", self.variables_schema, identify)

    def find(self, method: str, path: str) -> tuple[Operation, str] | None:
        """Return the operation of a request and the id in its path, or None if there is no such endpoint."""
        if method != "GET" or not path.startswith(_PREFIX):
            return None
        match path.removeprefix(_PREFIX).split("/"):
            case [reference] if reference:
                return self._whole, unquote(reference)
            case [reference, "variables-schema"] if reference:
                return self._variables, unquote(reference)
        return None

    def workflow_object(self, call: Call) -> Answer:
        """GET /reference-workflow/v2/workflow-object/{uuid}."""
        workflow = self._find_workflow(call.argument)
        version = asked_version(workflow, call)
        return Answer(OK, self._world.workflows.details(workflow, version, self._shape))

    def variables_schema(self, call: Call) -> Answer:
        """GET /reference-workflow/v2/workflow-object/{uuid}/variables-schema."""
        workflow = self._find_workflow(call.argument)
        return to_json(describe_variables(workflow, asked_version(workflow, call)))

    def _find_workflow(self, reference: str) -> Workflow:
        if not is_uuid(reference):
            raise Refusal(BAD_REQUEST, ["id must be a UUID"])
        workflow = self._world.workflows.find_reference(reference)
        if workflow is None:
            raise Refusal(NOT_FOUND, "Workflow not found")
        return workflow
