"""Downloads: presigned GETs for kept uploads and generated files, and what can go wrong with them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import aiohttp
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from opus_async.simulator import PROFILES, fault_injection, faults
from opus_async.simulator.faults import Profile, Rule
from opus_async.simulator.generated_files import NASTY_NAMES

REPORT_ID = "Rep0rtWithFiles1"
DOCUMENT_INPUT, TEXT_INPUT = "workflow_input_rep0rtdoc", "workflow_input_rep0rttxt"
GENERATED = "https://files.opus.com/media/private/generated/output_"
CLOSED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError)


@pytest.fixture
async def keeper(serve, tmp_path):
    return await serve(keep_files=tmp_path / "kept")


@pytest.fixture
def only(monkeypatch):
    """Make a profile of one certain fault."""

    def make(operation, kind, first=1):
        profile = Profile("only", "", {operation: (Rule(kind, 1.0, first=first),)})
        monkeypatch.setitem(PROFILES, "only", profile)
        return "only"

    return make


async def ask(api, file_url, **fields):
    return await api.post("/job/file/download", {"fileUrl": file_url, **fields})


async def presigned(api, file_url, **fields):
    reply = await ask(api, file_url, **fields)
    assert reply.status == 201, reply.raw
    return reply.json["presignedUrl"]


async def fetch(api, url, **headers):
    return await api.put(url, None, method="GET", **headers)


async def run_report(api, text="some text", document=b"a document\n"):
    """Run the report workflow; return the job's id, its outputs and the digests of its files."""
    url = await api.upload(document)
    job_id = await api.initiate(REPORT_ID, title="a report")
    payload = {
        DOCUMENT_INPUT: {"value": url, "type": "file"},
        TEXT_INPUT: {"value": text, "type": "str"},
    }
    assert (await api.execute(job_id, payload)).status == 201
    return job_id, await api.results(job_id), api.simulator.state()["jobs"][job_id]["output_files"]


async def test_simulator_download_returns_kept_upload(keeper):
    data = bytes(range(256)) * 1000
    url = await keeper.upload(data, ".pdf")
    told = (await ask(keeper, url)).json
    assert set(told) == {"presignedUrl", "fileUrl", "contentType", "contentLength"}
    assert (told["fileUrl"], told["contentType"], told["contentLength"]) == (
        url,
        "application/pdf",
        len(data),
    )
    reply = await fetch(keeper, told["presignedUrl"])
    assert (reply.status, reply.raw) == (200, data)
    assert reply.headers["Content-Length"] == str(len(data))
    assert reply.headers["Content-Type"] == "application/pdf"
    assert reply.headers["ETag"] == f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    counted = keeper.simulator.state()["counters"]["requests"]
    assert (counted["download"], counted["get"]) == (1, 1)


async def test_simulator_download_returns_empty_file(keeper):
    url = await keeper.upload(b"")
    reply = await fetch(keeper, await presigned(keeper, url))
    assert (reply.status, reply.raw, reply.headers["Content-Length"]) == (200, b"", "0")


async def test_simulator_download_keeps_content_type_of_upload(serve, tmp_path):
    api = await serve(keep_files=tmp_path, traits=frozenset({"lax_content_type"}))
    slot = await api.presign(".txt")
    await api.put(slot["presignedUrl"], b"x", Content_Type="text/markdown")
    told = (await ask(api, slot["fileUrl"])).json
    reply = await fetch(api, told["presignedUrl"])
    assert told["contentType"] == reply.headers["Content-Type"] == "text/markdown"


async def test_simulator_download_returns_the_last_put(keeper):
    slot = await keeper.presign()
    await keeper.put(slot["presignedUrl"], b"the first and longer one")
    await keeper.put(slot["presignedUrl"], b"the second")
    assert (await fetch(keeper, await presigned(keeper, slot["fileUrl"]))).raw == b"the second"


async def test_simulator_download_returns_earlier_upload_after_an_aborted_put(keeper, tmp_path):
    slot = await keeper.presign()
    await keeper.put(slot["presignedUrl"], b"the first")
    parts = urlsplit(slot["presignedUrl"])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode() + b"the sec")
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert (await fetch(keeper, await presigned(keeper, slot["fileUrl"]))).raw == b"the first"
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [slot["fileUrl"].rpartition("/")[2]]


