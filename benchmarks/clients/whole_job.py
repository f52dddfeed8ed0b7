"""A whole job by a client that knows HTTP and nothing of jobs: the requests that ours sends, in their order.

A client is a class ``Client(url)`` in a module of this folder: an async context manager with ``call`` (JSON
in, JSON out) and ``put`` (a file to a presigned URL). It checks nothing: no schema, no digest, no retry, no
limit, no event.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from benchmarks.answers import DOCUMENT, INPUTS, TEXT
from benchmarks.documents import path_of
from benchmarks.harness.meter import Meter


class Calls(Protocol):
    """What a client can do."""

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the API, and return the JSON of its answer."""

    async def put(self, url: str, path: Path) -> None:
        """Send a file to a presigned URL."""


async def jobs(
    meter: Meter, count: int, *, client: str, url: str, folder: str, in_flight: int, warm: int
) -> None:
    """Run so many jobs, so many at once, after some to warm up.

    Args:
        meter: Measures them.
        count: Of jobs.
        client: The module of the client.
        url: Of the platform.
        folder: Of the documents, see :mod:`benchmarks.documents`; empty for text jobs.
        in_flight: Jobs at once.
        warm: Jobs before.
    """
    async with _client(client, url) as calls:

        async def job(number: int) -> None:
            await (document(calls, path_of(folder, number)) if folder else text(calls))

        await _run(client, job, warm, in_flight)
        with meter.against(url):
            await _run(client, job, count, in_flight)


async def statuses(meter: Meter, count: int, *, client: str, url: str, in_flight: int) -> None:
    """Read so many statuses, so many at once."""
    async with _client(client, url) as calls:

        async def status(number: int) -> None:
            await calls.call("GET", f"/job/{number}/status")

        await _run(client, status, in_flight, in_flight)
        with meter.against(url):
            await _run(client, status, count, in_flight)


async def text(calls: Calls) -> None:
    """Run a text job."""
    await _job(calls, TEXT, "a text of some words")


async def document(calls: Calls, path: Path) -> None:
    """Run a document job."""
    fields = {"fileExtension": ".txt", "accessScope": "organization"}
    place = await calls.call("POST", "/job/file/upload", fields)
    await calls.put(place["presignedUrl"], path)
    await _job(calls, DOCUMENT, place["fileUrl"])


def shell(workflow_id: str) -> dict[str, object]:
    """The body of the request that makes a job."""
    return {"workflowId": workflow_id, "title": "a job", "description": "of a benchmark"}


def order(workflow_id: str, job_id: str, value: str) -> dict[str, object]:
    """The body of the request that starts a job."""
    variable, name, kind = INPUTS[workflow_id]
    inputs = {variable: {"value": value, "type": kind, "displayName": name}}
    return {"jobExecutionId": job_id, "jobPayloadSchemaInstance": inputs}


async def _job(calls: Calls, workflow_id: str, value: str) -> None:
    job_id = (await calls.call("POST", "/job/initiate", shell(workflow_id)))["jobExecutionId"]
    await calls.call("POST", "/job/execute", order(workflow_id, job_id, value))
    status = await calls.call("GET", f"/job/{job_id}/status")
    assert status["status"] == "COMPLETED"  # the jobs take no time
    assert (await calls.call("GET", f"/job/{job_id}/results"))["jobResultsPayloadSchema"]


def _client(name: str, url: str) -> AbstractAsyncContextManager[Calls]:
    client: AbstractAsyncContextManager[Calls] = importlib.import_module(f"benchmarks.clients.{name}").Client(
        url
    )
    return client


async def _run(client: str, job: Callable[[int], Awaitable[None]], count: int, in_flight: int) -> None:
    await (all_at_once if client == "naive" else by_workers)(job, count, in_flight)


async def by_workers(job: Callable[[int], Awaitable[object]], count: int, in_flight: int) -> None:
    """Run jobs 0 to ``count`` by as many workers as may be in flight."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await job(number)

    async with asyncio.TaskGroup() as group:
        for _ in itertools.repeat(None, min(in_flight, count)):
            group.create_task(worker())


async def all_at_once(job: Callable[[int], Awaitable[None]], count: int, in_flight: int) -> None:
    """Run jobs 0 to ``count`` as most programs do: a task for each, and a semaphore."""
    slots = asyncio.Semaphore(in_flight)

    async def one(number: int) -> None:
        async with slots:
            await job(number)

    await asyncio.gather(*(one(number) for number in range(count)))
