"""The traps of the API's reference over real sockets, in both generations, named by their numbers.

What a shape means is tabled in `tests/protocol`; here is what a caller sees of it, and what is on the wire.
"""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from client_tools import KEY, MODERN, TEXT, sha256
from handmade_opus import OK, RESET_AFTER, Reply, html, redirect, said

from opus_async import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    JobFailed,
    JobStatus,
    OpusClient,
    ProtocolError,
    RateLimited,
    RequestRetried,
    ServerError,
    TransportError,
    ValidationFailed,
)

EXECUTION = {"workflow_input_handmade1": {"value": "x", "type": "str", "displayName": "Input"}}
GRACE = {"execute_grace": 0.1, "max_elapsed": 1.0}


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


def calls(opus):
    """For each operation of the API a call that comes to it."""
    return {
        "workflow": lambda: opus.workflows.get(TEXT),
        "initiate": lambda: opus.jobs.initiate(TEXT),
        "presign": lambda: opus.files.upload(b"x", filename="a.txt", workflow_id=TEXT),
        "execute": lambda: opus.run(TEXT, {"Input": "x"}, timeout=10),
        "status": lambda: opus.jobs.status("job-1"),
        "results": lambda: opus.jobs.results("job-1"),
        "audit": lambda: opus.jobs.audit("job-1"),
    }


every_operation = pytest.mark.parametrize(
    "operation", ["workflow", "initiate", "presign", "execute", "status", "results", "audit"]
)

# Transport and errors


@pytest.mark.parametrize("operation", ["workflow", "initiate", "presign", "execute", "status", "audit"])
async def test_trap_1_list_of_messages_is_reported_whole_without_retry(handmade, connect, operation):
    refusal = said(400, statusCode=400, message=["title is empty", "callbackUrl must be a URL address"])
    server = await handmade(script={operation: [refusal]})
    with pytest.raises(ValidationFailed) as caught:
        await calls(connect(server))[operation]()
    assert caught.value.status == 400
    assert "title is empty; callbackUrl must be a URL address" in str(caught.value)
    assert server.counts[operation] == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": {"x": 1}}', '"x": 1'),
        (b'{"error": "e"}', ": e."),
        (b'""', "refused the request"),
        (b"", "refused the request"),
        (b"[]", "refused the request"),
        (b"plain text", "plain text"),
    ],
)
async def test_trap_2_whatever_the_body_the_error_can_be_read(handmade, connect, body, words):
    server = await handmade(script={"initiate": [Reply(400, body)]})
    with pytest.raises(ValidationFailed) as caught:
        await connect(server).jobs.initiate(TEXT)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("operation", ["workflow", "status", "results", "audit"])
async def test_trap_3_502_page_is_a_short_server_error_and_get_is_retried(handmade, connect, operation):
    noise = "<p>" + "padding " * 5000
    page = f"<html><head><title>502 Bad Gateway</title></head><body>{noise}</body></html>".encode()
    away = Reply(502, page, (("Content-Type", "text/html"),))
    server = await handmade(script={operation: [away, away]})
    with pytest.raises(ServerError, match="502 Bad Gateway") as caught:
        await calls(connect(server, retry={"attempts": 2}))[operation]()
    assert (caught.value.status, caught.value.detail) == (502, "502 Bad Gateway")
    assert len(str(caught.value)) < 400
    assert server.counts == {operation: 2}


def throttled(wait, *headers):
    return Reply(429, b'{"metadata": {"retryAfterSeconds": %s}}' % wait, headers)


@pytest.mark.parametrize(
    ("wait", "least", "most"),
    [
        (b"0.3", 0.3, 0.34),
        (b"0", 0.05, 0.06),
        (b"-1", 0.5, 0.6),
        (b'"x"', 0.5, 0.6),
        (b"null", 0.5, 0.6),
        (b"1e9", 0.4, 0.45),
    ],
)
async def test_trap_4_429_is_waited_for_as_long_as_it_says(handmade, connect, wait, least, most):
    told = []
    server = await handmade(script={"initiate": [throttled(wait)]})
    opus = connect(server, listeners=[told.append], retry={"max_elapsed": 0.4})
    began = time.monotonic()
    assert await opus.jobs.initiate(TEXT) == "job-1"
    assert time.monotonic() - began >= 0.95 * least
    [retried] = [event for event in told if isinstance(event, RequestRetried)]
    assert least <= retried.wait <= most
    assert server.counts == {"initiate": 2}


