"""One job with a file by `opus-aaico`, in an environment that holds that client and nothing of ours.

Run as ``python aaico_job.py sync|async WORKFLOW_ID VARIABLE FILE``, with ``OPUS_API_KEY`` and
``OPUS_BASE_URL`` set; prints what the client read, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from opus_aaico import AsyncOpusClient, OpusClient
from opus_aaico.payloads import file_input

STEP = 0.05
"""Seconds between two looks at the status."""


def job(client: Any, workflow_id: str, variable: str, path: str) -> Generator[Any, Any, dict[str, Any]]:
    """Each call of the client, in order; what is sent back is its result, awaited where need be."""
    workflow = yield client.workflows.get(workflow_id)
    url = yield client.files.upload(path, workflow_id=workflow_id)
    seen: list[str] = []
    run = yield client.workflows.run(
        workflow_id, {variable: file_input(url)}, poll_interval=STEP, on_status_change=seen.append
    )
    detail = yield client.jobs.get(run.job_id)
    found = yield client.jobs.search(workflow_id=workflow_id, status=["COMPLETED"])
    download = yield client.files.download(url)
    return {
        "inputs": workflow.input_variables,
        "nodes": [node.id for node in workflow.nodes.values()],
        "edges": [(edge.from_node_id, edge.to_node_id) for edge in workflow.edges.values()],
        "ends": [workflow.starting_nodes_ids, workflow.ending_nodes_ids],
        "statuses": seen,
        "status": run.status,
        "job_id": run.job_id,
        "outputs": run.outputs,
        "executed_nodes": run.audit.executed_nodes,
        "input": detail["input"],
        "found": [item.job_execution_id for item in found.jobs],
        "download": [download.content_type, download.content_length],
    }


def in_turn(steps: Generator[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    result = None
    try:
        while True:
            result = steps.send(result)
    except StopIteration as end:
        return end.value


async def awaited(steps: Generator[Awaitable[Any], Any, dict[str, Any]]) -> dict[str, Any]:
    result = None
    try:
        while True:
            result = await steps.send(result)
    except StopIteration as end:
        return end.value


async def in_a_loop(*arguments: str) -> dict[str, Any]:
    async with AsyncOpusClient() as client:
        return await awaited(job(client, *arguments))


def at_once(*arguments: str) -> dict[str, Any]:
    with OpusClient() as client:
        return in_turn(job(client, *arguments))


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "sync": lambda: at_once(*arguments),
        "async": lambda: asyncio.run(in_a_loop(*arguments)),
    }
    sys.stdout.write(json.dumps(runs[kind]()))
