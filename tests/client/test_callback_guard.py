"""What strangers can do to the port of a callback receiver: nothing that lasts, and little that costs."""

from __future__ import annotations

import asyncio
import functools
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager

import late_connections
import pytest

from opus_async import CallbackReceiver
from opus_async.opus import callbacks
from opus_async.opus.connection_guard import MAX_HEAD, ConnectionGuard

HALF = b"POST /x HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
async def listening(monkeypatch):
    """A receiver whose port is impatient; gives it and its port."""
    guards = []

    def guard(serve, **bounds):
        guards.append(ConnectionGuard(serve, **{"most": 5, "seconds": (0.3, 0.6)} | bounds))
        return guards[-1]

    monkeypatch.setattr(callbacks, "ConnectionGuard", guard)
    receiver = CallbackReceiver()
    async with receiver.listening() as url:
        yield receiver, int(url.rpartition(":")[2])
    await asyncio.sleep(0)
    assert all(len(guard) == 0 for guard in guards)


class Caller:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connected(cls, port, **how):
        return cls(*await asyncio.open_connection("127.0.0.1", port, **how))

    def say(self, data):
        self.writer.write(data)

    async def hear(self):
        """All until the connection ends."""
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            self.writer.close()


def call_of(receiver, job_id, *, headers=b"", body=b"{}"):
    path = receiver.url_for(job_id).partition("//")[2].partition("/")[2].encode()
    head = b"POST /" + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    return head + headers + b"\r\n" + body


@pytest.mark.parametrize(
    "said",
    [b"", HALF, b"P", HALF + b"Content-Length: 9\r\n\r\n{", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"],
    ids=["nothing", "half a head", "a letter", "half a body", "one request and nothing more"],
)
async def test_connection_guard_closes_connection_without_complete_request(listening, said):
    _, port = listening
    caller = await Caller.connected(port)
    caller.say(said)
    await caller.hear()  # to its end


async def test_connection_guard_closes_connection_with_trickling_head(listening):
    _, port = listening
    caller = await Caller.connected(port)

    caller.say(HALF + b"X-Slow: ")

    async def drip():
        while not caller.writer.transport.is_closing():
            caller.say(b"x")
            await asyncio.sleep(0.02)

    dripping = asyncio.ensure_future(drip())
    assert await caller.hear() == b""
    await dripping


async def test_connection_guard_closes_connection_with_oversized_head(listening):
    _, port = listening
    caller = await Caller.connected(port)
    caller.say(HALF + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 4000) for n in range(2 * MAX_HEAD // 4000)))
    await caller.hear()


async def test_connection_guard_bounds_connections_and_serves_genuine_call(listening):
    receiver, port = listening
    strangers = [await Caller.connected(port) for _ in range(20)]
    genuine = await Caller.connected(port)
    genuine.say(call_of(receiver, "2514", headers=b"Connection: close\r\n"))
    assert (await genuine.hear()).startswith(b"HTTP/1.1 204")
    assert receiver.counts.accepted == 1
    for stranger in strangers:
        await stranger.hear()


async def test_connection_guard_prefers_connection_with_request(listening):
    receiver, port = listening
    busy = await Caller.connected(port)
    call = call_of(receiver, "2514", body=b"x" * 100)
    busy.say(call[:-50])
    await asyncio.sleep(0.05)
    strangers = [await Caller.connected(port) for _ in range(8)]
    await asyncio.sleep(0.05)
    busy.say(call[-50:])
    assert (await busy.reader.read(12)) == b"HTTP/1.1 204"
    for caller in (busy, *strangers):
        await caller.hear()


async def test_connection_guard_serves_successive_calls_on_one_connection(listening):
    receiver, port = listening
    caller = await Caller.connected(port)
    for number in range(5):
        caller.say(call_of(receiver, str(number)))
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        await asyncio.sleep(0.1)
    assert receiver.counts.accepted == 5
    await caller.hear()


@pytest.fixture
def contexts(tmp_path):
    """For a server on this machine, and for a client that trusts it."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("makes a certificate with openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    kind = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = ("-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    made = [openssl, *kind, *names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context, ssl.create_default_context(cafile=certificate)


async def test_connection_guard_closes_idle_tls_connection(monkeypatch, contexts):
    context, trusting = contexts
    monkeypatch.setattr(callbacks, "ConnectionGuard", functools.partial(ConnectionGuard, seconds=(0.3, 0.6)))
    receiver = CallbackReceiver()
    async with receiver.listening(ssl_context=context) as url:
        port = int(url.rpartition(":")[2])
        genuine = await Caller.connected(port, ssl=trusting)
        genuine.say(call_of(receiver, "2514", headers=b"Connection: close\r\n"))
        assert (await genuine.hear()).startswith(b"HTTP/1.1 204")
        quiet = await Caller.connected(port, ssl=trusting)
        await quiet.hear()


@asynccontextmanager
async def receiving():
    async with CallbackReceiver().listening() as url:
        yield int(url.rpartition(":")[2])


@pytest.mark.parametrize("steps", late_connections.STEPS)
async def test_connection_that_comes_as_the_receiver_closes_is_ended(steps):
    assert await late_connections.is_ended(receiving(), steps)


@pytest.mark.parametrize("closed", [False, True])
async def test_connection_that_reaches_its_protocol_after_the_end_is_cut_off(closed):
    served = []

    class Serving(asyncio.Protocol):
        def connection_made(self, transport):
            served.append(transport)
            transport.close()

    guard = ConnectionGuard(Serving)
    guard.closed = closed
    server = await asyncio.get_running_loop().create_server(guard, "127.0.0.1", 0)
    caller = await Caller.connected(server.sockets[0].getsockname()[1])
    assert await caller.hear() == b""
    server.close()
    assert len(served) == (not closed)
    assert len(guard) == 0
