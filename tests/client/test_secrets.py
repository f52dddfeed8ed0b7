"""Nothing that a client says, to anybody, holds a secret; nothing secret goes to another host."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import re
import traceback
from urllib.parse import quote

import pytest
from client_tools import DOCUMENT, KEY, TEXT, document
from handmade_opus import Reply, redirect, said, xml_error

from opus_async import (
    AmbiguousExecution,
    AuthenticationError,
    CallbackReceiver,
    JobRequest,
    OpusClient,
    OpusError,
    TransportError,
    UploadError,
)
from opus_async.opus.protocol.v0 import V0


@pytest.fixture
def everything_logged():
    """All that any logger says at DEBUG, with its tracebacks, as text."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s %(exc_info)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def presigned(monkeypatch):
    """The queries of all presigned URLs that the client was handed."""
    queries = []
    read = V0.read_presigned

    def note(self, answer):
        place = read(self, answer)
        queries.append(place.put_url.partition("?")[2])
        return place

    monkeypatch.setattr(V0, "read_presigned", note)
    return queries


def told_by(error):
    """Everything that an error, and what stands behind it, can be made to say."""
    parts, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts += [
            str(error),
            repr(error),
            repr(vars(error)),
            str(error.args),
            *getattr(error, "__notes__", ()),
        ]
        parts += traceback.format_exception(error)
        error = error.__cause__ or error.__context__ or getattr(error, "cause", None)
    return "\n".join(parts)