SEVEN_SECONDS = (("Date", "Thu, 01 Jan 2026 00:00:00 GMT"), ("Retry-After", "Thu, 01 Jan 2026 00:00:07 GMT"))


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(429, b"", (("Retry-After", "3"),)), 3.0),
        (Reply(429, b"<html>", SEVEN_SECONDS), 7.0),
        (throttled(b"2", ("Retry-After", "30")), 2.0),
        (throttled(b"-1", ("Retry-After", "30")), 30.0),
    ],
)
async def test_trap_5_retry_after_in_body_takes_precedence_over_header(handmade, connect, reply, seconds):
    told = []
    server = await handmade(script={"initiate": [reply] * 9})
    # No wait is longer than the whole patience, which a test can afford.
    opus = connect(server, listeners=[told.append], retry={"max_elapsed": 0.1})
    with pytest.raises(RateLimited) as caught:
        await opus.jobs.initiate(TEXT)
    assert caught.value.retry_after == seconds
    waits = [event.wait for event in told if isinstance(event, RequestRetried)]
    assert waits
    assert all(0.1 <= wait <= 0.12 for wait in waits)


async def test_trap_6_key_without_underscore_raises_hint_and_is_never_shown(
    simulate, connect, caplog, capsys
):
    caplog.set_level(logging.DEBUG)
    simulator = await simulate()
    bare = simulator.service_key.removeprefix("_")
    with pytest.warns(UserWarning, match="leading underscore") as warned:
        opus = connect(simulator, key=bare)
    with pytest.raises(AuthenticationError, match="underscore") as caught:
        await opus.workflows.get(TEXT)
    said = [str(caught.value), repr(caught.value), repr(vars(caught.value)), repr(opus), caplog.text]
    said += [str(warning.message) for warning in warned] + list(capsys.readouterr())
    assert bare not in "".join(said)


async def test_key_problem_is_not_told_where_the_path_is_for_browsers_only(simulate, connect):
    simulator = await simulate(traits=frozenset({"browser_only"}))
    with pytest.warns(UserWarning, match="leading underscore"):
        opus = connect(simulator, key=simulator.service_key.removeprefix("_"))
    with pytest.raises(AuthenticationError, match="for browsers only") as caught:
        await opus.workflows.get(TEXT)
    assert "underscore" not in str(caught.value)


@pytest.mark.parametrize("around", ["{}\n", "  {}", "\t{} \r\n"])
async def test_trap_6_space_around_a_key_is_trimmed(handmade, connect, around):
    server = await handmade()
    await connect(server, key=around.format(KEY)).workflows.get(TEXT)
    assert [seen.headers["x-service-key"] for seen in server.seen] == [KEY]


async def test_trap_7_a_308_is_followed_inside_the_origin_with_method_body_and_key(handmade, connect):
    server = await handmade(script={"unknown": [lambda seen: redirect(308, place[0])]})
    place = []

    def moved(seen):
        place.append(seen.target)
        return redirect(308, "/job/v2/initiate")

    server.script["initiate"] = [moved]
    job_id = await connect(server).jobs.initiate(TEXT, title="moved")
    assert server.jobs[job_id].request["title"] == "moved"
    first, second, third = server.seen
    assert (first.target, second.target, third.target) == (place[0], "/job/v2/initiate", place[0])
    assert first.body == second.body == third.body
    assert [seen.method for seen in server.seen] == ["POST"] * 3
    assert {seen.headers["x-service-key"] for seen in server.seen} == {KEY}