async def test_simulator_download_is_404_and_names_keep_files_if_bytes_were_not_kept(api):
    reply = await ask(api, await api.upload(b"x"))
    assert reply.status == 404
    assert "keep_files" in reply.message


async def test_simulator_download_of_url_that_is_no_stored_file_is_404(keeper):
    empty = await keeper.presign()
    stored = await keeper.presign()
    await keeper.put(stored["presignedUrl"], b"x")
    for url in (
        empty["fileUrl"],
        stored["presignedUrl"],
        urlsplit(stored["presignedUrl"]).path,
        stored["fileUrl"] + "?",
        "https://files.opus.com/media/private/uploaded/media_1.txt",
        f"{GENERATED}32353134{'0' * 24}.txt",
        f"{GENERATED}ff{'0' * 24}.txt",
        "",
    ):
        reply = await ask(keeper, url)
        assert (reply.status, reply.message) == (404, "File not found"), url


async def test_simulator_download_of_removed_kept_file_is_404_at_storage(keeper, tmp_path):
    url = await presigned(keeper, await keeper.upload(b"x"))
    for path in (tmp_path / "kept").iterdir():
        path.unlink()
    reply = await fetch(keeper, url)
    assert (reply.status, reply.code) == (404, "NoSuchKey")


async def test_simulator_download_needs_a_presigned_url(api):
    _, outputs, _ = await run_report(api)
    for file_url in (await api.upload(b"x"), outputs["Report"]):
        path = urlsplit(file_url).path
        assert (await api.get(path)).status == 404
        assert (await api.get(path, headers={})).status == 404
        assert (await fetch(api, api.simulator.storage_url + path)).status == 404


@pytest.mark.parametrize(
    "fields",
    [{}, {"workspaceId": "w"}, {"customExpiry": 60}, {"workspaceId": "w", "customExpiry": 60}],
)
async def test_simulator_download_accepts_workspace_id_and_custom_expiry(keeper, fields):
    url = await keeper.upload(b"x")
    assert (await ask(keeper, url, **fields)).status == 201
    assert keeper.simulator.state()["strange_fields"] == {}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, ["fileUrl must be a string"]),
        ({"fileUrl": 7, "workspaceId": 7}, ["fileUrl must be a string", "workspaceId must be a string"]),
        ({"fileUrl": "x", "customExpiry": 0}, ["customExpiry must not be less than 1"]),
        ({"fileUrl": "x", "customExpiry": 604_801}, ["customExpiry must not be greater than 604800"]),
        ({"fileUrl": "x", "customExpiry": 1.5}, ["customExpiry must be an integer number"]),
        ({"fileUrl": "x", "customExpiry": True}, ["customExpiry must be an integer number"]),
    ],
)
async def test_simulator_download_refuses_invalid_body(api, body, problems):
    reply = await api.post("/job/file/download", body)
    assert (reply.status, reply.message) == (400, problems)


async def test_trait_download_needs_workspace_refuses_download_without_workspace_id(serve, tmp_path):
    api = await serve(keep_files=tmp_path, traits=frozenset({"download_needs_workspace"}))
    url = await api.upload(b"x")
    refused = await ask(api, url, customExpiry=60)
    assert (refused.status, refused.message) == (400, ["workspaceId must be a string"])
    assert (await ask(api, url, workspaceId="w")).status == 201


async def test_trait_download_refuses_workspace_refuses_workspace_id(serve, tmp_path):
    api = await serve(keep_files=tmp_path, traits=frozenset({"download_refuses_workspace"}))
    url = await api.upload(b"x")
    refused = await ask(api, url, workspaceId="w")
    assert (refused.status, refused.message) == (400, ["property workspaceId should not exist"])
    assert (await ask(api, url)).status == (await ask(api, url, customExpiry=60)).status == 201


