"""One upload over a real socket, from a real file: all of it arrives, or nothing looks whole."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import logging
import os
import socket
import threading
from pathlib import Path

import aiohttp
import pytest
from wire import KEY, SIGNATURE, Served, answer, read_request

from opus_async.config import RetryPolicy, Timeouts
from opus_async.errors import OpusError, TransportError, UploadError
from opus_async.events import RequestUnanswered
from opus_async.transport import open_source
from opus_async.transport.bandwidth import Bandwidth
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.files import mime_type, put_file
from opus_async.transport.http import Http
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.retry import Retrier
from opus_async.transport.sources import BytesSource, FileObjectSource, PathSource, digest
from opus_async.transport.urls import signed_headers

TARGET = "/media/a%28b%29%2F%40%7E+c.pdf?X-Amz-SignedHeaders=host&x=%28%2F%40%7E+&" + SIGNATURE
BOUNDARY = 64 * 1024
CONTENT = os.urandom(10 * BOUNDARY + 17)
LARGE = 24 * 2**20
"""More than the kernel's buffers on both sides hold, so that the sender has to wait for the reader."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "invoice.pdf"
    made.write_bytes(CONTENT)
    return made


@pytest.fixture
def large(tmp_path: Path) -> Path:
    made = tmp_path / "large.pdf"
    made.write_bytes(bytes(LARGE))
    return made


@pytest.fixture
async def http():
    made = Http(Timeouts())
    yield made
    await made.close()


async def put(http: Http, served: Served, source, **options):
    return await put_file(
        http, served.url + TARGET, source, **{"content_type": None, "stall": 5.0, **options}
    )


async def test_upload_sends_exact_body_and_no_extra_headers(serve, http, path):
    served = await serve(answer())
    assert (await put(http, served, PathSource(path))).status == 200
    assert served.target == TARGET
    assert served.bodies == [CONTENT]
    assert served.header("Content-Length") == str(len(CONTENT))
    for absent in ("Content-Type", "Transfer-Encoding", "Expect", "x-service-key", "Cookie"):
        assert served.header(absent) is None, absent


async def test_trap_28_a_content_type_is_sent_exactly_when_given(serve, http, path):
    served = await serve(answer())
    await put(http, served, PathSource(path), content_type="application/pdf")
    assert served.header("Content-Type") == "application/pdf"
    await put(http, served, BytesSource("a.pdf", b"x"))
    assert served.header("Content-Type") is None


def sources(path: Path):
    handle = path.open("rb")
    memory = io.BytesIO(b"skipped" + CONTENT)
    memory.seek(7)
    return handle, [
        PathSource(path),
        PathSource(str(path), filename="b.pdf"),
        BytesSource("c.pdf", CONTENT),
        FileObjectSource("d.pdf", handle),
        FileObjectSource("e.pdf", memory),
    ]


async def test_upload_source_can_be_sent_repeatedly_and_concurrently(serve, http, path):
    served = await serve(answer())
    handle, made = sources(path)
    for source in made:
        assert source.size == len(CONTENT)
        assert await digest(source) == hashlib.sha256(CONTENT).hexdigest()
        await asyncio.gather(*(put(http, served, source) for _ in range(3)))
    assert served.bodies == [CONTENT] * 15
    assert not handle.closed
    handle.close()


async def test_upload_over_tls_to_slow_reader_arrives_whole(serve, certificate, tmp_path):
    content = os.urandom(6_000_000)
    path = tmp_path / "large.pdf"
    path.write_bytes(content)
    received = bytearray()

    async def slow(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        while len(received) < len(content):
            received.extend(await reader.read(300_000))
            await asyncio.sleep(0)
        writer.write(answer())
        await writer.drain()

    served = await serve(slow, ssl=certificate)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        http = Http(Timeouts(), session=session)
        url = f"https://127.0.0.1:{served.port}{TARGET}"
        for source in (PathSource(path), BytesSource("a", content)):
            received.clear()
            await put_file(http, url, source, content_type=None, stall=5)
            assert received == content


@pytest.mark.parametrize("size", [0, 1, 64 * 1024 - 1, 96 * 1024, 96 * 1024 + 1])
async def test_upload_of_sizes_around_a_chunk_arrives_whole(serve, http, tmp_path, size):
    served = await serve(answer())
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT[:size])
    for source in (
        PathSource(path),
        BytesSource("a", CONTENT[:size]),
        FileObjectSource("a", io.BytesIO(CONTENT[:size])),
    ):
        await put(http, served, source)
        assert served.bodies[-1] == CONTENT[:size]
        assert served.header("Content-Length") == str(size)


