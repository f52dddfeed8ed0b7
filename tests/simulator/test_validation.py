"""What the API refuses: the envelope, the key, the body, and every value of a payload."""

from __future__ import annotations

import io
import re

import pytest

from opus_async.simulator.validation import check_execute, check_initiate, check_presign, is_callback_url

ALL_TYPES = "B9uGJfZ3CFwOdMKH"
DOCUMENT = "D0cumentWorkfl0w"
MODERN = "M0dernTypesWrkfl"
UUID = "00000000-0000-4000-8000-000000000001"
FILES = {"id": "file", "variable_name": "file", "allowed_types": [{"type": "file"}]}


async def test_simulator_error_has_status_path_and_timestamp(api):
    reply = await api.get("/job/77/status?x=1")
    assert reply.status == 404
    assert reply.json["statusCode"] == 404
    assert reply.json["path"] == "/job/77/status"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", reply.json["timestamp"])


async def test_simulator_requires_a_valid_key(api):
    missing = await api.get(f"/workflow/{ALL_TYPES}", headers={})
    wrong = await api.get(f"/workflow/{ALL_TYPES}", headers={"x-service-key": "nope"})
    assert (missing.status, missing.message) == (401, "API key is required")
    assert (wrong.status, wrong.message) == (401, "Invalid or expired API key")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/job/initiate"),
        ("POST", "/job/1/status"),
        ("GET", "/job//status"),
        ("GET", "/job/1/nothing"),
        ("GET", "/job/1/status/"),
        ("DELETE", f"/workflow/{ALL_TYPES}"),
        ("GET", "/workflow/unknown"),
        ("GET", "/job/unknown/results"),
        ("GET", "/job/unknown/audit"),
    ],
)
async def test_simulator_answers_404_to_unknown_paths_methods_and_ids(api, method, path):
    assert (await api.call(method, path)).status == 404


@pytest.mark.parametrize(
    "raw", [b"{", b"nonsense", b'{"a": NaN}', b'{"a": 1e999}', b"\xff", b"[" * 100_000, b"[]", b'"text"']
)
async def test_simulator_answers_400_to_body_that_is_no_json_object(api, raw):
    headers = {"x-service-key": api.simulator.service_key, "Content-Type": "application/json"}
    assert (await api.call("POST", "/job/initiate", data=raw, headers=headers)).status == 400


async def test_simulator_ignores_body_with_another_content_type(api):
    headers = {"x-service-key": api.simulator.service_key, "Content-Type": "text/plain"}
    reply = await api.call("POST", "/job/initiate", data=b'{"workflowId": "x"}', headers=headers)
    assert (reply.status, reply.message) == (
        400,
        ["workflowId should not be empty", "workflowId must be a string"],
    )


async def test_simulator_answers_413_to_huge_body(api):
    headers = {"x-service-key": api.simulator.service_key, "Content-Type": "application/json"}
    body = io.BytesIO(b'{"title": "' + b"x" * 2_000_000 + b'"}')
    assert (await api.call("POST", "/job/initiate", data=body, headers=headers)).status == 413


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"workflowId": "w"}, []),
        ({"referenceEntityId": UUID}, []),
        ({"workflowId": 7, "referenceEntityId": UUID}, []),
        ({"workflowId": "w", "title": None, "description": None}, []),
        ({"workflowId": "w", "source": "api", "initialInput": {}, "workflowVersionNumber": 2.0}, []),
        ({}, ["workflowId should not be empty", "workflowId must be a string"]),
        ({"workflowId": 7}, ["workflowId must be a string"]),
        ({"referenceEntityId": "x"}, ["referenceEntityId must be a UUID"]),
        ({"workflowId": "w", "workflowVersionId": "3"}, ["workflowVersionId must be a UUID"]),
        (
            {"workflowId": "w", "workflowVersionNumber": "3"},
            ["workflowVersionNumber must be a number conforming to the specified constraints"],
        ),
        (
            {"workflowId": "w", "title": 1, "description": []},
            ["title must be a string", "description must be a string"],
        ),
        ({"workflowId": "w", "refUserId": 1}, ["refUserId must be a string"]),
        ({"workflowId": "w", "workspaces": ["a"]}, ["workspaces must be a string"]),
        ({"workflowId": "w", "webAppId": {}}, ["webAppId must be a string"]),
        ({"workflowId": "w", "initialInput": []}, ["initialInput must be an object"]),
    ],
)
def test_simulator_validation_of_initiate_body(body, messages):
    assert check_initiate(body) == messages


