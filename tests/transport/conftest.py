"""A server of raw bytes, and a client of it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator

import pytest
from wire import Handler, Serve, Served, read_request

from opus_async.config import Timeouts
from opus_async.transport.http import Http


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that gives these answers in turn (the last one for ever), or does as a function says."""
    servers: list[asyncio.Server] = []
    open_now: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(*answers: bytes | Handler, **options: object) -> Served:
        left = list(answers)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            open_now[task] = writer
            served.connections += 1
            try:
                while True:
                    reply = left.pop(0) if len(left) > 1 else left[0]
                    if callable(reply):
                        await reply(served, reader, writer)
                        return
                    await read_request(served, reader)
                    writer.write(reply)
                    await writer.drain()
            except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
                pass
            finally:
                del open_now[task]
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**20, **options)
        servers.append(server)
        served = Served(server.sockets[0].getsockname()[1])
        return served

    yield start
    for server in servers:
        server.close()
    tasks = list(open_now)
    for task in tasks:
        open_now[task].transport.abort()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for server in servers:
        await server.wait_closed()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """With short time-outs."""
    made = Http(Timeouts(connect=0.15, request=0.15))
    yield made
    await made.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate that nobody trusts, made for this run."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the certificate is made by the openssl command, which is not here")
    folder = tmp_path_factory.mktemp("tls")
    kind = ("req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    names = ("-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "server.pem"))
    subprocess.run([openssl, *kind, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "key.pem")
    return context
