"""`opus-aaico`, the closest other client, by its own calls for a whole job."""

from __future__ import annotations

from opus_aaico import AsyncOpusClient
from opus_aaico.payloads import file_input

from benchmarks.answers import DOCUMENT, INPUTS, KEY, TEXT
from benchmarks.clients.whole_job import by_workers, documents
from benchmarks.meter import Meter


async def jobs(meter: Meter, count: int, *, url: str, kind: str, in_flight: int) -> None:
    """Run so many text or document jobs, so many at once."""
    async with AsyncOpusClient(api_key=KEY, base_url=url) as opus:
        with documents(count) as paths:

            async def job(number: int) -> None:
                workflow_id = TEXT if kind == "text" else DOCUMENT
                value = {"value": "a text of some words", "type": "str", "displayName": "Text"}
                if kind == "document":
                    value = file_input(await opus.files.upload(str(paths[number]), workflow_id=workflow_id))
                run = await opus.workflows.run(
                    workflow_id, {INPUTS[workflow_id][0]: value}, poll_interval=0.02
                )
                assert run.status == "COMPLETED"

            await by_workers(job, min(count, in_flight), in_flight)
            with meter.against(url):
                await by_workers(job, count, in_flight)