def test_simulator_validation_of_initiate_body_lists_allowed_sources():
    (message,) = check_initiate({"workflowId": "w", "source": "me"})
    assert message.startswith("source must be one of the following values: email-agent, ")


@pytest.mark.parametrize(
    ("body", "start"),
    [
        ({"fileExtension": ".pdf"}, None),
        ({"fileExtension": "pdf", "accessScope": "all"}, None),
        ({"fileExtension": ".txt", "accessScope": "workspace", "workflowId": "w"}, None),
        ({"fileExtension": ".txt", "accessScope": "workspace", "workspaceId": "w"}, None),
        ({}, "fileExtension must be a string"),
        ({"fileExtension": ".exe"}, "fileExtension must be one of"),
        ({"fileExtension": ".PDF"}, "fileExtension must be one of"),
        ({"fileExtension": "..pdf"}, "fileExtension must be one of"),
        ({"fileExtension": ".pdf", "accessScope": "unlisted"}, "accessScope must be one of"),
        ({"fileExtension": ".pdf", "accessScope": 1}, "accessScope must be one of"),
        ({"fileExtension": ".pdf", "originalName": 1}, "originalName must be a string"),
        ({"fileExtension": ".pdf", "accessScope": "workspace"}, "workspaceId or workflowId is required"),
    ],
)
def test_simulator_validation_of_presign_body(body, start):
    messages = check_presign(body)
    assert len(messages) == (start is not None)
    assert all(message.startswith(start or "") for message in messages)


@pytest.mark.parametrize(
    ("callback_url", "good"),
    [
        ("https://example.com/opus/callback", True),
        ("https://a.example.com:8443/x?y=1", True),
        ("https://127.0.0.1:1/x", True),
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost:8000/x", True),
        ("http://[::1]:80/", True),
        ("http://example.com/x", False),
        ("https://example", False),
        ("https://-bad-.com", False),
        ("https://exa mple.com", False),
        ("https://example.com:port", False),
        ("https://", False),
        ("", False),
        ("not a url", False),
        ("ftp://example.com", False),
        (7, False),
        ([], False),
    ],
)
def test_simulator_validation_of_callback_url(callback_url, good):
    assert is_callback_url(callback_url) is good
    body = {"jobExecutionId": "1", "jobPayloadSchemaInstance": {}, "callbackUrl": callback_url}
    wanted = [] if good else ["callbackUrl must be a URL address"]
    assert check_execute(body, callback_required=False) == wanted


def test_simulator_validation_of_execute_body_requires_callback_url_only_if_configured():
    body = {"jobExecutionId": "1", "jobPayloadSchemaInstance": {}}
    assert check_execute(body, callback_required=False) == []
    assert check_execute(body, callback_required=True) == ["callbackUrl must be a URL address"]


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({}, ["jobExecutionId must be a string", "jobPayloadSchemaInstance must be an object"]),
        ({"jobExecutionId": 1, "jobPayloadSchemaInstance": {}}, ["jobExecutionId must be a string"]),
        ({"jobExecutionId": "", "jobPayloadSchemaInstance": {}}, ["jobExecutionId should not be empty"]),
        (
            {"jobExecutionId": "1", "jobPayloadSchemaInstance": []},
            ["jobPayloadSchemaInstance must be an object"],
        ),
        (
            {"jobExecutionId": "1", "jobPayloadSchemaInstance": {}, "workspaces": 1},
            ["workspaces must be a string"],
        ),
    ],
)
def test_simulator_validation_of_execute_body(body, messages):
    assert check_execute(body, callback_required=False) == messages


async def good_payload(api):
    file_url = await api.upload(b"a file")
    return {
        "workflow_input_we4tej0ly": {"value": "text", "type": "str"},
        "workflow_input_a0hk6ujuo": {"value": 45.8, "type": "float"},
        "workflow_input_h69vx5i4a": {"value": file_url, "type": "file"},
        "workflow_input_m2z6rkzgj": {"value": True, "type": "bool"},
        "workflow_input_2kbsjrx1y": {"value": ["User1", 2, None], "type": "array"},
        "workflow_input_bzti690ga": {"value": {"client_id": "C-456"}, "type": "object"},
        "workflow_input_k3ayfjyh7": {"value": "2025-11-09", "type": "date"},
        "workflow_input_auqgnzk8d": {"value": [file_url, file_url], "type": "array_files"},
    }


async def refused(api, workflow_id, payload):
    reply = await api.execute(await api.initiate(workflow_id), payload)
    assert reply.status == 400, reply.raw
    return reply.message


