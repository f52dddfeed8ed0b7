"""The vendor's Postman collection, sent by a client that is not ours, to the simulator.

`vendor_postman_collection.json` is the appendix of the vendor's page, verbatim. Ids, key and URLs that it
leaves to the reader are filled in from the answers before, as the page asks. newman comes from the folder
that OPUS_ASYNC_TEST_NPM names (`npm install --prefix FOLDER newman@6 s3rver@3`).
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from client_tools import sha256, until

NPM = os.environ.get("OPUS_ASYNC_TEST_NPM")  # read here: a fixture clears OPUS_* for each test
COLLECTION = Path(__file__).with_name("vendor_postman_collection.json")
WORKFLOW = "P0stmanC0llecti0"
FILES = "https://files.opus.com/media/private/uploaded"
NAMES = (
    "Get Details",
    "Initiate Job",
    "Generate URL s3",
    "upload to s3",
    "Execute Job",
    "Get Job Results",
    "Get Job Audit",
    "Get Job Status",
)
DOCUMENTED = dict(zip(NAMES, (200, 201, 201, 200, 201, 200, 200, 200), strict=True))
PDF = b"%PDF-1.7\n1 0 obj << /Type /Page >> endobj\n" * 3
LEARNS = {
    "Initiate Job": {"job_id": "jobExecutionId"},
    "Generate URL s3": {"presigned_url": "presignedUrl", "file_url": "fileUrl"},
}


@pytest.fixture
def newman():
    folder = NPM
    if not folder:
        pytest.skip("OPUS_ASYNC_TEST_NPM is not set: npm install --prefix FOLDER newman@6 s3rver@3")
    program = Path(folder) / "node_modules" / ".bin" / "newman"
    if not program.exists():
        pytest.skip(f"there is no newman in {folder}: npm install --prefix {folder} newman@6")
    return program


def filled(simulator, pdf):
    """The collection with its open places filled: with what is known, or variables for what comes later."""
    text = COLLECTION.read_text()
    for place, value in (
        ("your_api_key", simulator.service_key),
        ("put_your_workflow_id_here", WORKFLOW),
        ("put_the_presigned_url_here", "{{presigned_url}}"),
        ("put_your_job_id_here", "{{job_id}}"),
        ("your_job_id", "{{job_id}}"),
        (f"{FILES}/media_e8721656-e74f-4f9e-a187-308bc3f32d0f.pdf", "{{file_url}}"),
        (f"{FILES}/media_c5e47f8b-95b1-4c1c-b91f-b23f61ddc246.pdf", "{{file_url}}"),
    ):
        assert place in text
        text = text.replace(place, value)
    collection = json.loads(text)
    for item in collection["item"]:
        learns = LEARNS.get(item["name"], {})
        lines = [
            f'pm.collectionVariables.set("{name}", pm.response.json().{field});'
            for name, field in learns.items()
        ]
        item["event"] = [{"listen": "test", "script": {"type": "text/javascript", "exec": lines}}]
        if item["name"] == "upload to s3":
            item["request"]["body"]["file"]["src"] = str(pdf)
    collection["variable"][0]["value"] = simulator.base_url
    return collection


@pytest.fixture
def send(newman, tmp_path):
    """Send a collection, once with each change; the answers in order: name, status and JSON, if any."""
    pdf = tmp_path / "document.pdf"
    pdf.write_bytes(PDF)

    async def run(simulator, *changes):
        collection = filled(simulator, pdf)
        if changes:
            collection["item"] = [item for change in changes for item in change(collection)["item"]]
        asked, told = tmp_path / "collection.json", tmp_path / "report.json"
        asked.write_text(json.dumps(collection))
        output = tmp_path / "output.txt"
        with output.open("wb") as said:
            process = await asyncio.create_subprocess_exec(
                *(str(newman), "run", str(asked), "--working-dir", str(tmp_path)),
                *("--reporters", "json", "--reporter-json-export", str(told)),
                stdout=said,
                stderr=said,
            )
        try:
            # The report is the end: now and then node stays after it, with nothing left to do.
            await until(lambda: process.returncode is not None or _read(told), 30)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        report = _read(told)
        assert report, output.read_text()
        assert report["run"]["failures"] == [], output.read_text()
        return [
            (done["item"]["name"], done["response"]["code"], _json(done["response"]))
            for done in report["run"]["executions"]
        ]

    return run


def _read(report):
    """The report, once it is whole."""
    try:
        return json.loads(report.read_bytes())
    except (OSError, ValueError):
        return None


def _json(response):
    try:
        return json.loads(bytes(response["stream"]["data"]))
    except (KeyError, ValueError):
        return None


def test_postman_collection_has_the_vendors_requests():
    collection = json.loads(COLLECTION.read_text())
    assert tuple(item["name"] for item in collection["item"]) == NAMES
    assert collection["info"]["name"] == "Opus Jobs Trigger Shared"
    assert "callbackUrl" not in COLLECTION.read_text()


# The collection asks for results right behind execute: runs that take no time make that the documented 200.
# newman sends a Content-Type with a file, so the URLs are signed for one.
@pytest.mark.parametrize("traits", [frozenset(), frozenset({"execute_echo", "results_old", "audit_trail"})])
async def test_postman_requests_get_documented_answers(simulate, send, traits):
    simulator = await simulate(sign_content_type="always", traits=traits)
    answers = await send(simulator)
    assert {name: status for name, status, _ in answers} == DOCUMENTED
    bodies = {name: body for name, _, body in answers}
    assert "workflow_input_vt5u58mst" in bodies["Get Details"]["jobPayloadSchema"]
    assert bodies["Execute Job"]["success"] is True
    assert bodies["Get Job Status"] == {"status": "COMPLETED"}
    assert sha256(PDF) in json.dumps(bodies["Get Job Results"])
    [job] = simulator.state()["jobs"].values()
    assert (job["executions"], job["title"], job["callback_url"]) == (1, "Opus API triggered Job", None)
    assert [file["sha256"] for file in job["files"].values()] == [sha256(PDF)]
    assert simulator.state()["leaks"] == []


async def test_postman_upload_with_unsigned_content_type_is_taken_by_lax_storage(simulate, send):
    answers = await send(await simulate(traits=frozenset({"lax_content_type"})))
    assert {name: status for name, status, _ in answers} == DOCUMENTED


def with_callback(url):
    def change(collection):
        changed = copy.deepcopy(collection)
        [item] = [item for item in changed["item"] if item["name"] == "Execute Job"]
        body = json.loads(item["request"]["body"]["raw"])
        if url is not None:
            item["request"]["body"]["raw"] = json.dumps({**body, "callbackUrl": url})
        return changed

    return change


@pytest.mark.parametrize("required", [False, True])
async def test_postman_callback_url_is_validated_as_by_vendor(simulate, send, required):
    simulator = await simulate(sign_content_type="always", callback_required=required)
    urls = ("", "not a url", "https://app.example.com/opus", None)
    answers = iter(await send(simulator, *map(with_callback, urls)))
    for url in urls:
        statuses = {name: (status, body) for name, status, body in islice(answers, len(NAMES))}
        refused = url in {"", "not a url"} or (url is None and required)
        status, body = statuses["Execute Job"]
        assert status == (400 if refused else 201), url
        if refused:
            assert any("callbackUrl must be a URL address" in message for message in body["message"]), url
        assert statuses["Get Job Results"][0] == (400 if refused else 200), url
        assert statuses["Get Job Status"][1] == {"status": "PENDING" if refused else "COMPLETED"}, url


async def test_postman_wrong_key_is_refused_with_401(simulate, send):
    simulator = await simulate(sign_content_type="always")

    def change(collection):
        first = copy.deepcopy(collection["item"][0])
        first["request"]["header"][0]["value"] = "_" + "00" * 48
        return {"item": [first]}

    [(_, status, body)] = await send(simulator, change)
    assert (status, body["message"]) == (401, "Invalid or expired API key")