@every_operation
async def test_trap_7_a_308_to_another_host_is_refused_and_the_key_stays(handmade, connect, operation):
    elsewhere = await handmade()
    server = await handmade(script={operation: [redirect(308, f"{elsewhere.base_url}/job/initiate")] * 9})
    opus = connect(server, retry={"execute_grace": 0.02, "attempts": 2, "on_ambiguous": "stop"})
    with pytest.raises((TransportError, AmbiguousExecution), match="redirect"):
        await calls(opus)[operation]()
    assert elsewhere.connections == 0


@pytest.mark.parametrize("word", ["IN_PROGRESS", "WAITING", "COMPLETED", "FAILED"])
async def test_trap_8_after_reset_of_start_status_is_read_before_any_resend(handmade, connect, word):
    server = await handmade(script={"execute": [RESET_AFTER]})

    def status(seen):
        executed = server.jobs[seen.target.split("/")[-2]].executions
        return said(200, status=word) if executed else OK

    server.script["status"] = [status] * 5
    outcome = await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.status == (word if word == "FAILED" else "COMPLETED")
    after = [seen.operation for seen in server.seen].index("execute") + 1
    assert {seen.operation for seen in server.seen[after : after + 2]} <= {"status", "audit"}
    assert server.counts["execute"] == 1
    assert [job.executions for job in server.jobs.values()] == [1, 0], "the job, and one never executed"


@pytest.mark.parametrize("obeyed", [True, False])
async def test_trap_9_500_on_execute_is_checked_before_resend(handmade, connect, obeyed):
    lost = html(500, obeyed=True) if obeyed else said(500, statusCode=500, message="Internal server error")
    server = await handmade(script={"execute": [lost]})
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)).ok
    orders = [place for place, seen in enumerate(server.seen) if seen.operation == "execute"]
    assert len(orders) == (1 if obeyed else 2)
    between = [seen.operation for seen in server.seen[orders[0] + 1 : orders[-1]]]
    assert obeyed or between.count("status") >= 3
    assert server.executed_twice == []


async def test_trap_9_a_503_on_initiate_is_sent_again(handmade, connect):
    server = await handmade(script={"initiate": [html(503), html(503)]})
    assert (await connect(server).run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.counts["initiate"] == 3
    assert len(server.jobs) == 1


@pytest.mark.parametrize("inner", [400, 422, 500, "503"])
async def test_trap_10_an_inner_status_inside_a_200_is_an_execute_error(handmade, connect, inner):
    message = "Request failed with status code 422"
    server = await handmade(script={"execute": [said(200, statusCode=inner, message=message)]})
    with pytest.raises((ValidationFailed, ServerError), match=message) as caught:
        await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    assert (caught.value.status, caught.value.stage, caught.value.job_id) == (int(inner), "execute", "job-1")
    assert server.counts["execute"] == 1


# Ids, status, polling


@pytest.mark.parametrize(
    ("sent", "job_id"),
    [
        (72964, "72964"),
        ("72964", "72964"),
        (9007199254740993, "9007199254740993"),
        (10**40 + 7, "1" + "0" * 39 + "7"),
    ],
)
async def test_trap_11_numeric_id_becomes_text_with_every_digit(handmade, connect, sent, job_id):
    server = await handmade(script={"initiate": [said(201, jobExecutionId=sent, caseId=sent)]})
    assert await connect(server).jobs.initiate(TEXT) == job_id


@pytest.mark.parametrize(
    "body", [{}, {"jobExecutionId": None, "caseId": None}, {"jobExecutionId": "", "caseId": ""}]
)
async def test_trap_11_no_id_is_a_protocol_error(handmade, connect, body):
    server = await handmade(script={"initiate": [said(201, **body)] * 9})
    with pytest.raises(ProtocolError, match="without a usable"):
        await connect(server, retry={"attempts": 2}).jobs.initiate(TEXT)


@pytest.mark.parametrize(
    ("job_id", "segment"), [("a/b", "a%2Fb"), ("a?b", "a%3Fb"), ("a b", "a%20b"), ("..", "%2E%2E")]
)
async def test_trap_12_id_is_escaped_into_one_path_segment(handmade, connect, api, job_id, segment):
    server = await handmade(script={"status": [said(200, status="PENDING")]})
    assert await connect(server).jobs.status(job_id) == JobStatus.PENDING
    assert [seen.target for seen in server.seen] == [
        {"v0": f"/job/{segment}/status", "v1": f"/api/v1/case/{segment}/status"}[api]
    ]


@pytest.mark.parametrize(
    "word", ["IN PROGRESS", "IN_PROGRESS", "in_progress", "In Progress ", "WAITING", "PENDING", "BRAND_NEW"]
)
async def test_trap_13_a_status_that_is_not_final_is_polled_on(handmade, connect, word):
    server = await handmade(script={"status": [said(200, status=word)] * 3})
    opus = connect(server)
    assert (await opus.run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.counts["status"] >= 4
    server.script["status"] = [said(200, status=word)]
    seen = await opus.jobs.status("job-1")
    assert seen.raw == word
    assert not seen.is_terminal


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("TIMED_OUT", JobStatus.TIMED_OUT),
        ("timed out", JobStatus.TIMED_OUT),
        ("stopped", JobStatus.CANCELLED),
        ("CANCELED", JobStatus.CANCELLED),
        ("CANCELLED", JobStatus.CANCELLED),
    ],
)
async def test_trap_13_failure_word_is_mapped_to_timed_out_or_cancelled(handmade, connect, word, status):
    server = await handmade(script={"status": [said(200, status=word)] * 2})
    outcome = await connect(server).run(TEXT, {"Input": "x"}, timeout=10)
    assert (outcome.ok, outcome.status, outcome.status.raw) == (False, status, word)
    assert isinstance(outcome.error, JobFailed)
    assert server.counts["status"] == 2, "a second look agreed"


