"""Files on their way through the client: what storage refuses, what changes meanwhile, what never leaves."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from client_tools import DOCUMENT, KEY, MODERN, document, sha256
from handmade_opus import RESET_AFTER, RESET_BEFORE, redirect, xml_error

from opus_async import (
    InvalidInputs,
    JobRequest,
    OpusError,
    RequestSent,
    TransportError,
    UploadError,
    UploadProgress,
)

MIB = 1024 * 1024
EXPIRED = xml_error(403, "AccessDenied", "Request has expired")
MISMATCH = xml_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")


def types_sent(server):
    return [seen.headers.get("content-type") for seen in server.of("put")]


def wants_type(seen):
    return "ok" if seen.headers.get("content-type") == "text/plain" else MISMATCH


def wants_none(seen):
    return MISMATCH if "content-type" in seen.headers else "ok"


# Content-Type


@pytest.mark.parametrize("mode", ["never", "always", "alternate"])
@pytest.mark.parametrize("traits", [frozenset(), frozenset({"lax_content_type"})])
async def test_trap_28_content_type_is_sent_only_if_signed(simulate, connect, mode, traits):
    simulator = await simulate(sign_content_type=mode, traits=traits)
    opus = connect(simulator)
    for number in range(4):
        await opus.files.upload(document(number), filename=f"{number}.csv")
    sent = [upload["content_type"] for upload in simulator.state()["uploads"].values()]
    assert (
        sent
        == {
            "never": [None] * 4,
            "always": ["text/csv"] * 4,
            "alternate": [None, "text/csv", None, "text/csv"],
        }[mode]
    )
    assert simulator.state()["counters"]["requests"]["put"] == 4, "right at the first attempt"


@pytest.mark.parametrize(
    ("signed", "wants", "sent"),
    [("host", wants_type, [None, "text/plain"]), ("content-type;host", wants_none, ["text/plain", None])],
)
async def test_upload_403_is_retried_with_content_type_toggled(handmade, connect, signed, wants, sent):
    server = await handmade(signed=signed, script={"put": [wants, wants]})
    uploaded = await connect(server).files.upload(b"content", filename="a.txt")
    assert types_sent(server) == sent
    assert server.counts["presign"] == 1
    assert server.stored == {"file-1.txt": b"content"}
    assert uploaded.url.endswith("file-1.txt")


async def test_upload_gives_up_after_a_few_new_urls_are_refused(handmade, connect):
    server = await handmade(script={"put": [MISMATCH] * 100})
    with pytest.raises(UploadError, match="SignatureDoesNotMatch") as caught:
        await connect(server).files.upload(b"content", filename="a.txt")
    assert (caught.value.status, caught.value.filename) == (403, "a.txt")
    assert 2 <= server.counts["presign"] <= 4
    assert server.counts["put"] == 2 * server.counts["presign"]


async def test_upload_replaces_expired_url_without_toggling_content_type(handmade, connect):
    server = await handmade(script={"put": [EXPIRED, EXPIRED]})
    uploaded = await connect(server).files.upload(b"content", filename="a.txt")
    assert [seen.target.partition("?")[0] for seen in server.of("put")] == [
        "/bucket/file-1.txt",
        "/bucket/file-2.txt",
        "/bucket/file-3.txt",
    ]
    assert uploaded.url.endswith("file-3.txt")


async def test_upload_error_mentions_clock_if_every_url_is_expired(handmade, connect):
    server = await handmade(script={"put": [EXPIRED] * 100})
    with pytest.raises(UploadError, match="clock"):
        await connect(server).files.upload(b"content", filename="a.txt")
    assert server.counts["presign"] == 4


@pytest.mark.parametrize(
    "act", [RESET_BEFORE, RESET_AFTER, xml_error(503, "SlowDown"), xml_error(500, "InternalError")]
)
async def test_upload_resends_whole_file_after_storage_fault(handmade, connect, tmp_path, act):
    path = tmp_path / "a.txt"
    path.write_bytes(document(1, lines=5000))
    server = await handmade(script={"put": [act]})
    uploaded = await connect(server).files.upload(path)
    assert list(server.stored.values()) == [path.read_bytes()]
    assert uploaded.sha256 == sha256(path.read_bytes())
    assert server.counts["put"] == 2


async def test_upload_does_not_follow_redirects(handmade, connect):
    elsewhere = await handmade()
    server = await handmade(script={"put": [redirect(307, f"{elsewhere.base_url}/bucket/x")] * 10})
    with pytest.raises(OpusError):
        await connect(server).files.upload(b"content", filename="a.txt")
    assert elsewhere.seen == []


async def test_trap_29_the_key_never_comes_to_storage(simulate, connect, handmade):
    simulator = await simulate()
    opus = connect(simulator)
    outcomes = opus.run_many(DOCUMENT, [{"Document": (f"{n}.txt", document(n))} for n in range(10)])
    assert all([outcome.ok async for outcome in outcomes])
    assert simulator.state()["leaks"] == []
    server = await handmade()
    await connect(server).files.upload(b"content", filename="a.txt")
    [put] = server.of("put")
    assert KEY not in str(put.headers) + put.target
    assert set(put.headers) <= {"host", "content-length", "user-agent", "accept", "accept-encoding"}
    assert put.headers["content-length"] == "7"


async def test_upload_over_callers_session_leaks_nothing_and_leaves_it_open(simulate, connect):
    import aiohttp

    simulator = await simulate()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=3)) as session:
        opus = connect(simulator, session=session)
        outcomes = opus.run_many(DOCUMENT, [{"Document": (f"{n}.txt", document(n))} for n in range(20)])
        assert all([outcome.ok async for outcome in outcomes])
        await opus.close()
        assert not session.closed
    assert simulator.state()["leaks"] == []


# Sizes and types


async def test_trap_30_file_over_ten_mebibytes_is_refused_before_sending(simulate, connect, tmp_path):
    simulator = await simulate()
    opus = connect(simulator)
    full, over, empty = tmp_path / "full.pdf", tmp_path / "over.pdf", tmp_path / "empty.pdf"
    full.write_bytes(os.urandom(1024) * 10 * 1024)
    over.write_bytes(bytes(10 * MIB + 1))
    empty.write_bytes(b"")
    assert (await opus.files.upload(full)).sha256 == sha256(full.read_bytes())
    before = simulator.state()["counters"]["requests"]
    for bad, words in ((over, "10,485,761 bytes"), (empty, "is empty")):
        with pytest.raises(InvalidInputs, match=words):
            await opus.files.upload(bad)
        with pytest.raises(InvalidInputs, match=words):
            await opus.run(DOCUMENT, {"Document": bad})
    after = simulator.state()["counters"]["requests"]
    assert {name for name in after if after[name] != before.get(name)} == {"workflow"}


async def test_upload_size_limit_can_be_raised(simulate, connect):
    simulator = await simulate(max_file_size=16 * MIB)
    opus = connect(simulator, limits={"max_file_bytes": 16 * MIB})
    assert (await opus.files.upload(bytes(11 * MIB), filename="a.pdf")).size == 11 * MIB


@pytest.mark.parametrize("name", ["a.exe", "a", "a.tar.gz", "pdf", ".profile"])
async def test_trap_31_file_type_unknown_to_platform_is_refused_before_sending(simulate, connect, name):
    simulator = await simulate()
    opus = connect(simulator)
    with pytest.raises(InvalidInputs):
        await opus.files.upload(b"content", filename=name)
    with pytest.raises(InvalidInputs):
        await opus.run(DOCUMENT, {"Document": (name, b"content")})
    assert set(simulator.state()["counters"]["requests"]) == {"workflow"}


@pytest.mark.parametrize("name", ["A.PDF", "a.b.Pdf", "a b.pdf"])
async def test_upload_extension_is_case_insensitive(simulate, connect, name):
    simulator = await simulate()
    uploaded = await connect(simulator).files.upload(b"content", filename=name)
    upload = simulator.state()["uploads"][uploaded.url]
    assert upload["request"] == {"fileExtension": ".pdf", "accessScope": "organization", "originalName": name}


async def test_trap_31_file_type_not_allowed_by_input_is_refused_before_sending(simulate, connect):
    simulator = await simulate()
    inputs = {
        "Profile": {},
        "Count": 1,
        "Invoices": [("a.pdf", b"x"), ("b.png", b"x")],
        "Attachment": ("c.txt", b"x"),
    }
    with pytest.raises(InvalidInputs) as caught:
        await connect(simulator).run(MODERN, inputs)
    first, second = caught.value.problems
    assert "takes only PDF, TXT, CSV files, got 'b.png'" in first
    assert "takes only PDF files, got 'c.txt'" in second
    assert set(simulator.state()["counters"]["requests"]) == {"workflow"}


# Files that change


def changer(path, change, operation="presign"):
    """A listener that changes a file once, as soon as an operation was answered."""
    left = [path]

    def told(event):
        if isinstance(event, RequestSent) and event.operation == operation and left:
            change(left.pop())

    return told


def replace(path):
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.replace(path)


CHANGES = {
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "shrunk": lambda path: os.truncate(path, 100),
    "emptied": lambda path: os.truncate(path, 0),
    "overwritten": lambda path: path.write_bytes(bytes(len(path.read_bytes()))),
    "replaced": replace,
    "removed": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_upload_of_file_changed_after_digest_is_never_stored(simulate, connect, tmp_path, change):
    simulator = await simulate()
    path = tmp_path / "a.txt"
    path.write_bytes(document(1, lines=10_000))
    opus = connect(simulator, listeners=[changer(path, change)])
    with pytest.raises(UploadError, match=r"a\.txt") as caught:
        await opus.run(DOCUMENT, {"Document": path})
    assert (caught.value.stage, caught.value.status) == ("upload", None)
    counters = simulator.state()["counters"]
    assert (counters["stored_files"], counters["jobs"]) == (0, 0)


@pytest.mark.parametrize("name", ["grown", "shrunk", "emptied"])
async def test_trap_30_a_file_changed_while_it_is_sent_is_never_stored(simulate, connect, tmp_path, name):
    simulator = await simulate()
    path = tmp_path / "a.txt"
    path.write_bytes(os.urandom(4 * MIB))
    changed = []

    def change(event):
        if isinstance(event, UploadProgress) and not changed and 0 < event.sent < event.size:
            changed.append(event.sent)
            CHANGES[name](path)

    opus = connect(simulator, listeners=[change])
    with pytest.raises(UploadError, match="changed"):
        await opus.files.upload(path)
    assert changed
    assert simulator.state()["counters"]["stored_files"] == 0


async def test_upload_of_changed_file_fails_only_its_row(simulate, connect, tmp_path):
    simulator = await simulate()
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_bytes(document(number))

    def rows():
        for number, path in enumerate(paths):
            yield JobRequest({"Document": path}, key=str(number))

    def change(event):
        if isinstance(event, RequestSent) and event.operation == "presign" and paths[3].stat().st_size < 1000:
            paths[3].write_bytes(bytes(1000))

    opus = connect(simulator, listeners=[change])
    outcomes = {outcome.key: outcome async for outcome in opus.run_many(DOCUMENT, rows(), max_in_flight=6)}
    assert [key for key, outcome in sorted(outcomes.items()) if not outcome.ok] == ["3"]
    assert isinstance(outcomes["3"].error, UploadError)
    assert outcomes["3"].job_id is None


# How many at once


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_trap_32_never_more_files_in_flight_than_allowed(handmade, connect, concurrency):
    server = await handmade(put_delay=0.01, file_input=True)
    opus = connect(server, limits={"upload_concurrency": concurrency})
    rows = [{"Input": (f"{n}.txt", document(n))} for n in range(12)]
    many = opus.files.upload_many([_named(n) for n in range(12)])
    uploaded, outcomes = await asyncio.gather(many, _all(opus.run_many("HandmadeWorkfl0w", rows)))
    assert all(outcome.ok for outcome in outcomes)
    assert [file.sha256 for file in uploaded] == [sha256(document(n)) for n in range(12)]
    assert server.counts["put"] == 24
    assert server.most_puts <= concurrency
    assert server.most_open_slots <= concurrency, "a URL is asked for when the slot is ours, not before"
    if concurrency > 1:
        assert server.most_puts > 1


def _named(number):
    import io

    made = io.BytesIO(document(number))
    made.name = f"{number}.txt"
    return made


async def _all(stream):
    return [outcome async for outcome in stream]


async def test_upload_bandwidth_limit_is_shared_by_all_uploads(handmade, connect):
    server = await handmade()
    opus = connect(server, limits={"upload_bandwidth": 2_000_000})
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(opus.files.upload(bytes(100_000), filename=f"{n}.txt") for n in range(10)))
    assert asyncio.get_running_loop().time() - began >= 0.9 * 1_000_000 / 2_000_000 - 0.06


async def test_upload_to_hanging_storage_raises_stalled_after_retries(handmade, connect):
    async def hang(seen):
        await asyncio.sleep(30)
        return "ok"

    server = await handmade(script={"put": [hang, hang]})
    opus = connect(server, timeouts={"upload_stall": 0.1}, retry={"attempts": 2})
    with pytest.raises(TransportError, match="stalled"):
        await opus.files.upload(b"content", filename="a.txt")
    assert server.counts["put"] == 2


# Memory

HUNDRED_FILES = r"""
import asyncio
import re
import resource
import sys
from pathlib import Path

