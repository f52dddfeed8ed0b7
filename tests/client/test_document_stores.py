"""Stores that fail while a document is looked up or read: the trouble passes, or it is told whose it is."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import pytest
from client_tools import DOCUMENT, document, sha256, until
from web_stores import CUT, DROP, ENDLESS, FIRST_BYTES, GARBAGE, HANG, REDIRECT, times, web_store

from opus_async import (
    InvalidInputs,
    JobRequest,
    OpusError,
    RemoteFile,
    RequestRetried,
    StoreUnavailable,
    UploadError,
    UploadProgress,
)
from opus_async.remote.source import BLOCK

pytest.importorskip("fsspec", reason="pip install fsspec")

MIB = 1024 * 1024
PATH = "/in/large.pdf"
LIST = "P0stmanC0llecti0"


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_store() as running:
        yield running


@pytest.fixture
def s3(store, monkeypatch):
    """The same, for s3fs."""
    pytest.importorskip("s3fs", reason="pip install 'opus-async[s3]'")
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    return store


def url_of(store, path=PATH, scheme="http"):
    return f"{store.url}{path}" if scheme == "http" else f"s3:/{path}"


TROUBLES = {
    "busy": 503,
    "asked to wait": 429,
    "broken inside": 500,
    "gateway": 504,
    "dropped": DROP,
    "cut": CUT,
}


@pytest.mark.parametrize("scheme", ["http", "s3"])
@pytest.mark.parametrize("act", TROUBLES.values(), ids=TROUBLES)
async def test_block_that_a_store_does_not_give_out_is_read_again_from_there(
    s3, handmade, connect, act, scheme
):
    content = os.urandom(5 * MIB)
    s3.put(PATH, content)
    passing = times(2, act)
    s3.act = lambda asked: passing(asked) if asked.range and not asked.range.startswith("bytes=0-") else None
    server = await handmade()
    retried = []
    opus = connect(
        server, listeners=[lambda event: isinstance(event, RequestRetried) and retried.append(event)]
    )
    uploaded = await opus.files.upload(url_of(s3, scheme=scheme), digest=False)
    assert uploaded.size == len(content)
    assert list(server.stored.values()) == [content]
    assert (server.counts["put"], retried) == (1, []), "the platform's storage is not to blame"
    starts = [int(asked.range.removeprefix("bytes=").split("-")[0]) for asked in s3.reads(PATH)]
    assert starts == [0, BLOCK, BLOCK, BLOCK, 2 * BLOCK]
    assert {asked.condition for asked in s3.reads(PATH)} == {s3.documents[PATH].etag}


@pytest.mark.parametrize("act", TROUBLES.values(), ids=TROUBLES)
async def test_look_up_that_a_store_does_not_answer_is_repeated(store, simulate, connect, act):
    store.put("/a.txt", document(1))
    heads, gets = times(1, act, "HEAD"), times(1, act)  # the library asks both ways
    store.act = lambda asked: heads(asked) or (None if asked.range else gets(asked))
    outcome = await connect(await simulate()).run(DOCUMENT, {"Document": RemoteFile(f"{store.url}/a.txt")})
    assert outcome.ok, outcome.error
    assert outcome.outputs["SHA-256"] == sha256(document(1))


@pytest.mark.parametrize("scheme", ["http", "s3"])
@pytest.mark.parametrize("act", [503, DROP], ids=str)
async def test_store_that_fails_on_is_named_and_the_platform_is_not(s3, handmade, connect, act, scheme):
    s3.put(PATH, os.urandom(5 * MIB))
    s3.act = lambda asked: act if asked.range else None
    server = await handmade()
    opus = connect(server, retry={"attempts": 3})
    with pytest.raises(StoreUnavailable) as caught:
        await opus.files.upload(url_of(s3, scheme=scheme), digest=False)
    error = caught.value
    store = s3.url if scheme == "http" else "s3://in"
    assert (error.document, error.store) == (url_of(s3, scheme=scheme), store)
    assert f"its store, {store}, fails" in str(error)
    assert "and not the platform" in str(error)
    assert ("HTTP 503" in str(error)) is (act == 503)
    assert server.counts["put"] == 0, "nothing is begun that cannot be gone on with"
    assert error.next_step.action == "try_later"


async def test_outage_during_uploads_holds_no_slot_and_they_are_made_afterwards(store, handmade, connect):
    contents = {f"/{number}.pdf": os.urandom(5 * MIB) for number in range(2)}
    for path, content in contents.items():
        store.put(path, content)
    server = await handmade()
    begun, ended = set(), asyncio.Event()

    def act(asked):
        if ended.is_set():
            return None
        later = asked.range is not None and not asked.range.startswith("bytes=0-")
        return 503 if later or len(begun) == 2 else None

    def begin(event):
        if isinstance(event, UploadProgress) and event.filename.endswith(".pdf"):
            begun.add(event.filename)

    store.act = act
    retry = {"attempts": 8, "base": 0.02, "cap": 0.05, "outage": 20}
    opus = connect(server, listeners=[begin], limits={"upload_concurrency": 2}, retry=retry)
    async with asyncio.TaskGroup() as group:
        uploads = [
            group.create_task(opus.files.upload(f"{store.url}{path}", digest=False)) for path in contents
        ]
        await until(lambda: len(begun) == 2)
        await opus.files.upload(b"local", filename="a.txt")
        asked = len(store.asked)
        await until(lambda: len(store.asked) > asked + 2 * retry["attempts"])
        assert not any(upload.done() for upload in uploads), "an outage uses up no attempts"
        ended.set()
    assert {*contents.values(), b"local"} == set(server.stored.values())


async def test_rows_of_a_store_that_fails_for_one_document_alone(store, simulate, connect):
    for number in range(6):
        store.put(f"/{number}.txt", document(number))
    store.act = lambda asked: 500 if asked.path == "/3.txt" else None
    rows = [
        JobRequest({"Document": RemoteFile(f"{store.url}/{number}.txt")}, key=str(number))
        for number in range(6)
    ]
    simulator = await simulate()
    opus = connect(simulator, retry={"attempts": 3})
    outcomes = {outcome.key: outcome async for outcome in opus.run_many(DOCUMENT, rows)}
    assert [key for key, outcome in outcomes.items() if not outcome.ok] == ["3"]
    assert isinstance(outcomes["3"].error, StoreUnavailable)
    assert outcomes["3"].error.others_read
    assert simulator.state()["counters"]["jobs"] == 5


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_store_that_hangs_ends_in_an_error_that_names_it(store, simulate, connect, method):
    store.put("/a.txt", document(1))
    store.act = lambda asked: HANG if asked.method == method or not asked.range else None
    opus = connect(await simulate(), timeouts={"document": 0.2}, retry={"attempts": 2})
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=rf"its store, {store.url}, fails \(no answer within 0.2 s\)"):
        await opus.run(DOCUMENT, {"Document": RemoteFile(f"{store.url}/a.txt")})
    assert time.monotonic() - began < 5
    await opus.close()  # leaves nothing behind although the server has not answered yet


async def test_library_that_blocks_in_a_thread_is_bounded_too(simulate, connect):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        opus = connect(await simulate(), timeouts={"document": 0.2}, retry={"attempts": 2})
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=rf"its store, ftp://127.0.0.1:{port}, fails"):
            await opus.run(DOCUMENT, {"Document": f"ftp://127.0.0.1:{port}/a.txt"})
        assert time.monotonic() - began < 5
        await opus.close()


@pytest.mark.parametrize("act", [404, 403, 401, 410, 501], ids=str)
async def test_what_a_store_refuses_is_the_documents_and_not_repeated(store, simulate, connect, act):
    store.put("/a.txt", document(1))
    store.act = lambda _: act
    opus = connect(await simulate())
    with pytest.raises(InvalidInputs):
        await opus.run(DOCUMENT, {"Document": RemoteFile(f"{store.url}/a.txt")})
    assert len(store.asked) <= 2


async def test_blocks_of_two_versions_are_never_joined(store, handmade, connect):
    """The document is another one for one block, and the first again when it is looked at last."""
    first, second = os.urandom(5 * MIB), os.urandom(5 * MIB)
    store.put(PATH, first)

    def act(asked):
        if asked.method == "GET" and asked.range:
            store.put(PATH, first if asked.range.startswith("bytes=0-") else second)
        else:
            store.put(PATH, first)

    store.act = act
    server = await handmade()
    with pytest.raises(UploadError):
        await connect(server).files.upload(f"{store.url}{PATH}", digest=False)
    assert server.stored == {}


@pytest.mark.parametrize("scheme", ["http", "s3"])
@pytest.mark.parametrize("size", [100, 5 * MIB], ids=["one block", "three blocks"])
async def test_server_that_gives_without_end_is_read_no_further_than_asked(
    s3, handmade, connect, size, scheme
):
    store = s3
    store.put(PATH, os.urandom(size))
    store.act = lambda asked: ENDLESS if asked.method == "GET" else None
    server = await handmade()
    with pytest.raises(UploadError, match=f"has {size:,} bytes, and gives other bytes"):
        await connect(server).files.upload(url_of(store, scheme=scheme), digest=False)
    assert store.poured < 64 * MIB, "buffers of sockets, and no more"
    assert server.stored == {}


MISLEADING = {
    "not HTTP": (GARBAGE, "its answer is not HTTP"),
    "too early": (CUT, "its answer ended too early"),
    "loop": (f"{REDIRECT}{PATH}?k=5ecre7", "its server redirects without end, or to what is no web address"),
    "no web address": (f"{REDIRECT}ftp://a.example/b?k=5ecre7", "or to what is no web address"),
    "no address": (f"{REDIRECT}http://[b?k=5ecre7", "or to what is no web address"),
    "odd status": (418, r"cannot be read \(HTTP 418\)"),
}


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(("act", "told"), MISLEADING.values(), ids=MISLEADING)
async def test_answers_that_lead_nowhere_are_told_for_what_they_are(  # noqa: PLR0917 - fixtures and a case
    store, handmade, connect, caplog, method, act, told
):
    store.put(PATH, os.urandom(100))
    store.act = lambda asked: act if method in {asked.method, "HEAD"} else None
    server = await handmade()
    with caplog.at_level("DEBUG"), pytest.raises(OpusError, match=told) as caught:
        await connect(server, retry={"attempts": 2}).files.upload(url_of(store), digest=False)
    assert "5ecre7" not in str(caught.value)
    assert "5ecre7" not in caplog.text


async def test_bytes_from_elsewhere_in_a_document_are_not_taken_for_those_asked_for(store, handmade, connect):
    store.put(PATH, os.urandom(5 * MIB))
    store.act = lambda _: FIRST_BYTES
    server = await handmade()
    with pytest.raises(UploadError, match="gives other bytes than those that were asked for"):
        await connect(server).files.upload(url_of(store), digest=False)
    assert server.stored == {}


async def test_document_that_is_larger_than_its_server_said_is_not_cut(store, handmade, connect):
    store.put(PATH, os.urandom(5 * MIB))
    store.told_size = 3 * MIB
    server = await handmade()
    with pytest.raises(UploadError, match="says that it has 3,145,728 bytes, and gives other bytes"):
        await connect(server).files.upload(url_of(store), digest=False)
    assert server.stored == {}


@pytest.mark.parametrize("etag", [None, 'W/"1"'], ids=["none", "weak"])
async def test_document_replaced_within_the_same_second_is_never_sent_half(store, handmade, connect, etag):
    """Its server tells nothing that differs: size and time are the same, and so is the ETag."""
    first, second = os.urandom(5 * MIB), os.urandom(5 * MIB)
    store.put(PATH, first, etag=etag, modified=1_700_000_000.2)
    server = await handmade()

    def change(event):
        if isinstance(event, UploadProgress):
            store.put(PATH, second, etag=etag, modified=1_700_000_000.7)

    opus = connect(server, listeners=[change])
    with pytest.raises(UploadError, match="changed where it lies"):
        await opus.files.upload(f"{store.url}{PATH}", digest=False)
    assert server.stored == {}


async def test_upload_of_another_content_is_not_taken_for_that_of_an_uncertain_version(
    store, simulate, connect
):
    """Two rows name one document; it is replaced in between, and its server does not show it."""
    contents = [b"x" * 100, b"y" * 100]
    simulator = await simulate()
    opus = connect(simulator)

    async def rows():
        for content in contents:
            await until(lambda: not waiting)
            waiting.append(content)
            store.put("/a.txt", content, etag=None, modified=1_700_000_000)
            yield {"Document": RemoteFile(f"{store.url}/a.txt")}

    ended, waiting = [], []
    async for outcome in opus.run_many(DOCUMENT, rows(), max_in_flight=1):
        ended.append(outcome.outputs["SHA-256"])
        waiting.clear()
    assert ended == [sha256(content) for content in contents]


@pytest.mark.parametrize("etag", ['"\x7f"', '"' + "e" * 4000 + '"', "no quotes", '"a"b"'])
async def test_odd_etag_is_no_harm(store, simulate, connect, etag):
    store.put("/a.txt", document(1), etag=etag)
    outcome = await connect(await simulate()).run(DOCUMENT, {"Document": RemoteFile(f"{store.url}/a.txt")})
    assert outcome.ok, outcome.error
    assert {asked.condition for asked in store.reads("/a.txt")} == {None}


async def test_server_that_takes_no_condition_is_read_without(store, simulate, connect):
    store.put("/a.txt", document(1))
    store.act = lambda asked: 412 if asked.condition else None
    outcome = await connect(await simulate()).run(DOCUMENT, {"Document": RemoteFile(f"{store.url}/a.txt")})
    assert outcome.ok, outcome.error


async def test_shortage_of_this_machine_is_not_the_stores(store, simulate, connect, monkeypatch):
    store.put("/a.txt", document(1))

    async def none_left(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("fsspec.implementations.http.HTTPFileSystem._info", none_left)
    with pytest.raises(OpusError) as caught:
        await connect(await simulate()).run(DOCUMENT, {"Document": RemoteFile(f"{store.url}/a.txt")})
    assert caught.value.shortage == "open files"
