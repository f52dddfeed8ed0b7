"""Files on their way back: the endpoint's two forms, URLs that expire, and where a file may go."""

from __future__ import annotations

import asyncio
import logging
import os
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from client_tools import ALL_TYPES, KEY, document, sha256
from handmade_opus import RESET_AFTER, RESET_BEFORE, TRUNCATED, Reply, redirect, said, xml_error

from opus_async import (
    DownloadedFile,
    DownloadError,
    InvalidInputs,
    NotFound,
    OpusError,
    ProtocolError,
    RequestSent,
    TransportError,
    ValidationFailed,
)
from opus_async.opus import download_paths

FILES = "https://files.opus.com/media/"
CONTENT = document(1, lines=20_000)
EXPIRED = xml_error(403, "AccessDenied", "Request has expired")
DENIED = xml_error(403, "AccessDenied", "Access Denied")
REFUSED = said(400, statusCode=400, message=["property workspaceId should not exist"])
SLOTS = 3


@pytest.fixture
async def opus(handmade, connect):
    """A server with files, and what a test needs of it and of a client."""

    async def make(stored=None, *, script=None, **options):
        server = await handmade(script=script)
        server.stored = dict(stored or {"a.txt": CONTENT})
        return SimpleNamespace(server=server, files=connect(server, **options).files)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def bodies(server):
    return [seen.json for seen in server.of("download")]


def by_workspace(seen):
    return "ok" if "workspaceId" in seen.json else REFUSED


def by_expiry(seen):
    return "ok" if "customExpiry" in seen.json else REFUSED


# The way there


async def test_download_presigns_fetches_and_emits_events(opus, folder):
    events = []
    made = await opus(listeners=[events.append])
    got = await made.files.download(FILES + "a.txt", folder / "b.txt")
    assert got == DownloadedFile(folder / "b.txt", len(CONTENT), sha256(CONTENT), "text/plain")
    assert got.path.read_bytes() == CONTENT
    assert names(folder) == ["b.txt"]
    assert bodies(made.server) == [{"fileUrl": FILES + "a.txt", "customExpiry": 3600}]
    told = [(e.operation, e.method, e.status, e.attempt) for e in events if isinstance(e, RequestSent)]
    assert told == [("download", "POST", 201, 1), ("get", "GET", 200, 1)]
    assert "?" not in "".join(event.url for event in events)


async def test_download_sends_key_to_api_and_never_to_storage(opus, folder):
    made = await opus()
    await made.files.download(FILES + "a.txt", folder)
    [asked], [fetched] = made.server.of("download"), made.server.of("get")
    assert asked.headers["x-service-key"] == KEY
    assert KEY not in str(fetched.headers) + fetched.target
    assert set(fetched.headers) <= {"host", "user-agent", "accept", "accept-encoding"}
    assert fetched.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("form", [by_workspace, by_expiry])
async def test_download_finds_and_remembers_accepted_request_form(opus, folder, form):
    made = await opus(script={"download": [form] * 20})
    for number in range(3):
        await made.files.download(FILES + "a.txt", folder / str(number), workspace_id="space-1")
    forms = [set(body) - {"fileUrl"} for body in bodies(made.server)]
    works, fails = {"workspaceId"}, {"customExpiry"}
    if form is by_expiry:
        works, fails = fails, works
    assert forms == [works] * 3 if form is by_workspace else [fails, works, works, works]


async def test_download_switches_request_form_that_stops_working(opus, folder):
    made = await opus(script={"download": [by_expiry] * 2 + [by_workspace] * 3})
    for number in range(3):
        await made.files.download(FILES + "a.txt", folder / str(number), workspace_id="space-1")
    assert [len(body) for body in bodies(made.server)] == [2] * 5
    assert ["workspaceId" in body for body in bodies(made.server)] == [True, False, False, True, True]


