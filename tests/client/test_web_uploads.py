"""Files that a web framework received, as inputs and for uploads: sync or async, seekable or not."""

from __future__ import annotations

import asyncio
import gc
import io
import tempfile

import pytest
from client_tools import DOCUMENT, sha256

from opus_async import InvalidInputs, Limits
from opus_async.opus.web_uploads import MEMORY, TOO_MUCH, file_behind, is_upload

CONTENT = b"between A and B\n" * 10


class AsyncUpload:
    """An async ``read`` and nothing behind it."""

    def __init__(self, content=CONTENT, filename="contract.txt"):
        self.filename = filename
        self.closed = False
        self._file = io.BytesIO(content)

    async def read(self, size=-1):
        await asyncio.sleep(0)
        return self._file.read(size)

    async def seek(self, offset):
        self._file.seek(offset)

    async def close(self):
        self.closed = True


class SyncUpload:
    """A sync ``read`` that takes no size, and cannot go back; ``name`` is the field of the form."""

    name = "document"
    filename = "contract.txt"

    def __init__(self, content=CONTENT):
        self._content = content

    def read(self):
        return self._content


class SeekableUpload:
    """As Werkzeug's FileStorage: everything else is that of its stream."""

    filename = "contract.txt"
    name = "document"

    def __init__(self, content=CONTENT):
        self.stream = io.BytesIO(content)

    def __getattr__(self, name):
        return getattr(self.stream, name)


class LaterUpload(AsyncUpload):
    """A plain function that returns something to be awaited."""

    def read(self, size=-1):
        return super().read(size)


def starlette_upload(content=CONTENT):
    pytest.importorskip("starlette")
    from starlette.datastructures import UploadFile

    file = tempfile.SpooledTemporaryFile(1024)  # noqa: SIM115 - the test closes it
    file.write(content)
    file.seek(0)
    return UploadFile(file, filename="contract.txt", size=len(content))


KINDS = [AsyncUpload, SyncUpload, SeekableUpload, LaterUpload, starlette_upload]


@pytest.fixture
def uploads():
    """Make uploads; those of starlette are closed at the end."""
    made = []

    def make(kind, content=CONTENT):
        made.append(kind(content))
        return made[-1]

    yield make
    for upload in made:
        if hasattr(upload, "file"):
            upload.file.close()


def digests(simulator):
    jobs = simulator.state()["jobs"].values()
    return {facts["sha256"] for job in jobs for facts in job["files"].values()}


@pytest.mark.parametrize("kind", KINDS)
async def test_upload_is_a_file_input_whole_whatever_was_read_of_it(simulate, connect, uploads, kind):
    simulator = await simulate()
    opus = connect(simulator)
    upload = uploads(kind)
    outcome = await opus.run(DOCUMENT, {"Document": upload})
    assert outcome.outputs["SHA-256"] == sha256(CONTENT)
    assert digests(simulator) == {sha256(CONTENT)}


@pytest.mark.parametrize("kind", [AsyncUpload, SeekableUpload, starlette_upload])
async def test_upload_can_be_read_before_and_after_and_is_not_closed(simulate, connect, uploads, kind):
    opus = connect(await simulate())
    upload = uploads(kind)

    async def read(*size):
        found = upload.read(*size)
        return await found if asyncio.iscoroutine(found) else found

    assert await read(7) == CONTENT[:7]
    assert (await opus.files.upload(upload)).sha256 == sha256(CONTENT)
    found = upload.seek(0)
    if asyncio.iscoroutine(found):
        await found
    assert await read() == CONTENT


class StreamUpload(AsyncUpload):
    """An async ``read`` that cannot go back, and tells where it stands."""

    seek = None

    def tell(self):
        return self._file.tell()


@pytest.mark.parametrize("kind", [AsyncUpload, SyncUpload, StreamUpload])
async def test_upload_that_is_copied_is_whole_in_all_jobs_that_are_given_it(simulate, connect, uploads, kind):
    simulator = await simulate()
    opus = connect(simulator)
    upload = uploads(kind)
    outcomes = await asyncio.gather(*(opus.run(DOCUMENT, {"Document": upload}) for _ in range(3)))
    assert {outcome.outputs["SHA-256"] for outcome in outcomes} == {sha256(CONTENT)}
    assert digests(simulator) == {sha256(CONTENT)}


async def test_upload_that_was_read_in_part_and_cannot_go_back_is_refused(simulate, connect):
    opus, upload = connect(await simulate()), StreamUpload()
    await upload.read(5)
    with pytest.raises(InvalidInputs, match="read in part"):
        await opus.run(DOCUMENT, {"Document": upload})


@pytest.mark.parametrize("kind", KINDS)
async def test_upload_is_sent_again_after_a_failed_attempt(simulate, connect, uploads, kind):
    simulator = await simulate(faults="flaky", seed=3)
    opus = connect(simulator)
    rows = [{"Document": uploads(kind, CONTENT + bytes([65 + number]) * 5000)} for number in range(12)]
    outcomes = [outcome async for outcome in opus.run_many(DOCUMENT, rows)]
    assert all(outcome.ok for outcome in outcomes)
    assert len(digests(simulator)) == 12


