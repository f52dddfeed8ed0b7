"""Every shape of ids, presigned URLs, starts, statuses and results is read as one."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest

from opus_async.errors import (
    APIError,
    NotFound,
    ProtocolError,
    ServerError,
    ValidationFailed,
)
from opus_async.models import JobResults, JobStatus, OutputValue

# -- ids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "job_id"),
    [
        (b'{"jobExecutionId": 72964}', "72964"),
        (b'{"jobExecutionId": "72964"}', "72964"),
        (b'{"jobExecutionId": " 72964\\n"}', "72964"),
        (b'{"jobExecutionId": 123456789012345678901234567890}', "123456789012345678901234567890"),
        (b'{"jobExecutionId": "00072964"}', "00072964"),
        (b'{"job_execution_id": "72964"}', "72964"),
        (b'{"data": {"jobExecutionId": 72964}}', "72964"),
        (b'{"jobExecutionId": 0}', "0"),
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_trap_11_initiate_response_gives_job_id_as_text_with_every_digit(v0, answer, raw, job_id, status):
    assert v0.read_initiated(answer(raw, status)) == job_id


def test_trap_11_initiate_response_with_id_of_4000_digits_is_read(v0, answer):
    assert v0.read_initiated(answer(b'{"jobExecutionId": ' + b"9" * 4000 + b"}")) == "9" * 4000


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "72964",
        {"jobExecutionId": None},
        {"jobExecutionId": ""},
        {"jobExecutionId": "  "},
        {"jobExecutionId": True},
        {"jobExecutionId": 7.5},
        {"jobExecutionId": ["1"]},
        {"jobExecutionId": {"id": "1"}},
        {"jobExecutionId": "1\u0000 2"},
        {"data": None},
        b"",
        b"<html>",
    ],
)
def test_trap_11_initiate_response_without_usable_id_is_a_protocol_error(v0, answer, body):
    with pytest.raises(ProtocolError) as caught:
        v0.read_initiated(answer(body, 201))
    assert caught.value.retryable is (body in (b"", b"<html>"))  # no answer of the API, so asked again


LONGEST_INTEGER = 4300
"""Digits of an integer that Python reads by default."""


@pytest.mark.parametrize("digits", range(4290, 4310))
def test_trap_11_initiate_response_with_id_near_int_digit_limit_is_read_or_a_protocol_error(
    v0, answer, digits
):
    for sign in (b"", b"-"):
        with pytest.raises(ProtocolError) if digits > LONGEST_INTEGER else nullcontext():
            job_id = v0.read_initiated(answer(b'{"jobExecutionId": ' + sign + b"9" * digits + b"}"))
            assert job_id == sign.decode() + "9" * digits


def test_initiate_response_that_refuses_is_an_api_error(v0, answer):
    with pytest.raises(ValidationFailed, match="workflowId must be a UUID"):
        v0.read_initiated(answer({"message": ["workflowId must be a UUID"]}, 400))
    with pytest.raises(NotFound):
        v0.read_initiated(answer({"statusCode": 404, "message": "no such workflow"}, 201))


# -- presign -----------------------------------------------------------------------------------------------

PUT = "https://bucket.s3.eu-central-1.amazonaws.com/media%2Fa%20(1).pdf?X-Amz-Signature=00aa&x=%7E~"
FILE = "https://files.opus.com/media/private/uploaded/media_0002.pdf"


@pytest.mark.parametrize(
    "body",
    [
        {"presignedUrl": PUT, "fileUrl": FILE},
        {"presigned_url": PUT, "file_url": FILE},
        {"data": {"presignedUrl": PUT, "fileUrl": FILE}},
    ],
)
def test_presign_response_keeps_url_byte_for_byte(v0, answer, body):
    upload = v0.read_presigned(answer(body, 201))
    assert (upload.put_url, upload.file_url) == (PUT, FILE)
    assert "00aa" not in repr(upload)


@pytest.mark.parametrize(
    "bad", [None, "", 7, "bucket/x", "ftp://h/x", "https://", "https://h/a b", "https://[x"]
)
def test_presign_response_without_two_valid_urls_is_a_protocol_error_without_urls(v0, answer, bad):
    for body in ({"presignedUrl": bad, "fileUrl": FILE}, {"presignedUrl": PUT, "fileUrl": bad}, [PUT, FILE]):
        with pytest.raises(ProtocolError) as caught:
            v0.read_presigned(answer(body, 201))
        assert "00aa" not in caught.value.message + caught.value.body


# -- execute -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "message": "Job execution has been started", "jobExecutionId": "2514"},
        {"success": True, "jobPayloadSchemaInstance": {"workflow_input_abc123def": "some text"}},
        {"statusCode": 200, "message": "Job Started"},
        {"statusCode": "201", "message": "Job Started"},
        {"jobExecutionId": "2514"},
        {"success": True, "error": None},
        {"success": True, "error": {"warning": "slow"}},
    ],
)
def test_execute_response_of_accepted_start_is_read_without_error(v0, answer, body, status):
    v0.read_executed(answer(body, status))


@pytest.mark.parametrize(
    ("inner", "kind"),
    [(500, ServerError), ("500", ServerError), (503, ServerError), (400, ValidationFailed), (404, NotFound)],
)
def test_trap_10_execute_response_with_error_status_in_body_is_an_api_error(v0, answer, inner, kind):
    with pytest.raises(kind, match="Request failed with status code 422") as caught:
        v0.read_executed(answer({"statusCode": inner, "message": "Request failed with status code 422"}))
    assert caught.value.status == int(inner)


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "message": "Execution was not started", "error": {"reason": "no credit"}},
        {"success": "false", "message": "Execution was not started: no credit"},
        {"error": {"reason": "no credit"}},
        {"error": "no credit", "success": None},
        {"success": False, "statusCode": 200, "message": "no credit"},
        {"status": "error", "message": "no credit"},
        {"status": "fail", "error": "no credit"},
        {"status": 500, "message": "no credit"},
        {"status": " 409 ", "message": "no credit"},
        {"code": 500.0, "message": "no credit"},
        {"success": "False", "message": "no credit"},
        {"ok": False, "message": "no credit"},
        {"success": True, "data": {"success": False}, "message": "no credit"},
        {"success": True, "data": {"statusCode": 500}, "message": "no credit"},
        {"errors": ["no credit"], "message": "no credit"},
    ],
)
def test_execute_response_201_with_refusal_in_body_is_a_validation_error(v0, answer, body):
    with pytest.raises(ValidationFailed, match="no credit") as caught:
        v0.read_executed(answer(body, 201))
    assert caught.value.status == 201


NO_WORD_OF_A_START = [
    {},
    {"statusCode": None},
    {"statusCode": 302},
    {"uptime": 3},
    {"data": {"success": True}},
    {"message": "Job Started"},
    {"message": "Service Unavailable"},
    {"status": "FAILED", "message": "x"},
]


@pytest.mark.parametrize(
    "body", [[], None, "ok", 1, b"", b"<html>OK</html>", b'{"success": tr', *NO_WORD_OF_A_START]
)
def test_execute_response_without_a_verdict_is_a_protocol_error(v0, answer, body):
    with pytest.raises(ProtocolError):
        v0.read_executed(answer(body, 201))


# -- status ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("IN PROGRESS", "IN_PROGRESS"),
        ("IN_PROGRESS", "IN_PROGRESS"),
        ("in_progress", "IN_PROGRESS"),
        ("In Progress ", "IN_PROGRESS"),
        ("in-progress", "IN_PROGRESS"),
        ("IN  _-PROGRESS", "IN_PROGRESS"),
        ("PENDING", "PENDING"),
        ("WAITING", "WAITING"),
        ("COMPLETED", "COMPLETED"),
        ("completed\n", "COMPLETED"),
        ("SUCCEEDED", "COMPLETED"),
        ("success", "COMPLETED"),
        ("Finished", "COMPLETED"),
        ("FAILED", "FAILED"),
        ("error", "FAILED"),
        ("CANCELLED", "CANCELLED"),
        ("CANCELED", "CANCELLED"),
        ("stopped", "CANCELLED"),
        ("TIMED_OUT", "TIMED_OUT"),
        ("timed out", "TIMED_OUT"),
        ("UNKNOWN", "UNKNOWN"),
        ("BRAND_NEW", "UNKNOWN"),
        ("", "UNKNOWN"),
        ("\u0130N PROGRESS", "UNKNOWN"),
    ],
)
def test_trap_13_status_response_is_normalized_and_keeps_raw_word(v0, answer, word, status):
    for body in ({"status": word}, {"state": word}, {"data": {"status": word}}, word):
        found = v0.read_status(answer(body))
        assert isinstance(found, JobStatus)
        assert (found, found.raw) == (status, word)


@pytest.mark.parametrize(
    ("status", "terminal"),
    [("WAITING", False), ("PENDING", False), ("BRAND_NEW", False), ("IN PROGRESS", False)]
    + [(word, True) for word in ("COMPLETED", "FAILED", "STOPPED", "TIMED OUT", "CANCELED")],
)
def test_trap_13_status_response_is_terminal_only_if_job_has_ended(v0, answer, status, terminal):
    assert v0.read_status(answer({"status": status})).is_terminal is terminal


@pytest.mark.parametrize("value", [None, 3, True, [], {}, {"name": "COMPLETED"}, 10**30])
def test_status_response_with_status_of_wrong_type_is_unknown_with_raw_json(v0, answer, value):
    found = v0.read_status(answer({"status": value}))
    assert (found, found.raw) == ("UNKNOWN", json.dumps(value))


@pytest.mark.parametrize("body", [{}, [], None, 7, {"data": {}}, {"data": "COMPLETED"}, b"", b"<html>"])
def test_status_response_without_status_is_a_protocol_error(v0, answer, body):
    with pytest.raises(ProtocolError):
        v0.read_status(answer(body))


def test_status_response_200_with_error_code_in_body_is_a_server_error(v0, answer):
    with pytest.raises(ServerError):
        v0.read_status(answer({"statusCode": 500, "status": "error", "message": "m"}))


@pytest.mark.parametrize("word", ["error", "Error", "fail", " FAIL "])
@pytest.mark.parametrize(
    "words", [{"message": "upstream timed out"}, {"error": "x"}, {"code": 504}, {"detail": None}]
)
@pytest.mark.parametrize("read", ["read_status", "read_results", "read_audit"])
def test_error_envelope_of_gateway_is_not_read_as_status_results_or_audit(v0, answer, read, words, word):
    with pytest.raises(ProtocolError, match="error in answering"):
        getattr(v0, read)(answer({"status": word, **words}))


ERRORS_INSTEAD_OF_A_STATUS = [
    {"state": "error", "message": "m"},
    {"success": True, "data": {"status": "error", "message": "upstream timeout"}},
    {"status": "error", "description": "m"},
    {"status": "error", "Message": "m"},
    {"status": "error", "error_description": "m"},
    {"status": "error", "data": {"message": "m"}},
    {"status": "error", "message": "m", "jobExecutionId": None},
]


@pytest.mark.parametrize("body", ERRORS_INSTEAD_OF_A_STATUS)
def test_error_envelope_in_any_spelling_is_not_read_as_job_status(v0, answer, body):
    with pytest.raises(ProtocolError):
        v0.read_status(answer(body))


ERRORS_INSTEAD_OF_RESULTS = [
    {"error": "upstream timeout"},
    {"status": "error"},
    {"detail": "Bad gateway"},
    {"errors": ["x"]},
    {"code": "E1", "msg": "x"},
    {"fault": {"faultstring": "x"}},
    {"data": {"status": "error", "message": "x"}},
    {"success": True, "data": {"error": "x", "message": "x"}},
    {"status": "COMPLETED", "error": "storage unavailable"},
]


@pytest.mark.parametrize("body", ERRORS_INSTEAD_OF_RESULTS)
def test_error_envelope_is_not_read_as_results(v0, answer, body):
    with pytest.raises(ProtocolError):
        v0.read_results(answer(body))


def test_results_response_with_running_status_is_not_ready(v0, answer):
    body = {"status": "IN_PROGRESS", "results": {"v": {"value": "part", "type": "str"}}}
    assert v0.read_results(answer(body)) is None


@pytest.mark.parametrize("body", [{"status": "error"}, {"status": "error", "message": "m", "caseId": "7"}])
def test_status_response_error_alone_or_with_a_job_id_is_failed(v0, answer, body):
    assert v0.read_status(answer(body)) == "FAILED"


@pytest.mark.parametrize("word", ["success", "ok"])
def test_status_response_prefers_inner_job_status_to_outer_request_status(v0, answer, word):
    assert v0.read_status(answer({"status": word, "data": {"status": "IN PROGRESS"}})) == "IN_PROGRESS"
    assert v0.read_status(answer({"status": "success"})) == "COMPLETED"


@pytest.mark.parametrize("code", [99, 200, 399, 600, 10**30, "x", "4000", True, [], 500.0])
def test_status_response_ignores_status_code_in_body_that_is_no_error(v0, answer, code):
    assert v0.read_status(answer({"statusCode": code, "status": "FAILED"})) == "FAILED"


@pytest.mark.parametrize(
    "read", ["read_status", "read_results", "read_audit", "read_initiated", "read_executed"]
)
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 429, 500, 502])
def test_response_readers_raise_api_error_on_every_status_but_2xx(v0, answer, read, status):
    with pytest.raises(APIError) as caught:
        getattr(v0, read)(answer(b"<html>no</html>", status))
    assert caught.value.status == status


# -- results -----------------------------------------------------------------------------------------------

NAMED = OutputValue("workflow_output_abc123def", "Verdict", "PASS", "str")
UNNAMED = OutputValue("workflow_output_abc123def", "workflow_output_abc123def", "PASS", "str")
BARE = OutputValue("workflow_output_abc123def", "workflow_output_abc123def", "PASS")
CAMEL = {"workflow_output_abc123def": {"value": "PASS", "type": "str", "displayName": "Verdict"}}
SNAKE = {"workflow_output_abc123def": {"value": "PASS", "type": "str", "display_name": "Verdict"}}
PLAIN = {"workflow_output_abc123def": {"value": "PASS", "type": "str"}}


@pytest.mark.parametrize(
    ("body", "values"),
    [
        pytest.param({"jobResultsPayloadSchema": CAMEL}, (NAMED,), id="1: newer docs"),
        pytest.param({"jobResultsPayloadSchema": SNAKE}, (NAMED,), id="1: snake display name"),
        pytest.param({"job_results_payload_schema": SNAKE}, (NAMED,), id="1: all snake"),
        pytest.param({"jobResultsPayloadSchema": [CAMEL]}, (NAMED,), id="1: in a list"),
        pytest.param({"data": {"jobResultsPayloadSchema": CAMEL}}, (NAMED,), id="1: wrapped"),
        pytest.param(
            {
                "jobExecutionId": "2514",
                "status": "COMPLETED",
                "results": {"summary": "Done.", "data": {"score": 92}},
            },
            (OutputValue("summary", "summary", "Done."), OutputValue("data", "data", {"score": 92})),
            id="2: older docs",
        ),
        pytest.param({"results": {"jobResultsPayloadSchema": PLAIN}}, (UNNAMED,), id="3: nested"),
        pytest.param([{"workflow_output_abc123def": "PASS"}], (BARE,), id="4: list of bare values"),
        pytest.param([CAMEL], (NAMED,), id="4: list of variable objects"),
        pytest.param(
            [
                {
                    "variable_name": "workflow_output_abc123def",
                    "display_name": "Verdict",
                    "value": "PASS",
                    "type": "str",
                }
            ],
            (NAMED,),
            id="4: list of named variables",
        ),
        pytest.param({"results": CAMEL}, (NAMED,), id="5: v1"),
        pytest.param({"results": [CAMEL, None, 7]}, (NAMED,), id="5: in a list"),
        pytest.param({"results": None, "jobResultsPayloadSchema": CAMEL}, (NAMED,), id="null beside results"),
        pytest.param({"status": "COMPLETED", **CAMEL}, (NAMED,), id="bare mapping"),
        pytest.param(
            {"results": {"status": "ok", "path": "/x"}},
            (OutputValue("status", "status", "ok"), OutputValue("path", "path", "/x")),
            id="outputs named like an envelope",
        ),
        pytest.param(
            {"jobResultsPayloadSchema": {"results": {"value": 1, "type": "int"}}},
            (OutputValue("results", "results", 1, "int"),),
            id="an output named results",
        ),
        pytest.param(
            {"results": {"price": {"value": 3, "unit": "EUR"}}},
            (OutputValue("price", "price", {"value": 3, "unit": "EUR"}),),
            id="a bare object with a value",
        ),
        pytest.param({"results": {"a": {"value": None}}}, (OutputValue("a", "a", None),), id="a null output"),
        pytest.param(
            {"results": {"a": {"value": 1, "type": {"type": "int"}, "displayName": ""}}},
            (OutputValue("a", "a", 1),),
            id="a type that is no text",
        ),
    ],
)
def test_trap_33_results_response_of_every_shape_is_read(v0, answer, body, values):
    assert v0.read_results(answer(body)) == JobResults(values, body)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        "text",
        7,
        [None, 3, "x"],
        {"results": None},
        {"results": []},
        {"results": {}},
        {"results": "none"},
        {"jobResultsPayloadSchema": None},
        {"jobResultsPayloadSchema": {}},
        {"results": {"jobResultsPayloadSchema": {}}},
        {"jobExecutionId": "2514", "status": "COMPLETED"},
    ],
)
def test_trap_33_results_response_without_outputs_gives_empty_results(v0, answer, body):
    assert v0.read_results(answer(body)) == JobResults((), body)


@pytest.mark.parametrize("body", [b"", {"results": CAMEL}, {"status": "IN PROGRESS"}])
def test_results_response_202_is_not_ready(v0, answer, body):
    assert v0.read_results(answer(body, 202)) is None


def test_results_response_keeps_values_as_sent(v0, answer):
    sent = {
        "a": 10**30,
        "b": '```json\n{"x": 1}\n```',
        "c": [1, {"d": None}],
        "e": "https://files.opus.com/x.pdf",
    }
    body = {"jobResultsPayloadSchema": {name: {"value": value} for name, value in sent.items()}}
    assert v0.read_results(answer(body)).outputs == sent