async def test_trap_14_three_502_while_polling_are_no_failure(handmade, connect):
    server = await handmade(script={"status": [html(502)] * 3})
    assert (await connect(server).run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.counts["status"] == 4


async def test_trap_15_results_that_answer_202_twice_are_waited_for(handmade, connect):
    late = [Reply(202), said(202, status="IN PROGRESS")]
    server = await handmade(script={"results": late})
    outcome = await connect(server).run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.raise_for_status().outputs == {"SHA-256": sha256(b"x")}
    assert server.counts["results"] == 3


@pytest.mark.parametrize("options", [{"timeout": 0.6}, {}], ids=["a deadline", "none"])
async def test_trap_15_results_that_answer_202_for_ever_end_in_a_timeout(handmade, connect, options):
    server = await handmade(script={"results": [Reply(202)] * 1000})
    outcome = await connect(server, retry={"max_elapsed": 0.3}).run(TEXT, {"Input": "x"}, **options)
    assert (outcome.status, outcome.ok) == (JobStatus.COMPLETED, False)
    with pytest.raises(DeadlineExceeded) as caught:
        outcome.raise_for_status()
    assert (caught.value.job_id, caught.value.last_status) == ("job-1", JobStatus.COMPLETED)


FAILED = said(200, status="FAILED")


async def test_trap_16_a_failed_job_is_explained_by_one_audit(handmade, connect):
    nodes = {"OCR": {"execution_status": "FAILED", "error": "page 3 cannot be read"}}
    audit = said(200, failed_nodes=["Rules"], audit={"nodes_execution_data": nodes})
    server = await handmade(script={"status": [FAILED] * 2, "audit": [audit]})
    outcome = await connect(server).run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.error.failed_nodes == ("Rules", "OCR")
    assert "failed nodes: Rules; OCR (page 3 cannot be read)" in str(outcome.error)
    assert (server.counts["audit"], server.counts["results"]) == (1, 0)


@pytest.mark.parametrize(
    ("audit", "reads"),
    [(said(404, statusCode=404, message="No audit"), 1), (html(500), 2), (html(502), 2), (html(200), 2)],
    ids=["404", "500", "502", "HTML"],
)
async def test_trap_16_unreadable_audit_does_not_hide_job_failure(handmade, connect, audit, reads):
    server = await handmade(script={"status": [FAILED] * 2, "audit": [audit] * 9})
    outcome = await connect(server, retry={"attempts": 2}).run(TEXT, {"Input": "x"}, timeout=10)
    assert (outcome.status, outcome.audit) == (JobStatus.FAILED, None)
    with pytest.raises(JobFailed, match="ended as FAILED"):
        outcome.raise_for_status()
    assert server.counts["audit"] == reads


# Payload


FILE_ITEMS = {"id": "file", "variable_name": "file", "allowed_types": [{"type": "file"}]}
NAMED = {"variable_name": "v", "display_name": "Files", "is_nullable": False}
RICH = {"type": "array", "type_definition": FILE_ITEMS}


def graph(**entry):
    schema = {"schema": {"v": {**NAMED, **entry}}}
    return {"workflow_input_node_id": "n1", "nodes": {"n1": {"input_schema": schema}}}


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"jobPayloadSchema": {"v": {**NAMED, **RICH}}}, "array"),
        ({"jobPayloadSchema": {"v": {**NAMED, "type": RICH}}}, "array"),
        (graph(allowed_types=[RICH]), "array"),
        (graph(allowed_types=[{"type": "array_files"}]), "array_files"),
        ({"jobPayloadSchema": {"v": {**NAMED, "type": "array_files"}}}, "array_files"),
    ],
    ids=["flat", "a type that is an object", "graph", "array_files in a graph", "array_files"],
)
async def test_trap_23_list_of_files_is_sent_with_type_of_schema(handmade, connect, schema, kind):
    server = await handmade(script={"workflow": [said(200, **schema)]})
    outcome = await connect(server).run(TEXT, {"Files": [("a.txt", b"a"), ("b.txt", b"b")]}, timeout=10)
    assert outcome.ok
    [order] = server.of("execute")
    urls = {server.stored[url.rpartition("/")[2]]: url for url in order.payload["v"]["value"]}
    sent = {"value": [urls[b"a"], urls[b"b"]], "type": kind, "displayName": "Files"}
    assert order.payload == {"v": sent if kind == "array_files" else {**sent, "typeDefinition": FILE_ITEMS}}