async def test_download_refused_in_both_request_forms_raises_first_refusal(opus, folder):
    made = await opus(script={"download": [said(400, message="first"), said(400, message="second")]})
    with pytest.raises(ValidationFailed, match="first"):
        await made.files.download(FILES + "a.txt", folder, workspace_id="space-1")
    assert made.server.counts["download"] == 2


async def test_download_without_workspace_tries_one_form_and_hints_workspace_id(opus, folder):
    made = await opus(script={"download": [by_workspace]})
    with pytest.raises(ValidationFailed, match="workspace_id="):
        await made.files.download(FILES + "a.txt", folder)
    assert made.server.counts["download"] == 1
    assert made.server.counts["get"] == 0


async def test_download_of_unknown_file_raises_not_found(opus, folder):
    made = await opus()
    with pytest.raises(NotFound):
        await made.files.download(FILES + "b.txt", folder, workspace_id="space-1")
    assert made.server.counts["download"] == 1
    assert names(folder) == []


def answers(server, **fields):
    return said(200, **{"presignedUrl": f"{server.base_url}/bucket/a.txt?X-Amz-Signature=1", **fields})


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, None),
        ({"fileUrl": 1, "contentType": 2, "contentLength": "x"}, None),
        ({"contentLength": str(len(CONTENT)), "contentType": "text/csv"}, "text/csv"),
        ({"contentLength": -1, "contentType": None}, None),
        ({"contentLength": True}, None),
    ],
)
async def test_download_tolerates_missing_or_malformed_response_fields(opus, folder, fields, kind):
    made = await opus(script={"download": [lambda _: answers(made.server, **fields)]})
    got = await made.files.download(FILES + "a.txt", folder)
    assert (got.size, got.content_type) == (len(CONTENT), kind)


async def test_download_reads_wrapped_response(opus, folder):
    def wrapped(_):
        url = f"{made.server.base_url}/bucket/a.txt?X-Amz-Signature=1"
        return said(201, data={"presigned_url": url, "content_length": len(CONTENT)})

    made = await opus(script={"download": [wrapped]})
    assert (await made.files.download(FILES + "a.txt", folder)).size == len(CONTENT)


@pytest.mark.parametrize("url", [None, "", 5, "ftp://host/a", "/bucket/a", "http://ho st/a"])
async def test_download_response_without_usable_url_raises_protocol_error(opus, folder, url):
    made = await opus(
        script={"download": [said(201, presignedUrl=url, fileUrl=FILES)] * 9}, retry={"attempts": 2}
    )
    with pytest.raises(ProtocolError, match="presignedUrl"):
        await made.files.download(FILES + "a.txt", folder)


# The way back


@pytest.mark.parametrize("act", [EXPIRED, DENIED, xml_error(400, "ExpiredToken")])
async def test_download_replaces_refused_url(opus, folder, act):
    made = await opus(script={"get": [act, act]})
    assert (await made.files.download(FILES + "a.txt", folder)).size == len(CONTENT)
    assert made.server.counts["download"] == made.server.counts["get"] == 3
    assert len({seen.target for seen in made.server.of("get")}) == 3
    assert names(folder) == ["a.txt"]


async def test_download_gives_up_after_a_few_refused_urls(opus, folder):
    made = await opus(script={"get": [DENIED] * 99})
    with pytest.raises(DownloadError, match="AccessDenied") as caught:
        await made.files.download(FILES + "a.txt", folder)
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")
    assert caught.value.destination == str(folder / "a.txt")
    assert made.server.counts["download"] == made.server.counts["get"] == 4
    assert names(folder) == []


async def test_download_of_file_missing_in_storage_is_not_retried(opus, folder):
    made = await opus(script={"get": [xml_error(404, "NoSuchKey")] * 9})
    with pytest.raises(DownloadError, match="no longer there"):
        await made.files.download(FILES + "a.txt", folder)
    assert made.server.counts["get"] == 1


