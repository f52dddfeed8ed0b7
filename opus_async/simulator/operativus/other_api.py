"""The endpoints besides workflows: login, agents, the runs of a session, jobs."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from opus_async.simulator.operativus import traits
from opus_async.simulator.operativus.jobs import STATUSES
from opus_async.simulator.operativus.operations import Call, Operation
from opus_async.simulator.operativus.paging import lenient, page_of
from opus_async.simulator.operativus.problems import Missing, Problem
from opus_async.simulator.operativus.shapes import agent_run_json
from opus_async.simulator.operativus.times import local
from opus_async.simulator.operativus.workflows_api import to_json

if TYPE_CHECKING:
    from opus_async.simulator.answers import Answer
    from opus_async.simulator.operativus.jobs import Job
    from opus_async.simulator.operativus.world import OperativusState

LOGIN_PATH = "/api/auth/login"
_JOBS = "/api/v1/observability/background-jobs"


class OtherApi:
    """The endpoints besides workflows.

    Args:
        world: What the server knows.
    """

    def __init__(self, world: OperativusState) -> None:
        self._world = world
        self._active = world.config.active

    def operations(self) -> list[Operation]:
        """Return every operation."""
        return [
            Operation("login", "POST", LOGIN_PATH, self.login, identity=_username, reads=True),
            Operation("session_runs", "GET", "/api/sessions/{}/runs", self.session_runs, admin=True),
            Operation("agents", "GET", "/api/agents", self.list_agents),
            Operation("job", "GET", "/api/jobs/{}", self.job),
            Operation("jobs", "GET", _JOBS, self.list_jobs, admin=True),
            Operation("job_summary", "GET", f"{_JOBS}/status-summary", self.summary, admin=True),
        ]

    def login(self, call: Call) -> Answer:
        """POST /api/auth/login."""
        tokens = self._world.tokens
        account = tokens.accounts.get(_username(call))
        if account is None or call.body.get("password") != account.password:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "unauthorized",
                "Unauthorized Access",
                "Invalid username or password.",
            )
        return to_json(
            {
                "token": tokens.issue(account, call.now),
                "type": "Bearer",
                "id": account.user_id,
                "username": account.username,
                "email": f"{account.username}@{account.org}.example",
                "roles": list(account.roles),
            }
        )

    def list_agents(self, _call: Call) -> Answer:
        """GET /api/agents."""
        return to_json(
            [
                {"agentId": agent, "name": agent, "description": None, "model": "simulated", "active": True}
                for agent in self._world.config.known_agents
            ]
        )

    def session_runs(self, call: Call) -> Answer:
        """GET /api/sessions/{sessionId}/runs: each call of an agent with its texts."""
        if traits.SESSION_RUNS_MISSING in self._active:
            raise Missing
        shown = [
            agent_run_json(run, step, self._active)
            for run in self._world.book.of_session(call.arguments[0], call.org)
            for step in run.steps(call.now)
            if run.tasks[step.index].calls
        ]
        return to_json(shown[::-1] if traits.SESSION_RUNS_NEWEST_FIRST in self._active else shown)

    def job(self, call: Call) -> Answer:
        """GET /api/jobs/{jobId}: it looks for jobs of agents, so a workflow's job is never found."""
        if traits.JOBS_ANSWER not in self._active:
            raise Missing
        for job in reversed(self._world.book.jobs):
            if job.job_id == call.arguments[0]:
                return to_json({"jobId": job.job_id, "status": job.status(call.now), "jobType": job.kind})
        raise Missing

    def list_jobs(self, call: Call) -> Answer:
        """GET /api/v1/observability/background-jobs: of all organizations, newest first."""
        page, size = lenient(call.query)
        asked = parse_qs(call.query).get("status", [""])[0]
        jobs = [job for job in reversed(self._world.book.jobs) if asked in ("", job.status(call.now))]
        shown = [self._shown(job, call.now) for job in jobs[page * size : (page + 1) * size]]
        return to_json(page_of(shown, page, size, len(jobs), self._active))

    def summary(self, call: Call) -> Answer:
        """GET /api/v1/observability/background-jobs/status-summary."""
        told = dict.fromkeys(STATUSES, 0)
        for job in self._world.book.jobs:
            told[job.status(call.now)] += 1
        return to_json(told)

    def _shown(self, job: Job, now: float) -> dict[str, Any]:
        taken = now >= job.taken_at
        return {
            "id": job.job_id,
            "agentId": None,
            "jobType": job.kind,
            "status": job.status(now),
            "retryCount": 0,
            "maxRetries": 3,
            "errorMessage": job.error if taken and job.error else None,
            "priority": "NORMAL",
            "nextRetryAt": None,
            "createdAt": local(job.created_at, self._active),
            "startedAt": local(job.taken_at, self._active) if taken else None,
            "completedAt": None,
            "lockedAt": local(job.taken_at, self._active) if taken else None,
        }


def _username(call: Call) -> str:
    return str(call.body.get("username") or "")