async def test_simulator_payload_of_documented_example_is_accepted(api):
    reply = await api.execute(await api.initiate(ALL_TYPES), await good_payload(api))
    assert reply.status == 201


TEXT, NUMBER, FILE, BOOL, LIST, OBJECT, DATE, MANY = (
    "workflow_input_" + name
    for name in (
        "we4tej0ly",
        "a0hk6ujuo",
        "h69vx5i4a",
        "m2z6rkzgj",
        "2kbsjrx1y",
        "bzti690ga",
        "k3ayfjyh7",
        "auqgnzk8d",
    )
)


@pytest.mark.parametrize(
    ("variable", "entry", "message"),
    [
        (TEXT, {"value": 7, "type": "str"}, "value must be a string"),
        (TEXT, {"value": None, "type": "str"}, "value must be a string"),
        (TEXT, {"value": "x", "type": "float"}, "type must be str, not float"),
        (TEXT, {"value": "x", "type": 7}, "type must be a string"),
        (TEXT, {"value": "x"}, "type must be a string"),
        (TEXT, {"type": "str"}, "value should not be empty"),
        (TEXT, {"value": "x", "type": "str", "displayName": 7}, "displayName must be a string"),
        (TEXT, "x", "must be an object with value and type"),
        (NUMBER, {"value": True, "type": "float"}, "value must be a finite number"),
        (NUMBER, {"value": "1", "type": "float"}, "value must be a finite number"),
        (BOOL, {"value": 1, "type": "bool"}, "value must be a boolean"),
        (LIST, {"value": {}, "type": "array"}, "value must be an array"),
        (OBJECT, {"value": "{}", "type": "object"}, "value must be an object"),
        (DATE, {"value": "2025-13-40", "type": "date"}, "value must be a date in the form YYYY-MM-DD"),
        (DATE, {"value": "20251109", "type": "date"}, "value must be a date in the form YYYY-MM-DD"),
        (
            DATE,
            {"value": "2025-11-09T00:00:00", "type": "date"},
            "value must be a date in the form YYYY-MM-DD",
        ),
        (DATE, {"value": None, "type": "date"}, "value must be a date in the form YYYY-MM-DD"),
        (FILE, {"value": 7, "type": "file"}, "value must be a file URL"),
        (
            FILE,
            {"value": "https://files.opus.com/x.pdf", "type": "file"},
            "value must be a fileUrl that this service handed out",
        ),
        (MANY, {"value": "x", "type": "array_files"}, "value must be an array of file URLs"),
        (MANY, {"value": [], "type": "array_files"}, "value should contain at least one file URL"),
        (
            MANY,
            {"value": ["x"], "type": "array_files"},
            "value must be a fileUrl that this service handed out",
        ),
    ],
)
async def test_simulator_payload_value_of_wrong_type_is_named_in_the_error(api, variable, entry, message):
    payload = {**await good_payload(api), variable: entry}
    assert await refused(api, ALL_TYPES, payload) == [f"{variable}: {message}"]


async def test_simulator_payload_accepts_integers_of_any_size_as_float(api):
    for number in (3, 10**400, -1.5e300):
        payload = {**await good_payload(api), NUMBER: {"value": number, "type": "float"}}
        assert (await api.execute(await api.initiate(ALL_TYPES), payload)).status == 201


async def test_simulator_payload_errors_are_all_reported_at_once(api):
    messages = await refused(api, ALL_TYPES, {"other": {"value": 1, "type": "str"}})
    assert messages[0] == f"other is not an input of workflow {ALL_TYPES}"
    assert len(messages) == 9
    assert f"{DATE} should not be empty" in messages


async def test_simulator_payload_with_object_as_type_is_answered_500(api):
    entry = {"value": "x", "type": {"type": "str"}}
    reply = await api.execute(await api.initiate(ALL_TYPES), {**await good_payload(api), TEXT: entry})
    assert (reply.status, reply.message) == (500, "Internal server error")


async def test_simulator_payload_refuses_file_url_without_upload(api):
    slot = await api.presign(".pdf")
    payload = {"workflow_input_d0cument1": {"value": slot["fileUrl"], "type": "file"}}
    assert await refused(api, DOCUMENT, payload) == ["workflow_input_d0cument1: the file was never uploaded"]


async def test_simulator_payload_refuses_presigned_url_as_file_url(api):
    slot = await api.presign(".pdf")
    await api.put(slot["presignedUrl"], b"%PDF-1.4")
    payload = {"workflow_input_d0cument1": {"value": slot["presignedUrl"], "type": "file"}}
    (message,) = await refused(api, DOCUMENT, payload)
    assert message.endswith("that this service handed out")