@pytest.mark.parametrize(
    "act",
    [
        *(RESET_BEFORE, RESET_AFTER, TRUNCATED),
        *(xml_error(503, "SlowDown"), xml_error(500, "InternalError")),
        Reply(200, CONTENT[:-1]),
    ],
)
async def test_download_restarts_with_same_url_after_storage_fault(opus, folder, act):
    made = await opus(script={"get": [act]})
    got = await made.files.download(FILES + "a.txt", folder)
    assert got.sha256 == sha256(CONTENT)
    assert got.path.read_bytes() == CONTENT
    assert (made.server.counts["download"], made.server.counts["get"]) == (1, 2)
    assert len({seen.target for seen in made.server.of("get")}) == 1
    assert names(folder) == ["a.txt"]


async def test_download_gives_up_if_size_never_matches(opus, folder):
    made = await opus(script={"get": [Reply(200, CONTENT + b"x")] * 99}, retry={"attempts": 3})
    with pytest.raises(TransportError, match=r"nothing half was kept \(gave up after 3 attempts"):
        await made.files.download(FILES + "a.txt", folder)
    assert names(folder) == []


async def test_download_from_hanging_storage_raises_stalled_after_retries(opus, folder):
    made = await opus(
        script={"get": ["hang before"] * 2}, timeouts={"upload_stall": 0.05}, retry={"attempts": 2}
    )
    with pytest.raises(TransportError, match="stalled"):
        await made.files.download(FILES + "a.txt", folder)
    assert made.server.counts["get"] == 2
    assert names(folder) == []


async def test_download_does_not_follow_redirects(opus, folder, handmade):
    elsewhere = await handmade()
    made = await opus(script={"get": [redirect(307, f"{elsewhere.base_url}/bucket/x")] * 9})
    with pytest.raises(DownloadError, match="followed nowhere"):
        await made.files.download(FILES + "a.txt", folder)
    assert elsewhere.connections == 0


async def test_download_to_full_disk_is_not_retried(opus, folder, monkeypatch):
    from opus_async.transport import part_file

    def full(*_):
        raise OSError(28, "No space left on device")

    made = await opus()
    monkeypatch.setattr(part_file._HashingFile, "write", full)
    with pytest.raises(DownloadError, match="free some space"):
        await made.files.download(FILES + "a.txt", folder)
    assert made.server.counts["get"] == 1
    assert names(folder) == []


async def test_download_cancelled_leaves_no_file(opus, folder):
    arrived = asyncio.Event()

    async def hang(_):
        arrived.set()
        await asyncio.Event().wait()

    made = await opus(script={"get": [hang]})
    task = asyncio.create_task(made.files.download(FILES + "a.txt", folder))
    await arrived.wait()
    [name] = names(folder)
    assert name.endswith(".part")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(folder) == []


async def test_download_events_errors_and_logs_hide_presigned_urls(opus, folder, caplog):
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    events, errors = [], []
    acts = [
        RESET_BEFORE,
        DENIED,
        TRUNCATED,
        xml_error(403, "AccessDenied", "X-Amz-Signature=0000"),
        "ok",
        DENIED,
    ]
    made = await opus(script={"get": acts + [DENIED] * 9}, listeners=[events.append])
    await made.files.download(FILES + "a.txt", folder)
    with pytest.raises(DownloadError) as caught:
        await made.files.download(FILES + "a.txt", folder)
    errors += ["".join(traceback.format_exception(caught.value)), repr(vars(caught.value))]
    logged = [record.getMessage() + str(record.exc_info) for record in caplog.records]
    said_by_us = "".join([*map(repr, events), *errors, *logged])
    assert f"{made.server.base_url}/bucket/a.txt" in said_by_us
    assert "X-Amz-Signature=0" not in said_by_us
    assert KEY not in said_by_us


# Where it goes