async def test_simulator_download_counts_unknown_field_or_refuses_it_by_trait(serve, tmp_path):
    lenient = await serve(keep_files=tmp_path)
    strict = await serve(keep_files=tmp_path, traits=frozenset({"unknown_fields_refused"}))
    assert (await ask(lenient, await lenient.upload(b"x"), inline=True)).status == 201
    assert lenient.simulator.state()["strange_fields"] == {"download.inline": 1}
    reply = await ask(strict, await strict.upload(b"x"), inline=True)
    assert (reply.status, reply.message) == (400, ["property inline should not exist"])


@pytest.mark.parametrize(("fields", "valid"), [({}, 600), ({"customExpiry": 5}, 5)])
async def test_simulator_download_url_expires(serve, clock, tmp_path, fields, valid):
    api = await serve(clock=clock, url_expiry=600, keep_files=tmp_path)
    url = await presigned(api, await api.upload(b"x"), **fields)
    clock.forward(valid - 1)
    assert (await fetch(api, url)).status == 200
    clock.forward(2)
    reply = await fetch(api, url)
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert b"Request has expired" in reply.raw


def boto_auth(api, **options):
    ours = api.simulator.world.uploads.credentials
    theirs = BotoCredentials(ours.access_key, ours.secret_key, ours.session_token)
    return S3SigV4QueryAuth(theirs, "s3", ours.region, **options)


async def test_simulator_download_url_has_the_signature_of_botocore(keeper):
    url = await presigned(keeper, await keeper.upload(b"x"), customExpiry=77)
    head, _, signature = url.partition("&X-Amz-Signature=")
    parameters = dict(parse_qsl(urlsplit(head).query))
    assert (parameters["x-id"], parameters["X-Amz-Expires"]) == ("GetObject", "77")
    assert parameters["X-Amz-SignedHeaders"] == "host"
    auth = boto_auth(keeper)
    request = AWSRequest(method="GET", url=head)
    request.context["timestamp"] = parameters["X-Amz-Date"]
    canonical = auth.canonical_request(request)
    assert auth.signature(auth.string_to_sign(request, canonical), request) == signature


async def test_simulator_download_serves_url_signed_by_botocore(keeper):
    path = urlsplit(await presigned(keeper, await keeper.upload(b"botocore"))).path
    request = AWSRequest(method="GET", url=keeper.simulator.storage_url + path)
    boto_auth(keeper, expires=60).add_auth(request)
    assert (await fetch(keeper, request.url)).raw == b"botocore"