async def modern_payload(api, **changes):
    entries = {
        "pr0filejs": {"value": '{"client": "C-1"}', "type": "json_string"},
        "c0untint1": {"value": 3, "type": "int"},
        "inv0ices1": {"value": [await api.upload(b"x")], "type": "array", "typeDefinition": FILES},
        **changes,
    }
    return {f"workflow_input_{name}": entry for name, entry in entries.items()}


async def test_simulator_payload_may_omit_nullable_inputs(api):
    reply = await api.execute(await api.initiate(MODERN), await modern_payload(api))
    assert reply.status == 201


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("pr0filejs", {"value": {}, "type": "json_string"}, "value must be a string that holds JSON"),
        ("pr0filejs", {"value": "{", "type": "json_string"}, "value must be a string that holds JSON"),
        ("pr0filejs", {"value": "{}", "type": "str"}, "type must be json_string, not str"),
        ("c0untint1", {"value": 3.0, "type": "int"}, "value must be an integer"),
        ("c0untint1", {"value": False, "type": "int"}, "value must be an integer"),
        (
            "inv0ices1",
            {"value": ["x"], "type": "array"},
            "typeDefinition must say that the elements are files",
        ),
        (
            "inv0ices1",
            {"value": ["x"], "type": "array", "type_definition": FILES},
            "typeDefinition must say that the elements are files",
        ),
        (
            "inv0ices1",
            {"value": [], "type": "array", "typeDefinition": FILES},
            "value should contain at least one file URL",
        ),
        ("optdate01", {"value": None, "type": "date"}, "value must be a date in the form YYYY-MM-DD"),
    ],
)
async def test_simulator_payload_of_newer_input_types_is_validated(api, name, entry, message):
    payload = await modern_payload(api, **{name: entry})
    assert await refused(api, MODERN, payload) == [f"workflow_input_{name}: {message}"]


async def test_simulator_payload_refuses_file_outside_allowed_types(api):
    page = await api.upload(b"<html>", ".html")
    payload = await modern_payload(api, inv0ices1={"value": [page], "type": "array", "typeDefinition": FILES})
    assert await refused(api, MODERN, payload) == [
        "workflow_input_inv0ices1: files of type .html are not among PDF, TXT, CSV"
    ]


async def test_simulator_workflow_version_can_be_pinned_by_number_or_id(api):
    older = (await api.get(f"/workflow/{ALL_TYPES}?version=1")).json
    for pin, status in [
        ({"workflowVersionNumber": 2}, 201),
        ({"workflowVersionId": older["workflowVersionId"]}, 201),
        ({"workflowVersionNumber": 4}, 404),
        ({"workflowVersionId": UUID}, 404),
    ]:
        assert (await api.post("/job/initiate", {"workflowId": ALL_TYPES, **pin})).status == status


# An empty id passed for none (schemathesis found it), and a bad number behind a good id was a crash.
async def test_simulator_workflow_version_that_is_empty_or_invalid_is_refused(api):
    good = (await api.get(f"/workflow/{ALL_TYPES}")).json["workflowVersionId"]
    for query in ("workflowVersionId=", "version=", f"version=x&workflowVersionId={good}"):
        refused = await api.get(f"/workflow/{ALL_TYPES}?{query}")
        assert (refused.status, refused.json["statusCode"]) == (400, 400)


async def test_simulator_initiate_prefers_reference_entity_id_to_workflow_id(api):
    reference = (await api.get(f"/workflow/{DOCUMENT}")).json["referenceEntityId"]
    reply = await api.post("/job/initiate", {"workflowId": "unknown", "referenceEntityId": reference})
    job = api.simulator.state()["jobs"][reply.json["jobExecutionId"]]
    assert job["workflow_id"] == DOCUMENT
    body = {"workflowId": DOCUMENT, "referenceEntityId": UUID}
    assert (await api.post("/job/initiate", body)).status == 404
    assert (await api.post("/job/initiate", {"workflowId": "unknown"})).status == 404


async def test_simulator_presign_of_unknown_workflow_is_404(api):
    body = {"fileExtension": ".pdf", "workflowId": "unknown"}
    assert (await api.post("/job/file/upload", body)).status == 404


async def test_simulator_initiate_v2_alias_redirects_with_308(api):
    reply = await api.post("/job/v2/initiate", {})
    assert (reply.status, reply.headers["Location"]) == (308, "/job/initiate")