@pytest.mark.parametrize("form", [str, Path, "{}/".format])
async def test_download_into_folder_keeps_name_and_numbers_duplicates(opus, folder, form):
    made = await opus()
    first = await made.files.download(FILES + "a.txt", form(folder))
    second = await made.files.download(FILES + "a.txt", form(folder))
    assert (first.path, second.path) == (folder / "a.txt", folder / "a (2).txt")
    (folder / "a.txt").write_bytes(b"before")
    third = await made.files.download(FILES + "a.txt", form(folder), overwrite=True)
    assert third.path == folder / "a.txt"
    assert third.path.read_bytes() == CONTENT
    assert names(folder) == ["a (2).txt", "a.txt"]


@pytest.mark.parametrize(
    "name",
    [
        "..%2F..%2Fevil.txt",
        "..",
        "%2e%2e",
        "%2Fetc%2Fpasswd",
        "..%5C..%5Cevil.txt",
        ".ssh",
        "a%00b",
        "C%3Aevil",
    ],
)
async def test_download_file_name_from_url_cannot_escape_folder(opus, tmp_path, folder, name):
    made = await opus({name: CONTENT})
    got = await made.files.download(FILES + name, folder)
    assert got.path.parent == folder
    assert got.path.resolve().parent == folder.resolve()
    assert names(folder) == [got.path.name]
    assert not got.path.name.startswith(".")
    assert names(tmp_path) == ["out"]


async def test_download_creates_missing_destination_folder(opus, folder):
    made = await opus()
    got = await made.files.download(FILES + "a.txt", f"{folder}/new/")
    assert got.path == folder / "new" / "a.txt"
    [again] = await made.files.download_many([FILES + "a.txt"], folder / "other")
    assert again.path == folder / "other" / "a.txt"


async def test_download_replaces_existing_file_only_with_overwrite(opus, folder):
    made = await opus()
    path = folder / "b.txt"
    path.write_bytes(b"before")
    with pytest.raises(InvalidInputs, match=r"exists already: .* overwrite=True"):
        await made.files.download(FILES + "a.txt", path)
    assert made.server.seen == []
    assert (await made.files.download(FILES + "a.txt", path, overwrite=True)).path == path
    assert path.read_bytes() == CONTENT


async def test_download_replaces_symlink_and_does_not_follow_it(opus, folder, tmp_path):
    made = await opus()
    other = tmp_path / "other.txt"
    (folder / "b.txt").symlink_to(other)  # it leads nowhere, and exists all the same
    with pytest.raises(InvalidInputs, match="exists already"):
        await made.files.download(FILES + "a.txt", folder / "b.txt")
    got = await made.files.download(FILES + "a.txt", folder / "b.txt", overwrite=True)
    assert not got.path.is_symlink()
    assert not other.exists()
    (folder / "a.txt").symlink_to(other)
    assert (await made.files.download(FILES + "a.txt", folder)).path.name == "a (2).txt"
    assert not other.exists()


async def test_download_does_not_replace_file_created_meanwhile(opus, folder):
    def meanwhile(_):
        for name in ("a.txt", "b.txt"):
            (folder / name).write_bytes(b"somebody else's")
        return "ok"

    made = await opus(script={"get": [meanwhile, meanwhile]})
    with pytest.raises(DownloadError, match="came to be"):
        await made.files.download(FILES + "a.txt", folder / "b.txt")
    (folder / "a.txt").unlink()
    assert (await made.files.download(FILES + "a.txt", folder)).path.name == "a (2).txt"
    assert (folder / "a.txt").read_bytes() == (folder / "b.txt").read_bytes() == b"somebody else's"