async def test_simulator_download_signature_is_valid_for_one_method_and_path(keeper):
    slot = await keeper.presign()
    await keeper.put(slot["presignedUrl"], b"x")
    reading = await presigned(keeper, slot["fileUrl"])
    elsewhere = urlsplit(await presigned(keeper, await keeper.upload(b"y"))).path
    query = urlsplit(reading).query
    refused = (403, "SignatureDoesNotMatch")
    for method, url in (
        ("GET", slot["presignedUrl"]),
        ("PUT", reading),
        ("GET", reading + "0"),
        ("GET", reading.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601")),
        ("GET", f"{keeper.simulator.storage_url}{elsewhere}?{query}"),
    ):
        reply = await keeper.put(url, b"" if method == "PUT" else None, method=method)
        assert (reply.status, reply.code) == refused, method
    bare = await fetch(keeper, reading.partition("?")[0])
    assert (bare.status, bare.code) == (403, "AccessDenied")


@pytest.mark.parametrize("header", ["x_service_key", "Authorization", "Cookie"])
async def test_simulator_download_with_credential_header_is_refused_and_recorded_as_leak(keeper, header):
    url = await presigned(keeper, await keeper.upload(b"x"))
    reply = await fetch(keeper, url, **{header: "very-secret"})
    assert (reply.status, reply.code) == (400, "InvalidRequest")
    leaks = keeper.simulator.state()["leaks"]
    assert leaks == [{"header": header.replace("_", "-").lower(), "method": "GET", "to": "storage"}]
    assert "very-secret" not in str(keeper.simulator.state())


async def test_simulator_state_holds_no_download_url(keeper):
    await fetch(keeper, await presigned(keeper, await keeper.upload(b"x")))
    assert "X-Amz-Signature" not in json.dumps(keeper.simulator.state())


async def test_simulator_generated_files_of_a_run_can_be_downloaded(api):
    job_id, outputs, digests = await run_report(api)
    assert outputs["Summary"] == "some text"
    urls = [outputs["Report"], *outputs["Attachments"]]
    assert len(set(urls)) == 3
    assert list(digests) == urls
    for url, digest in digests.items():
        assert url.startswith(GENERATED)
        assert url.endswith(".txt")
        told = (await ask(api, url)).json
        reply = await fetch(api, told["presignedUrl"])
        assert hashlib.sha256(reply.raw).hexdigest() == digest
        assert told["contentLength"] == len(reply.raw)
        assert 2048 < len(reply.raw) < 8192
        assert told["contentType"] == reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        text = reply.raw.decode()
        assert f"of job {job_id}, Report" in text
        assert hashlib.sha256(b"a document\n").hexdigest() in text
    assert len(set(digests.values())) == 3


async def test_simulator_generated_files_have_output_types_file_and_array(api):
    job_id, outputs, _ = await run_report(api)
    entries = (await api.get(f"/job/{job_id}/results")).json["jobResultsPayloadSchema"].values()
    assert [entry["type"] for entry in entries] == ["str", "file", "array"]
    assert isinstance(outputs["Report"], str)
    assert isinstance(outputs["Attachments"], list)


async def test_simulator_generated_files_are_reproducible_and_depend_on_job_inputs(serve):
    one, two, three = await serve(), await serve(), await serve()
    first = await run_report(one)
    assert await run_report(two) == first
    other_text = await run_report(three, text="another text")
    other_document = await run_report(one, document=b"another document\n")
    assert not set(first[2].values()) & set(other_text[2].values())
    assert not set(first[2].values()) & set(other_document[2].values())


async def test_simulator_generated_files_of_second_run_replace_those_of_the_first(api):
    job_id, outputs, _ = await run_report(api)
    again = {
        DOCUMENT_INPUT: {"value": await api.upload(b"x"), "type": "file"},
        TEXT_INPUT: {"value": "", "type": "str"},
    }
    await api.execute(job_id, again)
    assert (await ask(api, (await api.results(job_id))["Report"])).status == 201
    assert (await ask(api, outputs["Report"])).status == 404


async def test_simulator_generated_files_exist_once_their_run_has_completed(serve, clock):
    slow, fast = await serve(clock=clock, run_time=10), await serve()
    # The same job in a simulator that is done tells the name beforehand.
    _, outputs, _ = await run_report(fast)
    url = await slow.upload(b"a document\n")
    job_id = await slow.initiate(REPORT_ID, title="a report")
    payload = {DOCUMENT_INPUT: {"value": url, "type": "file"}, TEXT_INPUT: {"value": "t", "type": "str"}}
    await slow.execute(job_id, payload)
    assert (await ask(slow, outputs["Report"])).status == 404
    assert slow.simulator.state()["jobs"][job_id]["output_files"] == {}
    clock.forward(11)
    assert (await ask(slow, outputs["Report"])).status == 201
    assert (await slow.results(job_id))["Report"] == outputs["Report"]


async def test_simulator_generated_files_of_deleted_job_are_gone(api):
    job_id, outputs, _ = await run_report(api)
    url = await presigned(api, outputs["Report"])
    await api.call("DELETE", f"/job/{job_id}/delete")
    assert (await fetch(api, url)).code == "NoSuchKey"
    assert (await ask(api, outputs["Report"])).status == 404


async def test_simulator_generated_files_have_another_name_at_storage(api):
    _, outputs, _ = await run_report(api)
    url = await presigned(api, outputs["Report"])
    assert urlsplit(url).path.rpartition("/")[2] != outputs["Report"].rpartition("/")[2]


async def test_trait_nasty_file_names_are_served_under_exactly_their_url(serve):
    api = await serve(traits=frozenset({"nasty_file_names"}))
    _, outputs, digests = await run_report(api)
    urls = [outputs["Report"], *outputs["Attachments"]]
    assert [url.rpartition("/")[2] for url in urls] == list(NASTY_NAMES)
    assert unquote(urls[0]).endswith("/../../etc/passwd.txt")
    assert "résumé of the run" in unquote(urls[1])
    assert " " in urls[2]
    for url, digest in digests.items():
        reply = await fetch(api, await presigned(api, url))
        assert hashlib.sha256(reply.raw).hexdigest() == digest
    for altered in (unquote(urls[0]), unquote(urls[1]), quote(urls[2], safe=":/"), quote(urls[0])):
        assert (await ask(api, altered)).status == 404


async def test_trait_results_old_lists_generated_files_as_output_files(serve):
    api = await serve(traits=frozenset({"results_old"}))
    url = await api.upload(b"x")
    job_id = await api.initiate(REPORT_ID)
    payload = {DOCUMENT_INPUT: {"value": url, "type": "file"}, TEXT_INPUT: {"value": "t", "type": "str"}}
    await api.execute(job_id, payload)
    results = (await api.get(f"/job/{job_id}/results")).json["results"]
    data = results["data"]
    assert results["outputFiles"] == [data["Report"], *data["Attachments"]]


async def test_simulator_workflow_file_can_define_generated_file_outputs(serve, tmp_path):
    definition = {
        "id": "My0wnReports0001",
        "inputs": [
            {"name": "Pages", "type": "array_files", "variable": "pages"},
            {"name": "Größe", "type": "str", "variable": "odd", "nullable": True},
            {"name": "Left out", "type": "str", "variable": "out", "nullable": True},
        ],
        "outputs": [{"name": "File", "fact": "report_file"}, {"name": "Files", "fact": "report_files"}],
    }
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(definition))
    api = await serve(workflow_files=(path,))
    pages = [await api.upload(b"one"), await api.upload(b"two")]
    payload = {"pages": {"value": pages, "type": "array_files"}, "odd": {"value": "\ud800", "type": "str"}}
    outputs = await api.run("My0wnReports0001", payload)
    assert len({outputs["File"], *outputs["Files"]}) == 3
    text = (await fetch(api, await presigned(api, outputs["File"]))).raw.decode()
    digests = [hashlib.sha256(data).hexdigest() for data in (b"one", b"two")]
    assert f"Pages: SHA-256 {', '.join(digests)}\n" in text
    assert "Left out" not in text
    types = {entry["display_name"]: entry["type"] for entry in await output_schema(api)}
    assert types == {"File": "file", "Files": "array"}


