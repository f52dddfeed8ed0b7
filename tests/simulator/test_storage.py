"""Storage on a real socket: what it takes, what it refuses, what it records."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from yarl import URL

from opus_async.simulator.faults import FORBIDDEN, Fault


async def test_simulator_storage_stores_put_and_reports_digest_size_and_type(api):
    slot = await api.presign(originalName="note.txt")
    reply = await api.put(slot["presignedUrl"], b"one\ntwo")
    assert (reply.status, reply.raw) == (200, b"")
    upload = api.simulator.state()["uploads"][slot["fileUrl"]]
    assert upload["sha256"] == hashlib.sha256(b"one\ntwo").hexdigest()
    assert (upload["size"], upload["lines"], upload["type"], upload["puts"]) == (7, 2, "TXT", 1)
    assert upload["url_intact"] is True


async def test_simulator_storage_key_differs_from_name_in_file_url(api):
    slot = await api.presign(".pdf")
    stored_as = URL(slot["presignedUrl"]).name
    assert stored_as.endswith(".pdf")
    assert stored_as != URL(slot["fileUrl"]).name


async def test_simulator_storage_second_put_replaces_the_first(api):
    slot = await api.presign()
    await api.put(slot["presignedUrl"], b"first")
    await api.put(slot["presignedUrl"], b"second")
    upload = api.simulator.state()["uploads"][slot["fileUrl"]]
    assert (upload["puts"], upload["size"]) == (2, 6)


async def test_simulator_storage_refusal_by_fault_spares_the_next_slot_of_the_same_file(api, monkeypatch):
    slots = [await api.presign(originalName=name) for name in ("one.txt", "one.txt", "two.txt")]
    faults = api.simulator.world.faults
    monkeypatch.setattr(faults, "next", lambda *_: Fault(FORBIDDEN, 0.0))
    monkeypatch.setattr(faults, "quiet", False)
    assert [(await api.put(slot["presignedUrl"], b"x")).status for slot in slots] == [403, 200, 403]


async def test_simulator_storage_accepts_reordered_query_and_records_it(api):
    slot = await api.presign()
    path, _, query = slot["presignedUrl"].partition("?")
    reply = await api.put(path + "?" + "&".join(reversed(query.split("&"))), b"x")
    assert reply.status == 200
    assert api.simulator.state()["uploads"][slot["fileUrl"]]["url_intact"] is False


async def test_simulator_storage_refuses_wrong_signature(api):
    slot = await api.presign()
    reply = await api.put(slot["presignedUrl"] + "0", b"x")
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    assert reply.headers["Content-Type"] == "application/xml"


async def test_simulator_storage_refuses_expired_url(serve, clock):
    api = await serve(clock=clock, url_expiry=60)
    slot = await api.presign()
    clock.forward(61)
    reply = await api.put(slot["presignedUrl"], b"x")
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert b"Request has expired" in reply.raw


async def test_simulator_storage_refuses_unsigned_content_type_unless_trait_is_lax(serve):
    strict, lax = await serve(), await serve(traits=frozenset({"lax_content_type"}))
    refused = await strict.put((await strict.presign())["presignedUrl"], b"x", Content_Type="text/plain")
    assert (refused.status, refused.code) == (403, "SignatureDoesNotMatch")
    taken = await lax.put((await lax.presign())["presignedUrl"], b"x", Content_Type="text/plain")
    assert taken.status == 200


async def test_simulator_storage_requires_signed_content_type(serve):
    api = await serve(sign_content_type="always")
    url = (await api.presign(".pdf"))["presignedUrl"]
    assert "X-Amz-SignedHeaders=content-type%3Bhost" in url
    assert (await api.put(url, b"x")).code == "SignatureDoesNotMatch"
    assert (await api.put(url, b"x", Content_Type="application/pdf")).status == 200


async def test_simulator_presign_can_sign_content_type_every_second_time(serve):
    api = await serve(sign_content_type="alternate")
    signed = ["content-type" in (await api.presign())["presignedUrl"] for _ in range(4)]
    assert signed == [False, True, False, True]


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [("POST", 404, "NoSuchKey"), ("GET", 404, "NoSuchKey"), ("DELETE", 405, "MethodNotAllowed")],
)
async def test_simulator_storage_refuses_other_methods_at_an_empty_slot(api, method, status, code):
    reply = await api.put((await api.presign())["presignedUrl"], None, method=method)
    assert (reply.status, reply.code) == (status, code)


async def test_simulator_storage_put_to_unknown_key_is_404(api):
    reply = await api.put(api.simulator.storage_url + "/opus-simulator-x1/nothing.txt", b"x")
    assert (reply.status, reply.code) == (404, "NoSuchKey")


async def test_simulator_storage_answers_501_to_chunked_body(api):
    async def body():
        yield b"x"

    reply = await api.put((await api.presign())["presignedUrl"], body())
    assert (reply.status, reply.code) == (501, "NotImplemented")


async def raw_put(url, head="", body=b""):
    parts = URL(url, encoded=True)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)
    host = f"Host: {parts.host}:{parts.port}\r\nConnection: close\r\n"
    writer.write(f"PUT {parts.raw_path_qs} HTTP/1.1\r\n{host}{head}\r\n".encode() + body)
    return reader, writer


async def test_simulator_storage_answers_411_without_content_length(api):
    reader, writer = await raw_put((await api.presign())["presignedUrl"])
    answer = await reader.read()
    writer.close()
    assert b" 411 " in answer
    assert b"<Code>MissingContentLength</Code>" in answer


async def test_simulator_storage_sends_100_continue_if_expected(api):
    url = (await api.presign())["presignedUrl"]
    reader, writer = await raw_put(url, "Content-Length: 3\r\nExpect: 100-continue\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_simulator_storage_stores_nothing_if_body_ends_early(api):
    slot = await api.presign()
    reader, writer = await raw_put(slot["presignedUrl"], "Content-Length: 10\r\n", b"short")
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert api.simulator.state()["uploads"][slot["fileUrl"]]["stored"] is False


async def test_simulator_storage_size_limit_is_exact(serve):
    api = await serve(max_file_size=1000)
    assert (await api.put((await api.presign())["presignedUrl"], b"x" * 1000)).status == 200
    reply = await api.put((await api.presign())["presignedUrl"], b"x" * 1001)
    assert (reply.status, reply.code) == (400, "EntityTooLarge")


@pytest.mark.parametrize("header", ["x_service_key", "Authorization"])
async def test_simulator_storage_put_with_credential_header_is_refused_and_recorded_as_leak(api, header):
    reply = await api.put((await api.presign())["presignedUrl"], b"x", **{header: "very-secret"})
    assert reply.status == 400
    leaks = api.simulator.state()["leaks"]
    assert [leak["header"] for leak in leaks] == [header.replace("_", "-").lower()]
    assert "very-secret" not in str(leaks)


async def test_simulator_storage_stores_empty_file(api):
    slot = await api.presign()
    assert (await api.put(slot["presignedUrl"], b"")).status == 200
    upload = api.simulator.state()["uploads"][slot["fileUrl"]]
    assert (upload["size"], upload["lines"]) == (0, 0)


async def test_simulator_storage_keeps_bytes_on_disk_with_keep_files(serve, tmp_path):
    api = await serve(keep_files=tmp_path / "kept")
    url = await api.upload(b"keep me")
    assert (tmp_path / "kept" / url.rpartition("/")[2]).read_bytes() == b"keep me"