async def test_download_refuses_invalid_destination_before_sending(opus, folder):
    made = await opus()
    (folder / "file").touch()
    os.mkfifo(folder / "pipe")
    for wrong, words in (
        ("", "not empty"),
        ("a\0b", "NUL"),
        (os.fsencode(folder), "destination is of type bytes: give a path"),
        (folder / "gone" / "a.txt", "no folder '.*gone': make it first"),
        (folder / "file" / "a.txt", "no folder"),
        (f"{folder}/file/new/", "there can be no folder"),
        (5, "destination=5: give a path"),
        (f"{folder}/file/", "there can be no folder"),
    ):
        with pytest.raises(InvalidInputs, match=words):
            await made.files.download(FILES + "a.txt", wrong)
    with pytest.raises(InvalidInputs, match="no regular file"):
        await made.files.download(FILES + "a.txt", folder / "pipe", overwrite=True)
    with pytest.raises(InvalidInputs, match="there can be no folder"):
        await made.files.download_many([FILES + "a.txt"], folder / "file")
    assert made.server.seen == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("a.txt", "'a.txt' is no http"),
        ("", "is no http"),
        ("ftp://files.opus.com/a.txt", "is no http"),
        ("file:///etc/passwd", "is no http"),
        ("https:///a.txt", "is no http"),
        ("https://[x/a.txt", "is no http"),
        ("https://h/\ud800", "is no http"),
        (None, "NoneType"),
        (b"https://h/a.txt", "bytes"),
        ("https://bucket/a.txt?X-Amz-Signature=f00dface", "give the fileUrl"),
        ("gopher://bucket/a.txt?token=f00dface", "is no http"),
    ],
)
async def test_download_refuses_invalid_file_url_before_sending(opus, folder, url, words):
    made = await opus()
    for call in (made.files.download(url, folder), made.files.download_many([url], folder / "new")):
        with pytest.raises(InvalidInputs, match=words) as caught:
            await call
        assert "f00dface" not in str(caught.value)
    assert made.server.seen == []
    assert names(folder) == []


# Many


async def test_download_many_keeps_order_and_gives_unique_names(opus, folder):
    stored = {f"{number}%2Fa.txt": document(number) for number in range(4)}
    made = await opus({**stored, "A.txt": b"capital", "A%20(2).txt": b"named so", "b.txt": b"b"})
    (folder / "a (3).txt").write_bytes(b"before")
    urls = [FILES + name for name in (*stored, "A.txt", "A%20(2).txt", "b.txt", "b.txt")]
    got = await made.files.download_many(iter(urls), folder)
    assert [each.path.name for each in got] == [
        *("a.txt", "a (2).txt", "a (4).txt", "a (5).txt", "a (6).txt"),
        *("A (2) (2).txt", "b.txt", "b.txt"),
    ]
    assert [each.sha256 for each in got[:4]] == [sha256(content) for content in stored.values()]
    assert [each.path.read_bytes() for each in got[4:6]] == [b"capital", b"named so"]
    assert got[6] == got[7]
    assert made.server.counts["get"] == 7, "a URL given twice is fetched once"
    assert (folder / "a (3).txt").read_bytes() == b"before"


async def test_download_many_with_overwrite_gives_unique_names(opus, folder):
    stored = {f"{number}%2Fa.txt": document(number) for number in range(3)}
    made = await opus(stored)
    urls = [FILES + name for name in stored]
    for _ in range(2):
        got = await made.files.download_many(urls, folder, overwrite=True)
        assert [each.path.name for each in got] == ["a.txt", "a (2).txt", "a (3).txt"]
        assert [each.path.read_bytes() for each in got] == list(stored.values())
    (folder / "a.txt").unlink()
    (folder / "a.txt").mkdir()
    got = await made.files.download_many(urls[:1], folder, overwrite=True)
    assert got[0].path.name == "a (2).txt", "a folder is not replaced"


def test_download_paths_treat_names_as_case_insensitive(tmp_path):
    urls = [FILES + name for name in ("B%20(2).txt", "1/b.txt", "2/b.txt", "B.TXT")]
    places = download_paths.destinations_in(tmp_path, urls, overwrite=True)
    assert [place.path.name for place in places.values()] == ["B (2).txt", "b.txt", "b (3).txt", "b (4).txt"]


def test_download_paths_of_many_equal_names_take_linear_time(tmp_path, monkeypatch):
    looks = []
    real = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda path: looks.append(path) or real(path))
    urls = [f"{FILES}{number}/a.txt" for number in range(2000)]
    places = download_paths.destinations_in(tmp_path, urls, overwrite=False)
    assert len({place.path for place in places.values()}) == 2000
    assert places[urls[-1]].path.name == "a (2000).txt"
    assert len(looks) == 2000