async def output_schema(api):
    details = (await api.get("/workflow/My0wnReports0001")).json
    return details["jobResultsPayloadSchema"].values()


async def test_simulator_fault_expired_slot_gives_expired_download_url(serve, only):
    api = await serve(faults=only("download", faults.EXPIRED_SLOT))
    _, outputs, _ = await run_report(api)
    reply = await fetch(api, await presigned(api, outputs["Report"]))
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert (await fetch(api, await presigned(api, outputs["Report"]))).status == 200


async def test_simulator_fault_rate_limited_answers_429_to_download(serve, only):
    api = await serve(faults=only("download", faults.RATE_LIMITED))
    _, outputs, _ = await run_report(api)
    assert (await ask(api, outputs["Report"])).status == 429
    assert (await ask(api, outputs["Report"])).status == 201
    assert api.simulator.state()["counters"]["faults"] == {"download.rate_limited": 1}


@pytest.mark.parametrize(
    ("kind", "status", "code"), [(faults.SLOW_DOWN, 503, "SlowDown"), (faults.FORBIDDEN, 403, "AccessDenied")]
)
async def test_simulator_fault_slow_down_or_forbidden_refuses_storage_get_once(
    serve, only, kind, status, code
):
    api = await serve(faults=only("get", kind))
    _, outputs, _ = await run_report(api)
    url = await presigned(api, outputs["Report"])
    reply = await fetch(api, url)
    assert (reply.status, reply.code) == (status, code)
    assert (await fetch(api, url)).status == 200
    assert api.simulator.state()["counters"]["faults"] == {f"get.{kind}": 1}


