"""Files of one chunk leave in one piece, past aiohttp's session, by all rules that hold for larger ones."""

from __future__ import annotations

import asyncio
import os
import socket
from asyncio import selector_events
from pathlib import Path

import aiohttp
import pytest
from wire import SIGNATURE, answer, read_request

from opus_async.config import RetryPolicy, Timeouts
from opus_async.errors import TransportError, UploadError
from opus_async.events import RequestRetried, RequestUnanswered
from opus_async.transport.bandwidth import Bandwidth
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.files import put_file
from opus_async.transport.http import Http
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.retry import Retrier
from opus_async.transport.sources import BytesSource, PathSource

TARGET = "/media/a%28b%29%2F%40%7E+c.pdf?X-Amz-SignedHeaders=host&x=%28%2F%40%7E+&" + SIGNATURE
CONTENT = os.urandom(90_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "invoice.pdf"
    made.write_bytes(CONTENT)
    return made


@pytest.fixture
async def http(monkeypatch):
    """A client that fails the test when it asks aiohttp's session."""
    monkeypatch.setattr(aiohttp.ClientSession, "request", lambda *_, **__: pytest.fail("by the session"))
    made = Http(Timeouts())
    yield made
    await made.close()


async def put(http, served, source, **options):
    url = f"{served.url}{TARGET}"
    return await put_file(http, url, source, **{"content_type": None, "stall": 5.0, **options})


async def mute(served, reader, writer):
    await read_request(served, reader)
    await reader.read()


async def test_whole_file_leaves_as_it_is_without_headers_of_ours(serve, http, path):
    served = await serve(answer())
    assert (await put(http, served, PathSource(path))).status == 200
    assert (served.target, served.bodies) == (TARGET, [CONTENT])
    assert served.header("Content-Length") == str(len(CONTENT))
    for absent in ("Content-Type", "Transfer-Encoding", "Expect", "x-service-key", "Cookie"):
        assert served.header(absent) is None, absent
    await put(http, served, BytesSource("a.pdf", b""), content_type="application/pdf")
    assert (served.header("Content-Type"), served.header("Content-Length")) == ("application/pdf", "0")


async def test_whole_file_that_is_not_answered_is_a_stall(serve, http, path):
    served = await serve(mute)
    with pytest.raises(TransportError, match=r"stalled: no byte moved for 0.05 s") as caught:
        await put(http, served, PathSource(path), stall=0.05)
    assert (caught.value.request_sent, caught.value.retryable) == (True, True)
    assert SIGNATURE not in str(caught.value)
    assert caught.value.__context__ is None


async def test_whole_file_that_stalls_on_a_used_connection_is_not_sent_again_by_itself(serve, http, path):
    served = await serve(answer(), mute)
    await put(http, served, PathSource(path))
    with pytest.raises(TransportError, match="stalled"):
        await put(http, served, PathSource(path), stall=0.05)
    assert (len(served.bodies), served.connections) == (2, 1)


async def test_whole_file_over_connection_that_was_closed_is_sent_again_by_the_retrier_alone(
    serve, http, path
):
    async def once(served, reader, writer):
        await read_request(served, reader)
        writer.write(answer())
        await reader.readuntil(b"\r\n\r\n")  # the next request, which is cut

    served = await serve(once)
    events = []
    retrier = Retrier(RetryPolicy(base=0.001), RequestLimiter(1), notify=Dispatcher([events.append]))
    for _ in range(3):
        await retrier.call("put", lambda _: put(http, served, PathSource(path)))
    assert served.bodies == [CONTENT] * 3
    assert list(map(type, events)) == [RequestUnanswered, RequestRetried] * 2


async def test_whole_file_is_not_believed_stored_before_all_of_it_was_sent(serve, http, path, monkeypatch):
    served = await serve(answer())
    waiting = selector_events._SelectorSocketTransport.get_write_buffer_size
    monkeypatch.setattr(
        selector_events._SelectorSocketTransport, "get_write_buffer_size", lambda self: waiting(self) + 1000
    )
    with pytest.raises(TransportError, match=r"said yes to invoice.pdf after 89,000 of 90,000 bytes"):
        await put(http, served, PathSource(path))


async def test_whole_file_refused_or_redirected_tells_why(serve, http, path):
    served = await serve(answer(503, b"<Error><Code>SlowDown</Code></Error>"), answer(307, Location="/x"))
    with pytest.raises(UploadError, match="fewer uploads") as caught:
        await put(http, served, PathSource(path))
    assert (caught.value.status, caught.value.code) == (503, "SlowDown")
    with pytest.raises(UploadError, match="followed nowhere"):
        await put(http, served, PathSource(path))
    assert len(served.heads) == 2


async def test_whole_file_waits_for_bandwidth_and_tells_its_progress(serve, http, path):
    served = await serve(answer())
    loop, seen = asyncio.get_running_loop(), []
    bandwidth = Bandwidth(1_000_000)
    await put(http, served, PathSource(path), bandwidth=bandwidth)
    began = loop.time()
    await put(
        http, served, PathSource(path), bandwidth=bandwidth, stall=5, on_progress=lambda *at: seen.append(at)
    )
    assert loop.time() - began > 0.04
    assert seen == [(len(CONTENT), len(CONTENT))]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_whole_file_cancelled_at_any_moment_leaves_nothing(serve, path, turns):
    """The fixture that looks for open files, sockets and tasks is what fails here."""
    served = await serve(mute)
    http = Http(Timeouts())
    sending = asyncio.create_task(put(http, served, PathSource(path)))
    for _ in range(turns):
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await http.close()


async def test_whole_file_over_connection_that_is_reset_is_retryable(serve, http, path):
    async def reset(served, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    served = await serve(reset)
    with pytest.raises(TransportError) as caught:
        await put(http, served, PathSource(path))
    assert (caught.value.request_sent, caught.value.retryable) == (True, True)
    assert served.connections == 1
