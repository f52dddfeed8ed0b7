"""Whatever the platform answers about one row: that row alone has it, and every resume comes to an end."""

from __future__ import annotations

import gzip
import json

import pytest
from batch_tools import settings, texts
from odd_opus import OddOpus

from opus_async import OpusClient
from opus_async.batch import resume_batch, run_batch
from opus_async.exits import Exit
from opus_async.jobs import poll_errors
from opus_async.testing import quick_polls
from opus_async.transport import http

KEY = "_" + "0b" * 48
WORKFLOW = "D0cumentWorkfl0w"
ROWS = 8


def answering(status=200, body=b"{}", **headers):
    return lambda _: (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def elsewhere(_):
    return 302, {"Location": "https://elsewhere.example.com/x"}, b""


def in_a_circle(opus):
    return 307, {"Location": f"{opus.base_url}/job/job-000001x/results"}, b""


def bomb(_):
    packed = gzip.compress(json.dumps({"results": {"x": {"value": "A" * 5_000_000}}}).encode())
    return 200, {"Content-Encoding": "gzip"}, packed


def presigned(url):
    body = json.dumps({"presignedUrl": url, "fileUrl": "https://files.example.com/a.txt"}).encode()
    return answering(body=body)


GARBAGE = answering(body=b"<html>busy</html>")
DENIED = json.dumps({"statusCode": 403, "message": "blocked"}).encode()
REFUSED = json.dumps({"statusCode": 401, "message": "no"}).encode()


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(poll_errors, "OWN_ERROR_AFTER", 0.2)
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", 1_000_000)
    with quick_polls(0.01):
        yield


def client_of(opus):
    options = settings()
    options["retry"] = options["retry"].model_copy(update={"attempts": 3, "outage": 600.0})
    client = OpusClient(KEY, base_url=opus.base_url, **options)
    client._network.http._max_answer_bytes = 1_000_000
    return client


def manifest_of(folder, *, files):
    if not files:
        path = folder / "m.csv"
        path.write_text("key,Number\n" + "".join(f"k{row},{row}\n" for row in range(ROWS)))
        return path
    for row in range(ROWS):
        (folder / f"{row}.txt").write_text(f"document {row}")
    path = folder / "m.csv"
    path.write_text("key,Number,Document\n" + "".join(f"k{row},{row},{row}.txt\n" for row in range(ROWS)))
    return path


@pytest.mark.parametrize("at_once", [1, ROWS])
@pytest.mark.parametrize(
    ("operation", "answer", "state"),
    [
        ("results", bomb, "unknown"),
        ("results", elsewhere, "unknown"),
        ("results", in_a_circle, "unknown"),
        ("results", GARBAGE, "unknown"),
        ("results", answering(403, DENIED), "unknown"),
        ("results", answering(401, REFUSED), "unknown"),
        ("status", bomb, "unknown"),
        ("status", elsewhere, "unknown"),
        ("status", GARBAGE, "unknown"),
        ("status", answering(403, DENIED), "unknown"),
        ("initiate", answering(403, DENIED), "failed"),
        ("initiate", elsewhere, "failed"),
        ("execute", answering(413, b""), "failed"),
        ("execute", answering(403, DENIED), "failed"),
        ("presign", presigned("https://no-such-host.invalid/a?X-Amz-Signature=s"), "failed"),
        ("presign", presigned("https://:99999/a"), "failed"),
        ("presign", presigned("ftp://127.0.0.1/a"), "failed"),
        ("presign", GARBAGE, "failed"),
    ],
)
async def test_batch_run_malformed_or_refused_answers_for_one_row_end_only_that_row(
    tmp_path, operation, answer, state, at_once
):
    manifest = manifest_of(tmp_path, files=operation == "presign")
    async with OddOpus({operation: answer}, row=1) as opus:
        client = client_of(opus)
        out = tmp_path / "out"
        result = await run_batch(client, manifest, workflow_id=WORKFLOW, out=out, max_in_flight=at_once)
        for _ in range(2):
            assert result.ended_because == "finished"
            assert (result.counts.completed, getattr(result.counts, state)) == (ROWS - 1, 1)
            assert result.exit_code == (Exit.UNKNOWN if state == "unknown" else Exit.FAILED)
            result = await resume_batch(client, out)
        await client.close()
    assert max(opus.executed.values()) == 1


async def test_batch_run_redirect_of_every_request_stops_batch_and_fails_no_row(tmp_path):
    manifest = texts(tmp_path / "m.csv", [])
    manifest.write_text("Number\n" + "".join(f"{row}\n" for row in range(ROWS)))
    async with OddOpus({}, row=0) as opus:
        opus._answer = _redirecting_after_the_schema(opus)
        client = client_of(opus)
        result = await run_batch(client, manifest, workflow_id=WORKFLOW, out=tmp_path / "out")
        await client.close()
    assert result.exit_code == Exit.NOT_ALLOWED
    assert (result.counts.failed, result.counts.unknown) == (0, 0)


def _redirecting_after_the_schema(opus):
    in_order, asked = opus._answer, []

    def answer(*request):
        asked.append(request)
        return in_order(*request) if len(asked) == 1 else elsewhere(opus)

    return answer
