"""Presigned URLs that an API asked over https names: a file moves over https, or not at all."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager

import aiohttp
import pytest

from opus_async import OpusClient, ProtocolError

DOCUMENT = "D0cumentWorkfl0w"
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate with openssl")


@pytest.fixture
def certificate(tmp_path):
    """What a server of 127.0.0.1 shows, and what trusts it."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "7", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=30,
    )
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return shown, ssl.create_default_context(cafile=tmp_path / "cert.pem")


@asynccontextmanager
async def tls_in_front(port, context):
    """A server that passes on what it decrypts, to a port of this machine, and back."""

    async def pass_on(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def connected(reader, writer):
        there = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as both:
            both.create_task(pass_on(reader, there[1]))
            both.create_task(pass_on(there[0], writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if task.get_coro().__qualname__.startswith("tls_in_front"):
                await task


@pytest.mark.parametrize("api", ["v0", "v1"])
async def test_presigned_url_over_http_is_refused_if_api_is_https(simulate, certificate, tmp_path, api):
    simulator = await simulate(keep_files=tmp_path / "kept")
    shown, trusting = certificate
    port = int(simulator.base_url.rpartition(":")[2])
    async with (
        tls_in_front(port, shown) as outside,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
        OpusClient(
            simulator.service_key, base_url=f"https://127.0.0.1:{outside}", api=api, session=session
        ) as opus,
        OpusClient(simulator.service_key, base_url=simulator.base_url, api=api) as plain,
    ):
        with pytest.raises(ProtocolError, match="over plain http") as refused:
            await opus.files.upload(b"content", filename="a.txt", workflow_id=DOCUMENT)
        assert not refused.value.retryable
        asked = list(simulator.state()["uploads"].values())
        assert len(asked) == 1, "asked once, for asking again would not help"
        assert not any(upload["stored"] or upload["puts"] for upload in asked)
        uploaded = await plain.files.upload(b"content", filename="a.txt", workflow_id=DOCUMENT)
        with pytest.raises(ProtocolError, match="over plain http"):
            await opus.files.download(uploaded.url, tmp_path / "a.txt")
        assert not (tmp_path / "a.txt").exists()
        assert (await plain.files.download(uploaded.url, tmp_path / "a.txt")).size == 7