@pytest.mark.parametrize("kind", KINDS)
async def test_upload_is_taken_in_lists_pairs_and_by_upload_many(simulate, connect, uploads, kind):
    opus = connect(await simulate())
    first, second = await opus.files.upload_many([uploads(kind), uploads(kind)])
    assert first.sha256 == second.sha256 == sha256(CONTENT)
    outcome = await opus.run(DOCUMENT, {"Document": ("other.txt", uploads(kind))})
    assert outcome.ok
    workflow = await opus.workflows.get(DOCUMENT)
    job_id = await opus.jobs.initiate(DOCUMENT)
    await opus.jobs.execute(job_id, {"Document": uploads(kind)}, workflow=workflow)
    assert (await opus.jobs.outcome(job_id)).outputs["SHA-256"] == sha256(CONTENT)


async def test_upload_in_a_list_of_files(simulate, connect):
    simulator = await simulate()
    inputs = [{"name": "Invoices", "type": "array_files"}]
    workflow_id = simulator.serve_workflow({"id": "Inv0icesInv0ices", "inputs": inputs})
    opus = connect(simulator)
    several = [AsyncUpload(), ("other.txt", SyncUpload(CONTENT * 2))]
    assert (await opus.run(workflow_id, {"Invoices": several})).ok
    assert digests(simulator) == {sha256(CONTENT), sha256(CONTENT * 2)}


async def test_upload_larger_than_memory_is_copied_to_disk_and_closed(simulate, connect):
    opus = connect(await simulate())
    content = b"x" * (3 * MEMORY)
    assert (await opus.files.upload(AsyncUpload(content))).sha256 == sha256(content)
    gc.collect()  # the fixture that looks for open files finds none


@pytest.mark.parametrize("kind", KINDS)
async def test_upload_beyond_the_limit_is_refused_with_its_size(simulate, connect, uploads, kind):
    simulator = await simulate()
    opus = connect(simulator, limits=Limits(max_file_bytes=100))
    with pytest.raises(InvalidInputs, match=r"160 bytes, more than the limit of 100"):
        await opus.run(DOCUMENT, {"Document": uploads(kind)})
    assert simulator.state()["counters"]["jobs"] == 0


async def test_upload_without_end_is_given_up(simulate, connect):
    class Endless(AsyncUpload):
        asked = 0

        async def read(self, size=-1):
            self.asked += size
            return b"x" * size

    opus = connect(await simulate(), limits=Limits(max_file_bytes=100))
    endless = Endless()
    with pytest.raises(InvalidInputs, match="more than the limit of 100"):
        await opus.files.upload(endless)
    assert endless.asked < 2 * TOO_MUCH


class Broken(AsyncUpload):
    async def read(self, size=-1):
        raise RuntimeError("the visitor has gone")


class Text(AsyncUpload):
    async def read(self, size=-1):
        return "text"


@pytest.mark.parametrize(
    ("upload", "said"),
    [
        (AsyncUpload(b""), "is empty"),
        (AsyncUpload(filename="a.exe"), "unsupported type"),
        (AsyncUpload(filename=None), "give .filename, "),
        (Broken(), r"'contract.txt'.* cannot be read .the visitor has gone|contract.txt cannot be read"),
        (Text(), "gives text, not bytes"),
    ],
    ids=["empty", "type", "no name", "broken", "text"],
)
async def test_upload_that_cannot_be_sent_is_refused_before_a_job_is_made(simulate, connect, upload, said):
    simulator = await simulate()
    opus = connect(simulator)
    with pytest.raises(InvalidInputs, match=said):
        await opus.run(DOCUMENT, {"Document": upload})
    assert simulator.state()["counters"]["jobs"] == 0


async def test_upload_of_a_real_starlette_application(simulate, connect):
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.datastructures import Headers, UploadFile
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    simulator = await simulate()
    opus = connect(simulator)

    async def check(request):
        file = UploadFile(io.BytesIO(await request.body()), filename=request.headers["x-name"])
        outcome = await opus.run(DOCUMENT, {"Document": file})
        return JSONResponse(outcome.to_dict())

    application = Starlette(routes=[Route("/", check, methods=["POST"])])
    sent = []

    async def receive():
        return {"type": "http.request", "body": CONTENT, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = Headers({"x-name": "contract.txt"}).raw
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
    await application({**scope, "server": ("127.0.0.1", 80), "scheme": "http"}, receive, send)
    assert sent[0]["status"] == 200
    assert sha256(CONTENT).encode() in sent[1]["body"]


def test_plain_files_are_no_uploads(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        assert not is_upload(file)
    assert not is_upload(path)
    assert not is_upload(io.BytesIO())
    assert not is_upload(AsyncUpload)
    assert file_behind(AsyncUpload()) is None