async def test_trap_6_logs_errors_and_events_of_hostile_run_hold_no_secret(  # noqa: PLR0917 - six fixtures
    simulate_apart, handmade, connect, everything_logged, presigned, tmp_path
):
    asyncio.get_running_loop().set_debug(True)
    simulator = await simulate_apart(
        faults="hostile", seed=6, run_time=0.05, fail_share=0.3, sign_content_type="alternate"
    )
    said, errors, events = [], [], []

    def listen(event):
        events.append(event)

    def broken(event):
        raise RuntimeError("a listener that fails")

    opus = connect(
        simulator, retry={"execute_grace": 0.3, "max_elapsed": 30, "attempts": 4}, listeners=[listen, broken]
    )
    rows = []
    for number in range(30):
        path = tmp_path / f"{number}.txt"
        path.write_bytes(document(number))
        rows.append(JobRequest({"Document": path}, title=f"row {number}"))
    async with opus.run_many(DOCUMENT, rows) as stream:
        said += [repr(opus), repr(stream), repr(stream.pool), str(vars(stream))]
        async for outcome in stream:
            said += [str(outcome), repr(outcome), repr(outcome.results), repr(outcome.audit)]
            errors += [outcome.error] if outcome.error else []

    # A wrong key, storage that refuses, a lost order, a server that is not there.
    wrong = "_" + "ab" * 48
    with pytest.raises(AuthenticationError) as caught:
        await connect(simulator, key=wrong).run(TEXT, {"Text": "x"})
    errors.append(caught.value)
    with (
        pytest.warns(UserWarning, match="underscore") as warned,
        pytest.raises(AuthenticationError) as caught,
    ):
        await connect(simulator, key=simulator.service_key[1:]).run(TEXT, {"Text": "x"})
    said += [str(warning.message) for warning in warned]
    errors.append(caught.value)
    secret = "/bucket/x?X-Amz-Credential=AKIA&X-Amz-Signature=f00d"
    refusals = [xml_error(403, "AccessDenied", f"no {secret}"), xml_error(400, "InvalidRequest", secret)]
    server = await handmade(script={"put": refusals * 20, "execute": ["reset before"] * 9})
    careful = connect(server, retry={"execute_grace": 0.02, "on_ambiguous": "stop"})
    for _ in range(2):
        with pytest.raises(UploadError) as refused:
            await careful.files.upload(b"content", filename="a.txt")
        errors.append(refused.value)
    with pytest.raises(AmbiguousExecution) as ambiguous:
        await careful.run(TEXT, {"Input": "x"})
    errors.append(ambiguous.value)
    gone = connect(server, retry={"attempts": 2})
    await server.refuse_for(0.3)
    with pytest.raises(TransportError) as broken_off:
        await gone.run(TEXT, {"Input": "x"})
    errors.append(broken_off.value)
    for client in (opus, careful, gone):
        await client.close()
        said.append(repr(client))

    assert len(errors) >= 8
    assert len(presigned) >= 30
    assert any(event for event in events)
    text = "\n".join(
        [everything_logged.getvalue(), *said, *map(told_by, errors), *map(str, events), *map(repr, events)]
    )
    assert "opus_async" in text
    assert len(text) > 50_000
    for what in (simulator.service_key, simulator.service_key[1:], wrong, KEY, *presigned):
        assert what not in text
    for mark in ("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "x-service-key:"):
        assert mark.lower() not in text.lower()


async def test_redaction_repr_of_client_parts_hides_key(handmade, connect):
    server = await handmade()
    opus = connect(server)
    await opus.run(TEXT, {"Input": "x"})
    parts = [
        opus,
        opus.jobs,
        opus.files,
        opus.workflows,
        opus._api,
        opus._network,
        opus._uploader,
        opus._watcher,
    ]
    assert KEY not in "".join(map(repr, parts))


HOOK_SECRET = "Zm9vYmFy7uQ3xK9pLwR2sT4v"
HOOK = f"https://hooks.example.com/services/T01/B02/{HOOK_SECRET}"
QUOTED = {
    "whole": HOOK,
    "cut": "x" * 280 + HOOK,
    "without a host": f"path {HOOK.partition('.com')[2]} refused",
    "last part": f"no {HOOK_SECRET} here",
    "percent": quote(HOOK, safe=""),
    "JSON": json.dumps({"callbackUrl": HOOK}).replace("/", "\\/"),
    "HTML": "".join(f"&#x{ord(char):x};" for char in HOOK),
    "base64": base64.b64encode(f"at {HOOK}".encode()).decode(),
    "wrapped": "\n".join(HOOK[at : at + 6] for at in range(0, len(HOOK), 6)),
    "key": KEY.upper(),
    "key in base64": base64.b64encode(KEY.encode()).decode(),
}
ENDING = {
    "initiate": lambda words: [said(400, message=words)],
    "execute": lambda words: [said(400, message={"reason": words}, code=words)] * 9,
    "status": lambda words: [said(400, message=[words, words])] * 9,
    "results": lambda words: [said(500, message="no", error=words)] * 9,
    "presign": lambda words: [Reply(502, f"<html><body>{words}</body></html>".encode())] * 9,
    "put": lambda words: [xml_error(400, "InvalidRequest", words)] * 9,
    "workflow": lambda words: [Reply(200, words.encode())] * 9,
}


@pytest.mark.parametrize("operation", ENDING)
@pytest.mark.parametrize("form", QUOTED)
async def test_redaction_hides_quoted_secrets_in_errors_logs_and_events(
    handmade, connect, everything_logged, operation, form
):
    server = await handmade(script={operation: ENDING[operation](QUOTED[form])}, file_input=True)
    events = []
    opus = connect(
        server,
        callback=HOOK,
        retry={"execute_grace": 0.02, "max_elapsed": 0.2, "attempts": 2, "base": 0.01},
        timeouts={"job": 3},
        listeners=[events.append],
    )
    with pytest.raises(OpusError) as caught:
        (await opus.run(TEXT, {"Input": ("a.txt", b"x")})).raise_for_status()
    nothing_of(HOOK_SECRET, told_by(caught.value), everything_logged.getvalue(), repr(events))
    nothing_of(KEY, told_by(caught.value), everything_logged.getvalue(), repr(events))


def nothing_of(secret, *texts):
    """No run of eight characters of a secret, also where it is in base64 or without its white space."""
    coded = base64.b64encode(secret.encode()).decode()
    for text in texts:
        dense = re.sub(r"\s|\\\\n", "", text).lower()
        for known in (secret.lower(), coded[4:-4].lower()):
            assert not [run for at in range(len(known) - 8) if (run := known[at : at + 9]) in dense]


async def test_redaction_covers_audit_and_leaves_results_unchanged(handmade, connect, everything_logged):
    node = {"execution_status": "FAILED", "error": f"POST {HOOK}: 500", "execution_output": [{"url": HOOK}]}
    audit = {"failed_nodes": [f"call {HOOK}"], "audit": {"nodes_execution_data": {f"call {HOOK}": node}}}
    server = await handmade(
        script={"status": [said(200, status="FAILED")] * 9, "audit": [said(200, **audit)] * 9}
    )
    opus = connect(server, callback=HOOK)
    outcome = await opus.run(TEXT, {"Input": "x"})
    shown = repr([outcome, outcome.audit, outcome.audit.raw, [node.outputs for node in outcome.audit.nodes]])
    nothing_of(HOOK_SECRET, shown, told_by(outcome.error), everything_logged.getvalue())
    assert "call <callback URL> (POST <callback URL>: 500)" in str(outcome.error)

    server.script = {"results": [said(200, results={"Link": HOOK})]}
    assert (await opus.run(TEXT, {"Input": "x"})).outputs["Link"] == HOOK


async def test_redaction_covers_unknown_status_word(handmade, connect):
    server = await handmade(script={"status": [said(200, status=f"calling {HOOK}")]})
    opus = connect(server, callback=HOOK)
    status = await opus.jobs.status(await opus.jobs.initiate(TEXT))
    assert repr(status) == "<UNKNOWN 'calling <callback URL>'>"


async def test_redaction_covers_callback_urls_of_one_run_and_of_environment(handmade, connect, monkeypatch):
    of_one_job, from_before = HOOK.replace("T01", "T02"), f"https://old.example.com/{'q7' * 12}"
    monkeypatch.setenv("OPUS_CALLBACK_URL", from_before)
    server = await handmade(script={"status": [said(400, message=f"no {of_one_job} nor {from_before}")] * 9})
    opus = connect(server, callback="https://me.example.com/hook", retry={"attempts": 1, "max_elapsed": 0.1})
    with pytest.raises(OpusError) as caught:
        await opus.run(TEXT, {"Input": "x"}, callback=of_one_job)
    nothing_of(HOOK_SECRET, told_by(caught.value))
    nothing_of("q7" * 12, told_by(caught.value))


async def test_redaction_covers_callback_token_in_later_calls_about_the_job(handmade, connect):
    receiver = CallbackReceiver("https://me.example.com/opus")
    server = await handmade()
    opus = connect(server, callback=receiver, retry={"attempts": 1, "max_elapsed": 0.1})
    job_id = (await opus.run(TEXT, {"Input": "x"})).job_id
    url = server.of("execute")[0].json["callbackUrl"]
    proof = url.rpartition(".")[2]
    for written in (url, url.upper(), base64.b64encode(url.encode()).decode(), "\n".join(url)):
        server.script["status"] = [said(400, message=f"cannot reach {written}, trying again")]
        with pytest.raises(OpusError) as caught:
            await opus.jobs.status(job_id)
        nothing_of(proof, told_by(caught.value))
        assert "trying again" in str(caught.value)


# Other hosts


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("operation", ["workflow", "initiate", "execute", "status", "results", "presign"])
async def test_trap_7_the_key_follows_no_redirect_to_another_origin(handmade, connect, status, operation):
    elsewhere = await handmade()
    away = redirect(status, f"{elsewhere.base_url}/job/initiate")
    server = await handmade(script={operation: [away] * 200}, file_input=operation == "presign")
    opus = connect(
        server,
        retry={"execute_grace": 0.02, "max_elapsed": 0.5, "attempts": 3},
        timeouts={"job": 0.5 if operation == "status" else 10},
    )
    given = ("a.txt", b"x") if operation == "presign" else "x"
    with pytest.raises(OpusError) as caught:
        (await opus.run(TEXT, {"Input": given})).raise_for_status()
    assert elsewhere.seen == []
    assert elsewhere.connections == 0
    assert "redirect" in str(caught.value) or operation == "status"


async def test_redirect_to_other_scheme_host_or_user_is_refused(handmade, connect):
    elsewhere = await handmade()
    port = elsewhere.base_url.rpartition(":")[2]
    for target in (
        f"//127.0.0.1:{port}/workflow/x",
        f"http://localhost:{port}/workflow/x",
        f"http://someone@127.0.0.1:{port}/workflow/x",
        f"https://127.0.0.1:{port}/workflow/x",
    ):
        server = await handmade(script={"workflow": [redirect(307, target)] * 9})
        with pytest.raises(TransportError, match="redirected"):
            await connect(server, retry={"attempts": 2}).workflows.get(TEXT)
    assert elsewhere.connections == 0


async def test_trap_7_a_redirect_inside_the_origin_keeps_method_body_and_key(handmade, connect):
    server = await handmade(script={"unknown": [redirect(308, "/job/initiate")]})

    def to_alias(seen):
        return redirect(308, "/job/v3/initiate")

    server.script["initiate"] = [to_alias]
    job_id = await connect(server).jobs.initiate(TEXT, title="moved")
    assert server.jobs[job_id].request["title"] == "moved"
    first, moved, last = server.seen
    assert first.body == moved.body == last.body
    assert {seen.headers["x-service-key"] for seen in server.seen} == {KEY}
    assert [seen.method for seen in server.seen] == ["POST"] * 3


async def test_settings_come_from_environment_unless_given_as_argument(simulate, connect, monkeypatch):
    simulator = await simulate()
    monkeypatch.setenv("OPUS_SERVICE_KEY", f" {simulator.service_key}\n")
    monkeypatch.setenv("OPUS_BASE_URL", simulator.base_url + "/")
    async with OpusClient() as opus:
        assert (await opus.workflows.get(TEXT)).workflow_id == TEXT
    async with OpusClient("_" + "00" * 48) as opus:
        with pytest.raises(AuthenticationError):
            await opus.workflows.get(TEXT)