async def test_download_many_stops_at_first_failure_without_partial_files(opus, folder):
    def no(_):
        return xml_error(404, "NoSuchKey")

    made = await opus(
        {"a.txt": CONTENT, "b.txt": CONTENT, "c.txt": CONTENT}, script={"get": ["hang before", no]}
    )
    with pytest.raises(DownloadError, match="no longer there"):
        await made.files.download_many([FILES + name for name in ("a.txt", "b.txt", "c.txt")], folder)
    assert [name for name in names(folder) if name.endswith(".part")] == []
    for name in names(folder):
        assert (folder / name).read_bytes() == CONTENT


async def test_download_many_bounds_concurrent_downloads_and_unused_urls(opus, folder):
    now, most, done, most_in_hand = 0, 0, 0, 0

    async def counted(_):
        nonlocal now, most, done, most_in_hand
        now += 1
        most = max(most, now)
        most_in_hand = max(most_in_hand, made.server.counts["download"] - done)
        await asyncio.sleep(0.01)
        now -= 1
        done += 1
        return "ok"

    stored = {f"{number}.txt": document(number) for number in range(12)}
    made = await opus(stored, script={"get": [counted] * 12}, limits={"upload_concurrency": SLOTS})
    got = await made.files.download_many([FILES + name for name in stored], folder)
    assert [each.sha256 for each in got] == [sha256(content) for content in stored.values()]
    assert most == SLOTS
    assert most_in_hand <= SLOTS, "a URL is asked for when the slot is ours, not before"


async def test_download_many_of_no_urls_sends_nothing(opus, folder):
    made = await opus()
    assert await made.files.download_many([], folder) == []
    assert made.server.seen == []


# Against the simulator


@pytest.mark.parametrize("traits", [(), ("download_refuses_workspace",), ("download_needs_workspace",)])
async def test_download_returns_what_was_uploaded(simulate, connect, tmp_path, folder, traits):
    simulator = await simulate(keep_files=tmp_path / "kept", traits=frozenset(traits))
    client = connect(simulator)
    sent = [
        await client.files.upload(document(n), filename=f"{n}.txt", workflow_id=ALL_TYPES) for n in range(5)
    ]
    got = await client.files.download_many([each.url for each in sent], folder, workspace_id="space-1")
    assert [(each.size, each.sha256) for each in got] == [(each.size, each.sha256) for each in sent]
    assert [each.path.read_bytes() for each in got] == [document(number) for number in range(5)]
    assert {each.content_type for each in got} == {"text/plain"}
    assert simulator.state()["leaks"] == []
    assert simulator.state()["counters"]["requests"]["get"] == 5


async def test_download_survives_hostile_faults(simulate, connect, tmp_path, folder):
    simulator = await simulate(keep_files=tmp_path / "kept", faults="hostile", seed=3)
    client = connect(simulator, retry={"max_elapsed": 60, "attempts": 20}, timeouts={"upload_stall": 1})
    sent = [await client.files.upload(document(n, lines=3000), filename=f"{n}.txt") for n in range(20)]
    got = await client.files.download_many([each.url for each in sent], folder)
    assert [(each.size, each.sha256) for each in got] == [(each.size, each.sha256) for each in sent]
    assert sorted(names(folder)) == sorted(each.path.name for each in got)
    assert simulator.state()["leaks"] == []
    with pytest.raises(OpusError):
        await client.files.download(FILES + "nobody.txt", folder)


async def test_download_creates_nested_folders_and_download_many_refuses_text(opus, folder):
    made = await opus()
    got = await made.files.download(FILES + "a.txt", f"{folder}/deep/er/")
    assert got.path == folder / "deep" / "er" / "a.txt"
    with pytest.raises(InvalidInputs, match="urls is of type str: give a list of URLs"):
        await made.files.download_many(FILES + "a.txt", folder)
