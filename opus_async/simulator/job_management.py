"""Managing jobs: detail, search, archive, duplicate, delete. Observed, not documented.

The fields of the answers are those that clients read; where no source says what the vendor does, the choice
is said at the place. A job can be archived, duplicated and deleted at any time, while it runs too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from opus_async.simulator import traits
from opus_async.simulator.answers import Answer, timestamp, to_json
from opus_async.simulator.audit import audit_at
from opus_async.simulator.operations import Call, Operation
from opus_async.simulator.runs import COMPLETED, FAILED
from opus_async.simulator.searching import SEARCH_FIELDS, read_search
from opus_async.simulator.seeded_random import identifier
from opus_async.simulator.service import Service

if TYPE_CHECKING:
    from opus_async.simulator.runs import Job
    from opus_async.simulator.world import SimulatorState

BUILDER = "OPUS_V2"
# What stands in the place of an id in other paths: it is no job, also where no endpoint takes it.
_NO_IDS = frozenset({"execute", "file", "initiate", "scheduled", "search", "search-light", "v2"})
_LIGHT_FIELDS = ("jobExecutionId", "title", "status", "state", "createdAt")
_SUCCESS = {"success": True}


class JobManagement:
    """The endpoints for managing jobs of the jobs API.

    Args:
        world: What the simulator knows.
    """

    def __init__(self, world: SimulatorState) -> None:
        self._world = world
        self._traits = world.config.traits
        self._service = Service(world, "v0")
        by_job = self._service.by_job
        self._searches = {
            "/job/search": Operation("search", self.search, lambda call: ("search", call.query)),
            "/job/search-light": Operation(
                "search_light", self.search_light, lambda call: ("search_light", call.query)
            ),
        }
        self._on_job = {
            ("GET",): Operation("detail", self.detail, by_job("detail")),
            ("POST", "archive"): Operation("archive", self.archive, by_job("archive")),
            ("DELETE", "archive"): Operation("unarchive", self.unarchive, by_job("unarchive")),
            ("GET", "duplicate"): Operation("duplicate", self.duplicate, by_job("duplicate")),
            ("DELETE", "delete"): Operation("delete", self.delete, by_job("delete")),
        }

    def find(self, method: str, path: str) -> tuple[Operation, str] | None:
        """Return the operation of a request and the id in its path, or None if there is no such endpoint."""
        if method == "GET" and path in self._searches:
            return self._searches[path], ""
        match path.split("/"):
            case ["", "job", job_id, *rest] if job_id and job_id not in _NO_IDS:
                operation = self._on_job.get((method, *rest))
                return (operation, unquote(job_id)) if operation else None
        return None

    def detail(self, call: Call) -> Answer:
        """GET /job/{id}."""
        service = self._service
        job, now = service.find_job(call.argument), self._world.clock()
        has_audit = traits.AUDIT_MISSING not in self._traits
        values = {
            "input": self._input(job, now),
            "output": service.outputs(job) if job.status(now) == COMPLETED else None,
            "audit": audit_at(job, now, self._traits, lambda: service.outputs(job)) if has_audit else None,
        }
        return to_json(self._entry(job, now) | values)

    def search(self, call: Call) -> Answer:
        """GET /job/search."""
        total, entries = self._found(call)
        return to_json({"totalCount": total, "jobs": entries})

    def search_light(self, call: Call) -> Answer:
        """GET /job/search-light: the same jobs, with fewer fields."""
        total, entries = self._found(call)
        light = [{name: entry[name] for name in _LIGHT_FIELDS if name in entry} for entry in entries]
        return to_json({"totalCount": total, "jobs": light})

    def archive(self, call: Call) -> Answer:
        """POST /job/{id}/archive."""
        self._service.find_job(call.argument).archived = True
        return to_json(_SUCCESS)

    def unarchive(self, call: Call) -> Answer:
        """DELETE /job/{id}/archive."""
        self._service.find_job(call.argument).archived = False
        return to_json(_SUCCESS)

    def duplicate(self, call: Call) -> Answer:
        """GET /job/{id}/duplicate: it makes a shell, although it is a GET.

        The shell has no inputs: no source says that the vendor copies them.
        """
        job = self._service.find_job(call.argument)
        title = f"{job.request.get('title') or ''} (copy)".strip()
        copy = self._service.open_job(job.workflow, {**job.request, "title": title})
        return to_json({"jobExecutionId": self._service.shown_id(copy)})

    def delete(self, call: Call) -> Answer:
        """DELETE /job/{id}/delete: the job and the files it generated are gone."""
        self._world.jobs.remove(self._service.find_job(call.argument))
        return to_json(_SUCCESS)

    def _found(self, call: Call) -> tuple[int, list[dict[str, Any]]]:
        """Return how many jobs a search finds, and the entries of those it shows, newest first."""
        given = parse_qs(call.query)
        search, problems = read_search(given, self._traits)
        self._service.refuse(problems, "search", given, SEARCH_FIELDS)
        now = self._world.clock()
        found = [job for job in self._world.jobs if job.generation == "v0" and search.finds(job, now)]
        # Jobs are kept in the order in which they were made.
        newest_first = found[::-1]
        shown = newest_first[search.offset : search.offset + search.max_results]
        return len(found), [self._entry(job, now) for job in shown]

    def _entry(self, job: Job, now: float) -> dict[str, Any]:
        shown_id, run = self._service.shown_id(job), job.run
        ended = run is not None and job.status(now) in (COMPLETED, FAILED)
        # Word and key are those of the status endpoint, whatever the traits.
        status = json.loads(self._service.status(job.job_id).body)
        return {
            "jobExecutionId": shown_id,
            "id": shown_id,
            "title": job.request.get("title"),
            "description": job.request.get("description"),
            **status,
            "createdAt": timestamp(job.created_at),
            "finishedAt": timestamp(run.wall(run.end)) if run and ended else None,
            "workflow": {"id": job.workflow.workflow_id, "name": job.workflow.name},
            "workspace": {"id": identifier("workspace")},
            "builderType": BUILDER,
            "archived": job.archived,
        }

    def _input(self, job: Job, now: float) -> dict[str, Any]:
        """Return what the latest accepted execute brought; empty for a shell and what looks like one."""
        looks_unstarted = traits.QUEUED_LOOKS_UNSTARTED in self._traits
        if job.run is None or (looks_unstarted and job.run.worked(now)[0] < 0):
            return {}
        known = job.workflow.by_name
        return {
            name: {"value": value, "type": known[name].type, "displayName": known[name].display_name}
            for name, value in job.inputs.items()
        }