from opus_async import Limits, OpusClient

STATUS = Path("/proc/self/status")


def peak():  # ru_maxrss begins with the parent's
    if STATUS.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", STATUS.read_text())[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def main(folder):
    paths = sorted(Path(folder).iterdir())
    async with OpusClient(limits=Limits(max_file_bytes=2**30)) as opus:
        await opus.files.upload(b"x", filename="first.txt")
        before = peak()
        uploaded = await opus.files.upload_many(paths)
    assert len(uploaded) == len(paths)
    print(before, peak())


asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_trap_30_memory_stays_flat_over_a_gigabyte(simulate_apart, tmp_path, record_property):
    simulator = await simulate_apart(max_file_size=32 * MIB)
    for number in range(100):
        (tmp_path / f"{number:03}.pdf").write_bytes(f"%PDF-{number:05}\n".encode() + bytes(10_000_000))
    environment = {
        **os.environ,
        "OPUS_SERVICE_KEY": simulator.service_key,
        "OPUS_BASE_URL": simulator.base_url,
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", HUNDRED_FILES, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, peak = map(int, done.stdout.split())
    record_property("peak_rss_mb", peak)
    sys.stdout.write(f"peak RSS {peak} MB, {peak - before} MB above a client that sent one small file\n")
    assert peak < 150
    counters = (await asyncio.to_thread(simulator.state, jobs="0"))["counters"]
    assert counters["stored_files"] == 101
