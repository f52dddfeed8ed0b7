"""Documents that lie in an S3 store, sent from there: with servers that are not ours."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
import threading
from pathlib import Path

import pytest
from client_tools import DOCUMENT, TEXT, document, sha256
from handmade_opus import RESET_AFTER, RESET_BEFORE, xml_error
from store_fixtures import BUCKET, server, store
from stores import Store, moto_server

from opus_async import (
    ConfigurationError,
    InvalidInputs,
    JobRequest,
    RequestSent,
    TransportError,
    UploadError,
    UploadProgress,
)
from opus_async.opus.remote_documents import is_platform_file
from opus_async.remote_urls import RemoteFile

pytest.importorskip("fsspec", reason="pip install 'opus-async[s3]'")
pytest.importorskip("s3fs", reason="pip install 'opus-async[s3]'")

__all__ = ["server", "store"]

LIST = "P0stmanC0llecti0"
MIB = 1024 * 1024


def stored(simulator):
    return [(upload["size"], upload["sha256"]) for upload in simulator.state()["uploads"].values()]


async def test_document_in_a_store_is_sent_from_there(store, simulate, connect):
    content = document(1)
    await asyncio.to_thread(store.put, BUCKET, "in/invoice.txt", content)
    simulator = await simulate()
    opus = connect(simulator)
    outcome = await opus.run(DOCUMENT, {"Document": f"s3://{BUCKET}/in/invoice.txt"})
    assert outcome.ok, outcome.error
    assert stored(simulator) == [(len(content), sha256(content))]


async def put(store, key, content):
    await asyncio.to_thread(store.put, BUCKET, key, content)
    return f"s3://{BUCKET}/{key}"


async def test_documents_of_a_list_are_sent_in_their_order(store, simulate, connect):
    contents = [document(number) for number in range(3)]
    urls = [await put(store, f"list/{number}.txt", content) for number, content in enumerate(contents)]
    simulator = await simulate()
    outcome = await connect(simulator).run(LIST, {"Files": [*urls, RemoteFile(urls[0])]})
    assert outcome.ok, outcome.error
    assert len(stored(simulator)) == 3, "the same document twice is sent once"
    assert outcome.outputs["Files SHA-256"] == [sha256(content) for content in (*contents, contents[0])]


@pytest.mark.parametrize(
    "key", ["with space.txt", "größe-日本.txt", "a&b=c;d,e'f!.txt", "100%25.txt", "a#1?.txt"]
)
async def test_any_name_can_be_sent(store, simulate, connect, key):
    content = document(7)
    url = await put(store, f"names/{key}", content)
    simulator = await simulate()
    outcome = await connect(simulator).run(DOCUMENT, {"Document": url})
    assert outcome.ok, outcome.error
    assert stored(simulator) == [(len(content), sha256(content))]


async def test_same_url_of_the_same_version_is_sent_once(store, simulate, connect):
    url = await put(store, "twice.txt", document(2))
    simulator = await simulate()
    opus = connect(simulator)
    outcomes = [outcome async for outcome in opus.run_many(DOCUMENT, [{"Document": url}] * 5)]
    assert all(outcome.ok for outcome in outcomes)
    assert len(stored(simulator)) == 1


async def test_upload_tells_digest_and_size(store, handmade, connect):
    content = os.urandom(9 * MIB)
    url = await put(store, "nine.pdf", content)
    server = await handmade()
    uploaded = await connect(server).files.upload(url)
    assert (uploaded.size, uploaded.sha256) == (len(content), sha256(content))
    assert list(server.stored.values()) == [content]


@pytest.mark.parametrize("act", [RESET_BEFORE, RESET_AFTER, xml_error(503, "SlowDown")])
async def test_whole_document_is_read_again_after_a_fault_of_storage(store, handmade, connect, act):
    content = os.urandom(5 * MIB)
    url = await put(store, "again.pdf", content)
    server = await handmade(script={"put": [act, act]})
    await connect(server).files.upload(url)
    assert list(server.stored.values()) == [content]
    assert server.counts["put"] == 3


@pytest.mark.parametrize("size", [3 * MIB, 9 * MIB, 10], ids=["smaller", "same size", "tiny"])
async def test_document_that_changes_while_it_is_sent_is_never_stored(store, simulate, connect, size):
    url = await put(store, "changes.pdf", os.urandom(9 * MIB))
    simulator = await simulate()
    changed = []

    def change(event):
        if isinstance(event, UploadProgress) and not changed:
            changed.append(event.sent)
            store.put(BUCKET, "changes.pdf", os.urandom(size))

    opus = connect(simulator, listeners=[change])
    with pytest.raises(UploadError, match=r"changes\.pdf changed where it lies"):
        await opus.files.upload(url, digest=False)
    assert changed
    assert simulator.state()["counters"]["stored_files"] == 0


async def test_document_that_is_gone_by_then_fails_its_row_alone(store, simulate, connect):
    urls = [await put(store, f"gone/{number}.txt", document(number)) for number in range(4)]
    simulator = await simulate()

    def remove(event):
        if isinstance(event, RequestSent) and event.operation == "presign":
            store.delete(BUCKET, "gone/2.txt")

    opus = connect(simulator, listeners=[remove])
    rows = [JobRequest({"Document": url}, key=url[-5:]) for url in urls]
    outcomes = {outcome.key: outcome async for outcome in opus.run_many(DOCUMENT, rows)}
    assert [key for key, outcome in outcomes.items() if not outcome.ok] == ["2.txt"]
    assert outcomes["2.txt"].job_id is None
    assert "gone/2.txt' does not exist" in str(outcomes["2.txt"].error)


WRONG = {
    "missing": ("s3://documents/none.txt", "'s3://documents/none.txt' does not exist; check the name"),
    "no bucket": ("s3://no-such-bucket/none.txt", "a bucket that does not exist; check its name"),
    "folder": ("s3://documents/folder", "is a folder; name a file in it"),
    "bucket alone": ("s3://documents", "the file 'documents' has no extension|is a folder"),
    "type": ("s3://documents/folder/a.zip", "the file 'a.zip' is of an unsupported type"),
    "empty": ("s3://documents/empty.txt", "the file 'empty.txt' is empty"),
    "unknown scheme": ("nosuch://x/a.txt", "no library is known for nosuch://x/a.txt"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_told_before_anything_is_sent(store, simulate, connect, wrong):
    url, message = wrong
    await put(store, "folder/a.zip", b"zip")
    await put(store, "empty.txt", b"")
    simulator = await simulate()
    with pytest.raises(InvalidInputs, match=message) as caught:
        await connect(simulator).run(DOCUMENT, {"Document": url})
    assert caught.value.problems[0].display_name == "Document"
    assert caught.value.problems[0].file
    assert simulator.state()["counters"]["jobs"] == 0


async def test_without_credentials_the_error_says_where_they_are_looked_for(
    store, simulate, connect, monkeypatch
):
    url = await put(store, "locked.txt", document(1))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match=r"without credentials.*AWS_PROFILE"):
        await connect(await simulate()).run(DOCUMENT, {"Document": url})


async def test_denied_document_is_told(simulate, connect, monkeypatch):
    with moto_server(locked=True) as locked:
        for name, value in locked.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another" * 5)
        with pytest.raises(InvalidInputs, match="may not be read; check its permissions") as caught:
            await connect(await simulate()).run(DOCUMENT, {"Document": "s3://documents/a.txt"})
    assert "another" not in str(caught.value)


async def test_store_that_cannot_be_reached_is_told(simulate, connect, monkeypatch):
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    simulator = await simulate()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen: no other test can get this port meanwhile
        for name, value in Store(nobody.getsockname()[1], "testing").environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(TransportError, match="cannot be reached"):
            await connect(simulator).run(DOCUMENT, {"Document": "s3://documents/a.txt"})


@pytest.mark.parametrize(
    ("library", "url", "message"),
    [
        ("gcsfs", "gs://bucket/a.txt", r"pip install 'opus-async\[gcs\]'"),
        ("adlfs", "az://container/a.txt", r"pip install 'opus-async\[azure\]'"),
        ("s3fs", "s3://bucket/a.txt", r"pip install 'opus-async\[s3\]'"),
        ("fsspec", "s3://bucket/a.txt", r"pip install 'opus-async\[s3\]'"),
        ("fsspec", "https://documents.example/a.txt", "pip install fsspec"),
        ("paramiko", "sftp://host/a.txt", "paramiko"),
    ],
)
async def test_missing_library_is_told(simulate, connect, monkeypatch, library, url, message):  # noqa: PLR0917 - fixtures and a row of the table
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, url.partition(":")[0], raising=False)
    simulator = await simulate()
    with pytest.raises(ConfigurationError, match=message):
        await connect(simulator).run(DOCUMENT, {"Document": url})
    assert simulator.state()["counters"]["jobs"] == 0


async def test_url_as_a_path_is_told(simulate, connect):
    with pytest.raises(InvalidInputs, match="give a URL as text, not as a Path"):
        await connect(await simulate()).run(DOCUMENT, {"Document": Path("s3://documents/a.txt")})


async def test_url_in_an_input_of_text_is_a_text(simulate, connect):
    simulator = await simulate()
    outcome = await connect(simulator).run(TEXT, {"Text": "s3://nobody/reads.txt"})
    assert outcome.ok, outcome.error


async def test_cancel_leaves_no_connection_and_no_thread(store, simulate, connect):
    url = await put(store, "cancelled.pdf", os.urandom(9 * MIB))
    simulator = await simulate()
    begun = asyncio.Event()
    opus = connect(simulator, listeners=[lambda event: isinstance(event, UploadProgress) and begun.set()])
    upload = asyncio.create_task(opus.files.upload(url, digest=False))
    await begun.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    await opus.close()
    assert not [thread.name for thread in threading.enumerate() if "remote" in thread.name]


async def test_libraries_are_imported_only_for_a_url(simulate, connect):
    simulator = await simulate()
    code = (
        "import asyncio, sys\n"
        "from opus_async import OpusClient\n"
        "async def main():\n"
        f"    async with OpusClient({simulator.service_key!r}, base_url={simulator.base_url!r}) as opus:\n"
        f"        outcome = await opus.run({DOCUMENT!r}, {{'Document': ('a.txt', b'text')}})\n"
        "        print(outcome.ok, 'fsspec' in sys.modules, 's3fs' in sys.modules)\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    assert told.split() == [b"True", b"False", b"False"]


PLATFORM = {"base_url": "https://opus.bank.example", "vendor_domain": "opus.com"}


@pytest.mark.parametrize(
    ("url", "is_file"),
    [
        ("https://files.opus.com/media/private/uploaded/media_1.pdf", True),
        ("https://opus.com/a.pdf", True),
        (" HTTPS://FILES.OPUS.COM/a.pdf", True),
        ("https://opus.bank.example/files/a.pdf", True),
        ("http://opus.bank.example/files/a.pdf", True),
        ("https://[/a.pdf", True),
        ("https://docs.bank.example/a.pdf", False),
        ("http://docs.bank.example/a.pdf", False),
        ("https://notopus.com/a.pdf", False),
        ("https://files.opus.com.example/a.pdf", False),
        ("https://files.opus.com@example/a.pdf", False),
    ],
)
def test_urls_of_the_platform_are_sent_as_they_are(url, is_file):
    assert is_platform_file(url, **PLATFORM) is is_file


@pytest.mark.parametrize(("port", "is_file"), [(8000, True), (8001, False)])
def test_urls_of_a_simulator_are_told_from_those_of_other_servers_by_their_port(port, is_file):
    url = f"http://127.0.0.1:{port}/media/a.pdf"
    assert is_platform_file(url, base_url="http://127.0.0.1:8000", vendor_domain="opus.com") is is_file


async def test_file_of_the_platform_is_sent_as_it_is(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    uploaded = await opus.files.upload(b"text", filename="a.txt")
    outcome = await opus.run(DOCUMENT, {"Document": uploaded.url})
    assert outcome.ok, outcome.error
    assert len(stored(simulator)) == 1


@pytest.mark.parametrize("size", [48, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
async def test_memory_follows_a_block_and_not_the_document(store, simulate_apart, tmp_path, size):
    program = Path(__file__).parents[1] / "support" / "remote_upload.py"
    block = os.urandom(MIB)
    (tmp_path / "large.pdf").write_bytes(block * size)
    with (tmp_path / "large.pdf").open("rb") as large:
        await asyncio.to_thread(store.put, BUCKET, "large.pdf", large)
    small = await put(store, "small.pdf", block * 9)
    simulator = await simulate_apart(max_file_size=2**30)
    environment = {
        **os.environ,
        "OPUS_SERVICE_KEY": simulator.service_key,
        "OPUS_BASE_URL": simulator.base_url,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, program, small, f"s3://{BUCKET}/large.pdf"),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    told, _ = await process.communicate()
    _, grown = json.loads(told)
    assert grown < 16, "MiB"
    [_, uploaded] = simulator.state()["uploads"].values()
    assert uploaded["size"] == size * MIB


@pytest.mark.parametrize("number", [0, 1])
async def test_programs_of_the_page_about_documents_elsewhere_run(store, simulate_apart, number):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "cloud-documents.md"
    program = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[number]
    await put(store, "invoice.txt", document(1))
    simulator = await simulate_apart(run_time=0)
    leading = {"OPUS_SERVICE_KEY": simulator.service_key, "OPUS_BASE_URL": simulator.base_url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **leading},
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    assert told.decode().split() == (["COMPLETED", sha256(document(1))] if number == 0 else [])
