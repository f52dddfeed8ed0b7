"""The workflows that one simulator serves, and their details as they go over the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from opus_async.simulator.schemas import Shape, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opus_async.simulator.workflows import Workflow


class Catalogue:
    """Workflows, found by id or UUID.

    Args:
        workflows: The definitions; a later one replaces an earlier one with the same id.
    """

    def __init__(self, workflows: Iterable[Workflow]) -> None:
        self._by_id: dict[str, Workflow] = {}
        self._by_reference: dict[str, Workflow] = {}
        self._details: dict[tuple[str, int, Shape], bytes] = {}
        for workflow in workflows:
            self.add(workflow)

    def __iter__(self) -> Iterator[Workflow]:
        return iter(self._by_id.values())

    def add(self, workflow: Workflow) -> None:
        """Serve a workflow from now on; jobs of the one that it replaces keep theirs."""
        replaced = self._by_id.get(workflow.workflow_id)
        if replaced is not None:
            del self._by_reference[replaced.reference_entity_id]
            self._details.clear()
        self._by_id[workflow.workflow_id] = workflow
        self._by_reference[workflow.reference_entity_id] = workflow

    def find(self, workflow_id: str) -> Workflow | None:
        """Return the workflow with this id or UUID, or None."""
        return self._by_id.get(workflow_id) or self._by_reference.get(workflow_id)

    def find_reference(self, reference_entity_id: str) -> Workflow | None:
        """Return the workflow with this UUID, or None."""
        return self._by_reference.get(reference_entity_id)

    def details(self, workflow: Workflow, version: int, shape: Shape) -> bytes:
        """Return the JSON of the workflow details; serialised once."""
        key = (workflow.workflow_id, version, shape)
        if key not in self._details:
            self._details[key] = json.dumps(describe(workflow, version, shape)).encode()
        return self._details[key]