def cold(*_):
    raise BlockingIOError


def unknown(*_):
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.mark.parametrize("preadv", [cold, unknown, None])
async def test_upload_reads_in_executor_if_nonblocking_read_is_unavailable(
    serve, http, path, monkeypatch, preadv
):
    if preadv is None:
        monkeypatch.setattr(open_source, "_NOWAIT", 0)
    else:
        monkeypatch.setattr(os, "preadv", preadv)
    served = await serve(answer())
    await put(http, served, PathSource(path))
    assert served.bodies == [CONTENT]


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("boundary", range(11))
async def test_upload_cut_anywhere_is_resent_from_start(serve, http, path, boundary, how):
    async def cut(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(boundary * BOUNDARY)
        if how == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()

    served = await serve(cut, answer())
    events = []
    gate = RequestLimiter(2)
    retrier = Retrier(RetryPolicy(base=0.001), gate, notify=Dispatcher([events.append]))
    source = PathSource(path)
    response = await retrier.call("put", lambda _: put(http, served, source))
    assert response.status == 200
    assert served.bodies == [CONTENT]
    assert len(served.heads) == served.connections - 1 == 1, "aiohttp must not send it again by itself"
    unanswered, retried = events
    assert isinstance(unanswered, RequestUnanswered)
    assert "broken" in retried.reason


async def test_upload_over_dead_pooled_connection_sends_body_once(serve, http, path):
    async def once(served, reader, writer):
        await read_request(served, reader)
        writer.write(answer())
        await writer.drain()

    served = await serve(once)
    retrier = Retrier(RetryPolicy(base=0.001), RequestLimiter(1))
    for _ in range(5):
        await retrier.call("put", lambda _: put(http, served, PathSource(path)))
    assert served.bodies == [CONTENT] * 5


XML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<Error><Code>{}</Code><Message>{}</Message><RequestId>1</RequestId>
<SignatureProvided>f00dfacef00dface</SignatureProvided></Error>"""


@pytest.mark.parametrize(
    ("refusal", "match"),
    [
        ((403, "AccessDenied", "Request has expired"), "the URL has expired: ask for a new one"),
        ((403, "AccessDenied", "Access Denied"), "ask for a new URL"),
        ((403, "SignatureDoesNotMatch", "The request signature &amp; more"), "Content-Type was not signed"),
        ((403, "RequestTimeTooSkewed", "The difference is too large"), "clock is wrong"),
        ((503, "SlowDown", "Reduce your request rate"), "fewer uploads"),
        ((400, "EntityTooLarge", "&b;&b;"), "larger than storage takes"),
        ((403, "AccessDenied", "see https://h/p?" + SIGNATURE), "ask for a new URL"),
        ((403, "AccessDenied", SIGNATURE), "ask for a new URL"),
    ],
)
async def test_upload_refusal_tells_reason_and_remedy(serve, http, path, refusal, match):
    status, code, message = refusal
    served = await serve(answer(status, XML.format(code, message).encode()))
    with pytest.raises(UploadError, match=match) as caught:
        await put(http, served, PathSource(path))
    assert (caught.value.status, caught.value.code, caught.value.filename) == (status, code, "invoice.pdf")
    assert "f00dface" not in str(caught.value)
    assert f"HTTP {status} ({code}: " in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"<html>502 Bad Gateway</html>", b"\xff\xfe", b"<Code></Code>", b"x" * 200_000]
)
async def test_upload_refusal_without_reason_says_so(serve, http, path, body):
    served = await serve(answer(502, body))
    with pytest.raises(UploadError, match=r"HTTP 502 \(without a reason\)") as caught:
        await put(http, served, PathSource(path))
    assert caught.value.code is None


async def test_upload_does_not_follow_redirects(serve, http, path):
    other = await serve(answer())
    served = await serve(answer(307, Location=f"{other.url}/x"))
    with pytest.raises(UploadError, match="followed nowhere") as caught:
        await put(http, served, PathSource(path))
    assert caught.value.status == 307
    assert other.connections == 0
    assert len(served.heads) == 1


@pytest.mark.parametrize("keep_open", [True, False])
@pytest.mark.parametrize("size", [10_000, 300_000, 2_000_000, LARGE])
async def test_upload_reads_early_refusal(serve, http, tmp_path, size, keep_open):
    async def refuse(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            answer(403, XML.format("AccessDenied", "Request has expired").encode(), Connection="close")
        )
        await writer.drain()
        if keep_open:
            await asyncio.sleep(0.05)

    path = tmp_path / "early.pdf"
    path.write_bytes(bytes(size))
    served = await serve(refuse)
    heard = []
    for _ in range(10):
        with pytest.raises((UploadError, TransportError)) as caught:  # the reset may be faster, but rarely is
            await put(http, served, PathSource(path))
        heard.append(getattr(caught.value, "status", None))
    assert set(heard) <= {403, None}
    assert heard.count(403) >= 8


async def test_upload_does_not_believe_early_success(serve, http, large):
    async def accept(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(200))
        await writer.drain()
        await asyncio.sleep(0.05)

    served = await serve(accept)
    with pytest.raises(TransportError, match=r"said yes to large.pdf after .* of 25,165,824 bytes") as caught:
        await put(http, served, PathSource(large))
    assert caught.value.request_sent
    assert caught.value.retryable


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def shrink_by_one(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def rewrite(path: Path) -> None:
    size = path.stat().st_size
    before = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(b"y" * size)
    os.utime(path, ns=(before + 1, before + 1))


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(b"z" * path.stat().st_size)
    other.replace(path)


@pytest.mark.parametrize("change", [grow, shrink, shrink_by_one, rewrite])
async def test_trap_30_a_file_that_changes_while_it_is_sent_never_looks_whole(serve, http, large, change):
    received = 0
    over = asyncio.Event()

    async def slow(served, reader, writer):
        nonlocal received
        try:
            await reader.readuntil(b"\r\n\r\n")
            received += len(await reader.readexactly(BOUNDARY))
            change(large)
            while chunk := await reader.read(2**20):
                received += len(chunk)
        except ConnectionError:
            pass
        finally:
            over.set()

    served = await serve(slow)
    retrier = Retrier(RetryPolicy(), RequestLimiter(1))
    source = PathSource(large)
    with pytest.raises(UploadError, match=r"large.pdf changed while it was being uploaded") as caught:
        await retrier.call("put", lambda _: put(http, served, source))
    await over.wait()
    assert received < LARGE
    assert served.connections == 1, "it is not tried again"
    assert caught.value.status is None


@pytest.mark.parametrize("change", [grow, shrink, rewrite, replace])
async def test_upload_of_file_changed_before_sending_is_not_sent(serve, http, path, change):
    served = await serve(answer())
    source = PathSource(path)
    await digest(source)
    change(path)
    with pytest.raises(UploadError, match="changed"):
        await put(http, served, source)
    with pytest.raises(UploadError, match="changed"):
        await digest(source)
    assert served.connections == 0


async def test_upload_of_empty_file_that_grew_raises(serve, http, tmp_path):
    path = tmp_path / "empty.txt"
    path.touch()
    served = await serve(answer())
    source = PathSource(path)
    grow(path)
    with pytest.raises(UploadError, match="changed"):
        await put(http, served, source)


async def test_upload_of_file_object_that_shrank_grew_or_closed_raises(serve, http, path):
    served = await serve(answer())
    memory = io.BytesIO(CONTENT)
    source = FileObjectSource("memory.pdf", memory)
    memory.truncate(1000)
    with pytest.raises(UploadError, match=r"memory.pdf changed"):
        await put(http, served, source)
    memory.seek(0)
    memory.write(CONTENT + b"x")
    with pytest.raises(UploadError, match=r"memory.pdf changed"):
        await put(http, served, source)
    with pytest.raises(UploadError, match=r"memory.pdf changed"):
        await digest(source)
    memory.close()
    with pytest.raises(UploadError, match=r"memory.pdf cannot be read"):
        await put(http, served, source)
    with pytest.raises(UploadError, match="cannot be read"):
        await asyncio.to_thread(source.check)


async def test_upload_read_error_names_file_and_cause(serve, http, path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(open_source, "_NOWAIT", 0)
    monkeypatch.setattr(os, "pread", broken)
    served = await serve(answer())
    with pytest.raises(UploadError, match=r"invoice.pdf cannot be read \(Input/output error\)"):
        await put(http, served, PathSource(path))


async def test_upload_source_refuses_path_that_is_no_file(http, tmp_path, path):
    for wrong in (tmp_path / "absent.pdf", tmp_path, "a\0b"):
        with pytest.raises(UploadError, match=r"cannot be read|not a regular file") as caught:
            PathSource(wrong)
        assert caught.value.__cause__ is None
    source = PathSource(path)
    path.unlink()
    with pytest.raises(UploadError, match="No such file"):
        await put_file(http, "http://127.0.0.1:1/", source, content_type=None, stall=1)


def test_upload_source_refuses_unseekable_text_or_closed_file_object(path):
    reading_end, writing_end = os.pipe()
    with (
        os.fdopen(reading_end, "rb") as pipe,
        os.fdopen(writing_end, "wb"),
        pytest.raises(UploadError, match="cannot seek"),
    ):
        FileObjectSource("pipe", pipe)
    with path.open(encoding="latin-1") as text, pytest.raises(UploadError, match="'rb'"):
        FileObjectSource("text", text)
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(UploadError):
        FileObjectSource("closed", closed)


async def test_upload_stall_raises_and_leaves_nothing(serve, http, large):
    async def stuck(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    served = await serve(stuck)
    with pytest.raises(TransportError, match=r"stalled: no byte moved for 0.08 s") as caught:
        await put(http, served, PathSource(large), stall=0.08)
    assert caught.value.request_sent
    assert caught.value.retryable


async def test_upload_without_response_is_a_stall(serve, http, path):
    async def mute(served, reader, writer):
        await read_request(served, reader)
        await reader.read()

    served = await serve(mute)
    with pytest.raises(TransportError, match="stalled"):
        await put(http, served, PathSource(path), stall=0.05)
    assert served.bodies == [CONTENT]


async def test_upload_over_slow_line_is_no_stall(serve, http, large):
    """The bytes lie in the kernel's buffers for longer than the stall time, and move."""

    async def slow(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        left = LARGE
        for _ in range(16):
            await asyncio.sleep(0.04)
            left -= len(await reader.readexactly(min(left, LARGE // 16)))
        await reader.readexactly(left)
        writer.write(answer())

    served = await serve(slow)
    assert (await put(http, served, PathSource(large), stall=0.4)).status == 200


async def test_upload_wait_for_own_bandwidth_limit_is_no_stall(serve, http, path):
    served = await serve(answer())
    began = asyncio.get_running_loop().time()
    await put(http, served, PathSource(path), stall=0.02, bandwidth=Bandwidth(6_000_000))
    assert asyncio.get_running_loop().time() - began > 0.04
    assert served.bodies == [CONTENT]


async def test_upload_connect_timeout_counts_as_request_not_sent(path, monkeypatch):
    async def getaddrinfo(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    http = Http(Timeouts(connect=0.05))
    with pytest.raises(TransportError, match=r"no connection within 0.05 s") as caught:
        await put_file(http, "http://bucket.example/x", PathSource(path), content_type=None, stall=0.1)
    assert not caught.value.request_sent
    await http.close()


async def test_upload_reports_progress_and_drops_raising_listener(serve, http, path, caplog):
    served = await serve(answer())
    seen = []
    await put(http, served, PathSource(path), on_progress=lambda sent, size: seen.append((sent, size)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    calls = []

    def bad(*_):
        calls.append(1)
        raise ValueError

    await put(http, served, PathSource(path), on_progress=bad)
    assert calls == [1]
    assert "on_progress raised for invoice.pdf" in caplog.text


@pytest.mark.parametrize("where", [cold, None])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50])
async def test_upload_cancel_at_any_moment_leaves_nothing(serve, large, turns, where, monkeypatch):
    """The fixture that looks for open files, sockets and tasks is what fails here."""

    async def stuck(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    if where is cold:
        monkeypatch.setattr(os, "preadv", cold)
    served = await serve(stuck)
    http = Http(Timeouts())
    sending = asyncio.create_task(put(http, served, PathSource(large)))
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await http.close()


async def test_upload_file_is_closed_only_after_thread_has_read(path, monkeypatch):
    entered, leave = threading.Event(), threading.Event()
    real = os.pread

    def slow(*arguments):
        entered.set()
        leave.wait(5)
        return real(*arguments)

    monkeypatch.setattr(os, "pread", slow)
    opened = await PathSource(path).open()
    thread = asyncio.create_task(opened.read(10, 0))
    await asyncio.to_thread(entered.wait, 5)
    opened.close()
    opened.close()
    assert os.fstat(opened._number)
    leave.set()
    assert await thread == CONTENT[:10]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(opened._number)
    assert await opened.read(10, 0) == b""


async def test_upload_file_opened_after_cancel_is_closed(path, monkeypatch):
    entered, leave = threading.Event(), threading.Event()
    real = os.open

    def slow(*arguments):
        entered.set()
        leave.wait(5)
        return real(*arguments)

    monkeypatch.setattr(os, "open", slow)
    opening = asyncio.create_task(PathSource(path).open())
    await asyncio.to_thread(entered.wait, 5)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    leave.set()


@pytest.mark.parametrize("kind", ["path", "object"])
async def test_upload_digest_stops_when_cancelled(path, kind, monkeypatch):
    entered, leave = threading.Event(), threading.Event()
    pieces = []

    class Slow:
        def update(self, piece):
            pieces.append(len(piece))
            entered.set()
            leave.wait(5)

        def hexdigest(self):
            return ""

    with path.open("rb") as handle:
        source = PathSource(path) if kind == "path" else FileObjectSource("a", handle)
        monkeypatch.setattr(hashlib, "sha256", Slow)
        hashing = asyncio.create_task(digest(source))
        await asyncio.to_thread(entered.wait, 5)
        hashing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hashing
        leave.set()
        await asyncio.get_running_loop().shutdown_default_executor()
    assert len(pieces) == 1
    assert pieces[0] < len(CONTENT)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/p?X-Amz-SignedHeaders=host&X-Amz-Signature=1", {"host"}),
        ("https://h/p?X-Amz-SignedHeaders=content-type%3Bhost", {"content-type", "host"}),
        ("https://h/p?x-amz-signedheaders=Content-Type;Host#f", {"content-type", "host"}),
        ("https://h/p", set()),
    ],
)
def test_signed_headers_reads_header_names_from_url(url, expected):
    assert signed_headers(url) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.PDF", "application/pdf"),
        ("dir.txt/a.jpg", "image/jpeg"),
        ("a.tar.gz", "application/octet-stream"),
        ("a", "application/octet-stream"),
        (".pdf", "application/octet-stream"),
    ],
)
def test_mime_type_follows_file_extension(name, expected):
    assert mime_type(name) == expected


def test_upload_source_repr_shows_size(path):
    handle, made = sources(path)
    handle.close()
    for source in made:
        assert "655377 bytes" in repr(source)


async def test_trap_29_no_secret_is_in_any_error_repr_or_log(serve, http, path, caplog):
    import traceback

    async def cut(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")

    async def mute(served, reader, writer):
        await reader.read()

    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    replies = [
        cut,
        mute,
        answer(403, SIGNATURE.encode()),
        answer(307, Location="/?" + SIGNATURE),
        b"garbage\r\n\r\n",
    ]
    retrier = Retrier(RetryPolicy(attempts=2, base=0.001), RequestLimiter(1))
    for reply in replies:
        served = await serve(reply)
        with pytest.raises(OpusError) as caught:
            await retrier.call(
                "put", lambda _, served=served: put(http, served, PathSource(path), stall=0.03)
            )
        shown = (
            "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(vars(caught.value))
        )
        assert "f00dface" not in shown
        assert caught.value.__context__ is None
    logged = "".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
    assert "f00dface" not in logged
    assert KEY not in logged
