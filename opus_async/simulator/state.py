"""GET /_simulator/state: what each job received and how often it was executed.

For tests that look behind the API. `?jobs=0` leaves the jobs and uploads out, `?jobs=compact` gives one
short list per job (id, executions, status), and `?job=ID` shows one job only. It needs no key: the simulator
listens on loopback only.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from opus_async.simulator.answers import Answer, timestamp, to_json
from opus_async.simulator.callbacks import origin
from opus_async.simulator.generated_files import files_of
from opus_async.simulator.runs import COMPLETED

if TYPE_CHECKING:
    from opus_async.simulator.runs import Job
    from opus_async.simulator.world import SimulatorState


def state_answer(world: SimulatorState, query: str) -> Answer:
    """Answer a request for the state."""
    asked = parse_qs(query)
    if "job" in asked:
        job = world.jobs.find(asked["job"][-1])
        return to_json(job_state(world, job) if job else None, 200 if job else 404)
    return to_json(snapshot(world, jobs=asked.get("jobs", ["1"])[-1]))


def snapshot(world: SimulatorState, *, jobs: str = "1") -> dict[str, Any]:
    """Return the state as JSON values.

    Args:
        world: What the simulator knows.
        jobs: `1` for everything, `compact` for a short list per job, `0` for no jobs and uploads.
    """
    config = world.config
    state: dict[str, Any] = {
        "simulator": {
            "faults": config.faults,
            "seed": config.seed,
            "traits": sorted(config.traits),
            "workflows": [workflow.workflow_id for workflow in world.workflows],
            "started_at": timestamp(world.started_at),
        },
        "counters": _counters(world),
        "leaks": list(world.leaks),
        "strange_fields": dict(world.strange_fields),
    }
    now = world.clock()
    if jobs == "compact":
        state["jobs"] = [[job.job_id, job.executions, job.status(now)] for job in world.jobs]
    elif jobs != "0":
        state["jobs"] = {job.job_id: job_state(world, job) for job in world.jobs}
        state["uploads"] = {upload.file_url: upload.to_state() for upload in world.uploads}
    return state


def job_state(world: SimulatorState, job: Job) -> dict[str, Any]:
    """Return what the state tells about one job."""
    files = {}
    for url in _file_urls(job):
        upload = world.uploads.behind(url)
        if upload is not None and upload.facts is not None:
            files[url] = upload.facts.known()
    return {
        "generation": job.generation,
        "workflow_id": job.workflow.workflow_id,
        "title": job.request.get("title"),
        "description": job.request.get("description"),
        "request": dict(job.request),
        "created_at": timestamp(job.created_at),
        "status": job.status(world.clock()),
        "executions": job.executions,
        "execute_requests": job.execute_requests,
        "accepted_at": timestamp(job.run.accepted_at) if job.run else None,
        # The path is a secret of the receiver.
        "callback_url": None if job.callback_url is None else origin(job.callback_url),
        "result_reads": job.result_reads,
        "inputs": dict(job.inputs),
        "inputs_without_display_name": job.unnamed_inputs,
        "files": files,
        "output_files": _output_files(world, job),
    }


def _counters(world: SimulatorState) -> dict[str, Any]:
    jobs = list(world.jobs)
    stored = [upload.facts for upload in world.uploads if upload.facts is not None]
    return {
        "requests": dict(world.requests),
        "answers": {str(status): number for status, number in sorted(world.answers.items())},
        "faults": dict(world.injected),
        "callbacks": {
            **dict.fromkeys(("sent", "delivered", "failed", "skipped", "forged"), 0),
            **world.callbacks,
            "answers": {str(status): number for status, number in sorted(world.callback_answers.items())},
        },
        "rate_limited": world.answers[429],
        "jobs": len(jobs),
        "executed_jobs": sum(job.executions > 0 for job in jobs),
        "executions": sum(job.executions for job in jobs),
        "executed_twice": [job.job_id for job in jobs if job.executions > 1],
        "uploads": len(world.uploads),
        "stored_files": len(stored),
        "stored_bytes": sum(facts.size for facts in stored),
    }


def _output_files(world: SimulatorState, job: Job) -> dict[str, str]:
    """Return the file URL and the SHA-256 of each file that a job generated."""
    if job.status(world.clock()) != COMPLETED:
        return {}
    return {file.file_url: sha256(file.content(world.uploads.behind)).hexdigest() for file in files_of(job)}


def _file_urls(job: Job) -> list[str]:
    urls: list[str] = []
    for name, value in job.inputs.items():
        if job.workflow.by_name[name].holds_files:
            urls += value if isinstance(value, list) else [value]
    return urls