async def test_simulator_fault_reset_before_closes_connection_of_storage_get(serve, only):
    # Twice, because aiohttp sends an idempotent request once more by itself.
    api = await serve(faults=only("get", faults.RESET_BEFORE, first=2))
    _, outputs, _ = await run_report(api)
    url = await presigned(api, outputs["Report"])
    with pytest.raises(CLOSED):
        await fetch(api, url)
    assert (await fetch(api, url)).status == 200


@pytest.mark.parametrize("data", [b"x" * 400_000, b"[" * 400_000, b"1" + b" " * 400_000, b"x"])
async def test_simulator_fault_truncated_cuts_storage_get_short(serve, only, tmp_path, data):
    api = await serve(faults=only("get", faults.TRUNCATED), keep_files=tmp_path)
    url = await presigned(api, await api.upload(data))
    seen = b""
    with pytest.raises(aiohttp.ClientPayloadError):
        async with api.session.get(url) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(data)))
            async for chunk in answer.content.iter_any():
                seen += chunk
    assert len(seen) < len(data)
    assert data.startswith(seen)
    assert (await fetch(api, url)).raw == data


async def test_simulator_fault_slow_delays_storage_get_but_sends_all_bytes(serve, only, monkeypatch):
    monkeypatch.setattr(fault_injection, "SHORTEST_DELAY", 0.0)
    monkeypatch.setattr(fault_injection, "LONGEST_DELAY", 0.02)
    api = await serve(faults=only("get", faults.SLOW))
    _, outputs, digests = await run_report(api)
    reply = await fetch(api, await presigned(api, outputs["Report"]))
    assert hashlib.sha256(reply.raw).hexdigest() == digests[outputs["Report"]]


@pytest.mark.parametrize("profile", ["flaky", "hostile"])
def test_simulator_fault_profiles_flaky_and_hostile_cover_downloads(profile):
    for operation, kinds in (("download", {faults.EXPIRED_SLOT}), ("get", {faults.TRUNCATED})):
        assert kinds < {rule.kind for rule in PROFILES[profile].rules[operation]}


async def test_simulator_fault_profile_storm_refuses_downloads(serve, clock):
    api = await serve(clock=clock, faults="storm", seed=1)
    _, outputs, _ = await run_report(api)
    url = await presigned(api, outputs["Report"])
    clock.forward(2.3)
    assert (await fetch(api, url)).code == "SlowDown"
    # The storage is calm again, and now it is the API that turns everybody away.
    clock.forward(1.4)
    assert (await ask(api, outputs["Report"])).status == 503
    assert (await fetch(api, url)).status == 200


async def download_patiently(api, file_url, digest):
    """Ask anew for every attempt: an expired URL and a refused one look alike."""
    for _ in range(12):
        try:
            reply = await ask(api, file_url)
            reply = await fetch(api, reply.json["presignedUrl"])
        except (*CLOSED, ValueError, KeyError):
            continue
        if reply.status == 200 and hashlib.sha256(reply.raw).hexdigest() == digest:
            return
    raise AssertionError(f"{file_url} never got through")


@pytest.mark.parametrize("seed", [1, 2])
async def test_simulator_fault_profile_hostile_lets_retried_downloads_through(serve, monkeypatch, seed):
    monkeypatch.setattr(fault_injection, "SHORTEST_DELAY", 0.0)
    monkeypatch.setattr(fault_injection, "LONGEST_DELAY", 0.001)
    api = await serve(seed=seed)
    files = {}
    for number in range(40):
        files |= (await run_report(api, text=f"row {number}"))[2]
    # The jobs are there: from here on everything can go wrong.
    world = api.simulator.world
    world.faults = faults.FaultSource(PROFILES["hostile"], seed, world.clock())
    async with asyncio.TaskGroup() as group:
        for url, digest in files.items():
            group.create_task(download_patiently(api, url, digest))
    hit = {name for name in world.injected if name.startswith(("download.", "get."))}
    assert {"get.truncated", "get.slow_down", "get.forbidden", "download.expired_slot"} <= hit