async def test_trap_27_no_callback_is_a_placeholder_on_v0_and_nothing_on_v1(handmade, connect, api):
    server = await handmade()
    await connect(server).run(TEXT, {"Input": "x"}, timeout=10)
    [order] = server.of("execute")
    if api == "v0":
        assert order.json["callbackUrl"].startswith("https://")
        assert order.json["callbackUrl"].split("/")[2].endswith(".invalid")
    else:
        assert set(order.json) == {"payload"}


@pytest.mark.parametrize("url", ["", "not a url", "http://"])
async def test_trap_27_a_callback_that_is_no_https_url_is_refused_before_the_call(handmade, connect, url):
    server = await handmade()
    with pytest.raises(ConfigurationError, match="callback URL"):
        await connect(server).jobs.execute("job-1", EXECUTION, callback_url=url)
    with pytest.raises(ConfigurationError, match="callback URL"):
        connect(server, callback=url)
    assert server.seen == []


async def test_trap_27_plain_http_is_refused_before_any_call(api):
    with pytest.raises(ConfigurationError, match="callback URL"):
        OpusClient(KEY, api=api, callback="http://app.example.com/x")
    async with OpusClient(KEY, api=api) as opus:
        with pytest.raises(ConfigurationError, match="callback URL"):
            await opus.jobs.execute("job-1", EXECUTION, callback_url="http://app.example.com/x")


# Files


@pytest.mark.parametrize(
    ("signed", "sent"), [("host", None), ("content-type;host", "text/csv"), ("host;content-type", "text/csv")]
)
async def test_trap_28_content_type_is_sent_only_if_signed(handmade, connect, signed, sent):
    server = await handmade(signed=signed)
    await connect(server).files.upload(b"a;b\n", filename="a.csv", workflow_id=TEXT)
    [put] = server.of("put")
    assert ("content-type" in put.headers) == (sent is not None)
    assert put.headers.get("content-type") == sent


