"""Measure the CPU time of a job against bare aiohttp that sends the same requests.

python benchmarks/job_cost.py [--jobs 1000] [--rounds 5]

Both sides do what a job needs on the embedded simulator, which runs as a process of its own: presign, PUT of
10 kB, initiate, execute, one status, results; 64 jobs in flight. The sides take turns in one run, and the
ratio is computed for each round: absolute figures change with the machine, the ratio hardly.

Bare aiohttp checks nothing: no schema, no digest, no retry, no limit, no event; it is the lower bound.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from yarl import URL

from opus_async import Limits, OpusClient
from opus_async.simulator import SimulatorConfig, SimulatorProcess
from opus_async.testing import quick_polls

WORKFLOW = "D0cumentWorkfl0w"
IN_FLIGHT = 64
SIZE = 10_000


def documents(folder: Path, count: int) -> list[Path]:
    """Make files of 10 kB, all different."""
    paths = []
    for number in range(count):
        path = folder / f"{number}.txt"
        path.write_bytes((f"document {number}\n" * SIZE).encode()[:SIZE])
        paths.append(path)
    return paths


async def bare(simulator: SimulatorProcess, paths: list[Path]) -> None:
    """Send the same requests with aiohttp, tuned: one session, encoded URLs, open files, 64 workers."""
    headers = {"x-service-key": simulator.service_key, "Content-Type": "application/json"}
    base = simulator.base_url
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def call(method: str, path: str, body: object = None) -> dict[str, object]:
            data = None if body is None else json.dumps(body).encode()
            url = URL(base + path, encoded=True)
            async with session.request(method, url, headers=headers, data=data) as answer:
                return json.loads(await answer.read())

        schema = await call("GET", f"/workflow/{WORKFLOW}")
        inputs = schema["jobPayloadSchema"]
        variable = next(name for name, field in inputs.items() if field["type"] == "file")

        async def job(path: Path) -> None:
            place = await call(
                "POST", "/job/file/upload", {"fileExtension": ".txt", "accessScope": "organization"}
            )
            with path.open("rb") as file:
                target = URL(place["presignedUrl"], encoded=True)
                async with session.put(target, data=file, skip_auto_headers=("Content-Type",)) as answer:
                    await answer.read()
            shell = {"workflowId": WORKFLOW, "title": path.name, "description": "bare"}
            job_id = (await call("POST", "/job/initiate", shell))["jobExecutionId"]
            payload = {variable: {"value": place["fileUrl"], "type": "file", "displayName": "Document"}}
            order = {"jobExecutionId": job_id, "jobPayloadSchemaInstance": payload}
            await call("POST", "/job/execute", order)
            status = await call("GET", f"/job/{job_id}/status")
            assert status["status"] == "COMPLETED"  # the simulator's jobs take no time here
            results = await call("GET", f"/job/{job_id}/results")
            assert results["jobResultsPayloadSchema"]

        rows = iter(paths)

        async def worker() -> None:
            for path in rows:
                await job(path)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())


async def ours(simulator: SimulatorProcess, paths: list[Path]) -> None:
    """Run the jobs with ``run_many``, with all that it does by default."""
    with quick_polls():
        async with OpusClient(
            simulator.service_key, base_url=simulator.base_url, limits=Limits(upload_concurrency=IN_FLIGHT)
        ) as opus:
            done = 0
            async for outcome in opus.run_many(
                WORKFLOW, ({"Document": path} for path in paths), max_in_flight=IN_FLIGHT
            ):
                assert outcome.ok, outcome.error
                done += 1
            assert done == len(paths)


def cpu_per_job(side: Callable[[SimulatorProcess, list[Path]], Awaitable[None]], count: int) -> float:
    """Measure microseconds of CPU time for each job, on a new simulator."""
    config = SimulatorConfig(run_time=0, queue_time=0)
    with tempfile.TemporaryDirectory() as folder, SimulatorProcess(config) as simulator:
        paths = documents(Path(folder), count)
        hashlib.file_digest(paths[0].open("rb"), "sha256")
        asyncio.run(side(simulator, paths[: min(50, count)]))  # warm up
        began = time.process_time()
        asyncio.run(side(simulator, paths))
        return (time.process_time() - began) / count * 1e6


def main() -> None:
    """Print a line for each round and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rounds = []
    for number in range(arguments.rounds):
        floor, own = cpu_per_job(bare, arguments.jobs), cpu_per_job(ours, arguments.jobs)
        rounds.append((floor, own, own / floor))
        print(
            f"round {number + 1}: bare {floor:7.0f} us/job   opus_async {own:7.0f} us/job   "
            f"ratio {own / floor:.2f}"
        )
    floor, own, ratio = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"median : bare {floor:7.0f} us/job   opus_async {own:7.0f} us/job   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
