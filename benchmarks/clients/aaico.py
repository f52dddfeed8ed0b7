"""`opus-aaico`, the closest other client, by its own calls for a whole job."""

from __future__ import annotations

from opus_aaico import AsyncOpusClient
from opus_aaico.payloads import file_input

from benchmarks.answers import DOCUMENT, INPUTS, KEY, TEXT
from benchmarks.clients.whole_job import by_workers
from benchmarks.documents import path_of
from benchmarks.harness.meter import Meter


async def jobs(meter: Meter, count: int, *, url: str, folder: str, in_flight: int, warm: int) -> None:
    """Run so many jobs; the arguments are those of :func:`benchmarks.clients.whole_job.jobs`."""
    async with AsyncOpusClient(api_key=KEY, base_url=url) as opus:

        async def job(number: int) -> None:
            workflow_id = DOCUMENT if folder else TEXT
            value = {"value": "a text of some words", "type": "str", "displayName": "Text"}
            if folder:
                path = str(path_of(folder, number))
                value = file_input(await opus.files.upload(path, workflow_id=workflow_id))
            inputs = {INPUTS[workflow_id][0]: value}
            run = await opus.workflows.run(workflow_id, inputs, poll_interval=0.02)
            assert run.status == "COMPLETED"

        await by_workers(job, warm, in_flight)
        with meter.against(url):
            await by_workers(job, count, in_flight)