QUERY = "z=1&B=%2f%2F&a=+%20~&X-Amz-SignedHeaders=host&X-Amz-Signature=5ec2e75ec2e7%3d&=&&c"


async def test_trap_29_put_has_no_key_and_unchanged_query_and_is_not_logged(handmade, connect, caplog):
    caplog.set_level(logging.DEBUG)
    told = []

    def place(seen):
        url = f"{server.base_url}/bucket/a%2Fb+c.txt?{QUERY}"
        return said(201, presignedUrl=url, fileUrl="https://files.opus.com/media/other.txt")

    server = await handmade(script={"presign": [place]})
    uploaded = await connect(server, listeners=[told.append]).files.upload(
        b"content", filename="a.txt", workflow_id=TEXT
    )
    [put] = server.of("put")
    assert put.target == f"/bucket/a%2Fb+c.txt?{QUERY}"
    assert "x-service-key" not in put.headers
    assert KEY not in str(put.headers)
    assert uploaded.url == "https://files.opus.com/media/other.txt"
    assert "/bucket/" in str(told)
    assert "5ec2e7" not in caplog.text + str(told)


async def test_trap_30_a_file_is_sent_whole_with_its_length_and_not_in_chunks(handmade, connect, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"line\n" * 100_000)
    server = await handmade()
    await connect(server).files.upload(path, workflow_id=TEXT)
    [put] = server.of("put")
    assert put.headers["content-length"] == "500000"
    assert "transfer-encoding" not in put.headers
    assert put.body == path.read_bytes()


async def test_trap_32_one_file_for_two_inputs_is_uploaded_once(simulate, connect, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7 for both")
    simulator = await simulate()
    inputs = {"Profile": {}, "Count": 1, "Invoices": [path, ("b.pdf", b"other"), path], "Attachment": path}
    outputs = (await connect(simulator).run(MODERN, inputs)).raise_for_status().outputs
    both = sha256(path.read_bytes())
    assert outputs["Invoices SHA-256"] == [both, sha256(b"other"), both]
    assert outputs["Attachment SHA-256"] == both
    assert simulator.state()["counters"]["uploads"] == 2


# Many


async def test_trap_36_a_storm_of_429_over_200_jobs_is_one_pause_and_all_finish(handmade, connect):
    jobs, slots, lasts = 200, 20, 0.4
    storm = Storm(lasts, begins_after=300)
    operations = ("initiate", "execute", "status", "results")
    server = await handmade(script={operation: [storm] * 10_000 for operation in operations})
    told = []
    opus = connect(server, limits={"api_concurrency": slots}, listeners=[told.append])
    stream = opus.run_many(TEXT, [{"Input": str(number)} for number in range(jobs)])
    outcomes = [outcome async for outcome in stream]
    assert sorted(outcome.index for outcome in outcomes) == list(range(jobs))
    assert [outcome.error for outcome in outcomes if not outcome.ok] == []
    assert server.executed_twice == []
    assert len(server.jobs) == jobs
    assert slots / 2 <= len(storm.refused) <= 2 * slots, "what was on the wire when it began, and no more"
    retried = [event for event in told if isinstance(event, RequestRetried)]
    assert len(retried) == len(storm.refused)
    assert storm.after[0] - storm.refused[0] >= lasts, "nobody asks before the pause is over"
    assert storm.after[2 * slots] - storm.after[0] >= 0.05, "and then not everybody at once"


class Storm:
    """After so many requests, and for as long as it lasts, every request is refused and told to wait."""

    def __init__(self, lasts, *, begins_after):
        self.lasts = lasts
        self.before = begins_after
        self.refused = []
        self.after = []

    async def __call__(self, seen):
        await asyncio.sleep(0.01)  # a server at a distance: many requests are on the wire at once
        now = time.monotonic()
        if self.before:
            self.before -= 1
            return "ok"
        if not self.refused or now < self.refused[0] + self.lasts:
            self.refused.append(now)
            return said(429, statusCode=429, metadata={"retryAfterSeconds": self.lasts})
        self.after.append(now)
        return "ok"
