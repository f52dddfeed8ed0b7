"""Every shape of an answer that the reference of the API shows, once: where the fuzzing begins.

The numbers are those of its sections. A shape is JSON text, so that making it anew is one `json.loads`.
"""

from __future__ import annotations

import json
from typing import Any

SIGNATURE = "5ec2e7" * 10 + "d0c5"
PRESIGNED = (
    "https://example-bucket.s3.eu-central-1.amazonaws.com/media/private/uploaded/media_0001.pdf"
    f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host&X-Amz-Signature={SIGNATURE}"
)
FILE_URL = "https://files.opus.com/media/private/uploaded/media_0002.pdf"
UUID = "00000000-0000-4000-8000-000000000001"
MOMENT = "2026-09-05T08:00:00.000Z"

# -- 5.1: the details of a workflow ------------------------------------------------------------------------

_INVOICE = {
    "id": "abc123def",
    "variable_name": "workflow_input_abc123def",
    "display_name": "Invoice",
    "type": "file",
    "is_nullable": False,
    "tags": [{"variable_name": "allowed_file_types", "value": ["PDF", "JPEG"]}],
}
_FILE_ITEMS = {"id": "file", "variable_name": "file", "allowed_types": [{"type": "file"}]}
_INVOICES = {
    "variable_name": "workflow_input_abc123def",
    "display_name": "Invoices",
    "allowed_types": [{"type": "array", "type_definition": _FILE_ITEMS}],
    "is_nullable": False,
    "tags": [],
}
_CITIES = {
    "variableName": "city_list",
    "displayName": "Cities",
    "allowedTypes": [{"type": "array"}],
    "isNullable": True,
}
_FLAT = {
    "workflowId": "A1b2C3d4E5f6G7h8",
    "name": "Invoice check",
    "description": "Checks invoices",
    "industry": "Finance",
    "active": True,
    "createdAt": MOMENT,
    "workflowBlueprint": {},
    "executionEstimation": 60,
    "workflowImage": None,
    "jobPayloadSchema": {"workflow_input_abc123def": _INVOICE},
    "jobResultsPayloadSchema": {"workflow_output_abc123def": {"display_name": "Verdict", "type": "str"}},
}
_GRAPH = {
    "workflow_id": UUID,
    "name": "Invoice check",
    "version": 7,
    "active_status": "active",
    "workspace_id": "00000000-0000-4000-8000-0000000000aa",
    "workflow_input_node_id": "n1",
    "workflow_output_node_id": "n9",
    "nodes": {"n1": {"input_schema": {"schema": {"workflow_input_abc123def": _INVOICES}}}},
    "edges": {},
    "parent_adjacency": {},
    "child_adjacency": {},
}
_CAMEL = {
    "id": UUID,
    "name": "Invoice check",
    "status": "active",
    "workflowInputNodeId": "n1",
    "nodes": {"n1": {"inputSchema": {"schema": {"city_list": _CITIES}}}},
    "edges": {},
}
_WORKFLOWS = (
    _FLAT,
    _GRAPH,
    _CAMEL,
    {**_FLAT, "jobPayloadSchema": {}},
    {"data": {"jobPayloadSchema": {"workflow_input_abc123def": {"display_name": "Text", "type": "str"}}}},
    {"workflow": _GRAPH, "workspace": {"id": "00000000-0000-4000-8000-0000000000aa"}},
    {**_GRAPH, "nodes": {"n1": {"output_schema": {"schema": {"city_list": _CITIES}}}}},
    {**_CAMEL, "nodes": [{"id": "n1", "inputSchema": {"schema": [_CITIES, _INVOICE]}}]},
)

# -- 3, 4, 7: ids and places for files ---------------------------------------------------------------------

_INITIATED = (
    {"jobExecutionId": "2514", "caseId": "2514"},
    {"jobExecutionId": 72964, "caseId": 72964},
    {"data": {"job_execution_id": UUID, "case_id": UUID}},
)
_PRESIGNED = (
    {"presignedUrl": PRESIGNED, "fileUrl": FILE_URL},
    {"data": {"presigned_url": PRESIGNED, "file_url": FILE_URL}},
)

# -- 5.2, 5.3: execute and status --------------------------------------------------------------------------

_EXECUTED = (
    {"success": True, "message": "Job execution has been started", "jobExecutionId": "2514"},
    {
        "success": True,
        "message": "Job execution has been started",
        "jobExecutionId": "2514",
        "jobPayloadSchemaInstance": {"workflow_input_abc123def": "some text"},
    },
    {"statusCode": 200, "message": "Job Started"},
)
_STATUSES = (
    *({"status": word} for word in ("IN PROGRESS", "COMPLETED", "FAILED", "PENDING", "IN_PROGRESS")),
    *({"status": word} for word in ("WAITING", "CANCELLED", "UNKNOWN", "TIMED_OUT", "stopped", "canceled")),
    *({"state": word} for word in ("in_progress", "success", "BRAND_NEW")),
    {"data": {"status": "COMPLETED"}},
    "COMPLETED",
)

# -- 5.4: results ------------------------------------------------------------------------------------------

_VERDICT = {"value": "PASS", "type": "str", "displayName": "Verdict"}
_DATA = {"value": '```json\n{"score": 92}\n```', "type": "json_string", "display_name": "Data"}
_RESULTS = (
    {"jobResultsPayloadSchema": {"workflow_output_abc123def": _VERDICT, "workflow_output_data00000": _DATA}},
    {
        "jobExecutionId": "2514",
        "status": "COMPLETED",
        "results": {
            "summary": "Done.",
            "outputFiles": ["https://files.opus.com/media/private/generated/output_00aa.pdf"],
            "data": {"score": 92, "verdict": "PASS"},
        },
    },
    {"results": {"jobResultsPayloadSchema": {"workflow_output_abc123def": {"value": "PASS", "type": "str"}}}},
    [{"workflow_output_abc123def": "PASS"}],
    {"results": {"workflow_output_abc123def": _VERDICT}},
    {"results": [{"variable_name": "workflow_output_abc123def", **_VERDICT}]},
    {"results": None},
)

# -- 5.5: audits -------------------------------------------------------------------------------------------

_AUDIT = {
    "nb_nodes": 3,
    "remaining_nodes_to_execute": ["Output"],
    "next_node_to_execute": "Output",
    "running_node": "Agent 1",
    "executed_nodes": ["Input"],
    "nb_executed_nodes": 1,
    "failed_nodes": [],
    "nb_failed_nodes": 0,
    "audit": {
        "nodes_execution_data": {
            "Input": {
                "execution_status": "COMPLETED",
                "execution_start_time": 1767225600000,
                "execution_time": 112,
                "execution_index": 0,
                "execution_input": [],
                "execution_output": [{"workflow_input_abc123def": "some text"}],
            },
            "Agent 1": {
                "execution_status": "FAILED",
                "execution_start_time": "2026-01-01T00:00:01Z",
                "execution_time": 5,
                "execution_index": 1,
                "error": {"message": "The agent gave up"},
                "execution_output": [{"variable_name": "v", **_VERDICT}],
            },
        }
    },
}
_AUDITS = (
    {
        "jobExecutionId": "2514",
        "auditTrail": [{"timestamp": "2025-10-27T12:32:00Z", "actor": "SYSTEM", "action": "Job initiated"}],
    },
    _AUDIT,
    {
        "runningNode": "Agent 1",
        "nextNode": "Output",
        "failedNodes": [],
        "audit": {
            "nodesExecutionData": {
                "Input": {
                    "executionStartTime": 1767225600000,
                    "executionTime": 112,
                    "executionInput": [{"variableName": "workflow_input_abc123def", "value": "some text"}],
                }
            }
        },
    },
    {**_AUDIT, "running_node": "", "failed_nodes": [{"node_name": "Agent 1"}], "audit": None},
    {"nodes_execution_data": [{"label": "Input", "status": "sleeping", "execution_time": 0.5}]},
)

# -- 5.6: errors -------------------------------------------------------------------------------------------

_ENVELOPE = {"timestamp": MOMENT, "path": "/job/execute"}
_ERRORS = (
    {"statusCode": 401, "message": "API key is required", **_ENVELOPE},
    {"statusCode": 400, "message": ["callbackUrl must be a URL address", "title is empty"], **_ENVELOPE},
    {"message": {"code": "X"}},
    {"error": "something"},
    {"statusCode": 500, "message": "Request failed with status code 422"},
    {"success": False, "message": "Execution was not started", "error": {"reason": "no", "code": "E7"}},
    {"statusCode": 500, "message": "V1 workflow details are no longer supported", **_ENVELOPE},
    {"statusCode": 404, "message": "Cannot GET /api/v1/case/0/status", **_ENVELOPE},
    {"statusCode": 401, "message": "No auth cookie provided", **_ENVELOPE},
    {"statusCode": 422, "message": f"cannot read {PRESIGNED} any more", **_ENVELOPE},
    {"statusCode": 429, "message": "Too many requests", **_ENVELOPE},
    {"scope": "workspace", "limit": 20, "active": 20},
    {"metadata": {"retryAfterSeconds": 2}},
    {"statusCode": 429, "metadata": {"retryAfterSeconds": "0"}, "retryAfterSeconds": 1e9},
)

# -- 4.2: what is observed and not documented --------------------------------------------------------------

_DETAIL = {
    "id": 2514,
    "title": "Invoice 17",
    "status": "COMPLETED",
    "createdAt": MOMENT,
    "finishedAt": 1767225660000,
    "workflow": {"id": UUID, "name": "Invoice check"},
    "workspace": {"id": "00000000-0000-4000-8000-0000000000aa"},
    "builderType": "OPUS_V2",
    "input": {"workflow_input_abc123def": "some text"},
    "output": None,
    "audit": _AUDIT,
}
_PAGES = (
    {"totalCount": 2, "jobs": [_DETAIL, {"jobExecutionId": "2515", "state": "IN PROGRESS"}]},
    {"data": {"total_count": "1", "items": [{"_id": "2516", "workflow_id": UUID}]}},
    [{"id": "2517", "name": "Invoice 18", "audit": [{"action": "Job initiated"}]}],
)
_DETAILS = (_DETAIL, {"data": _DETAIL}, {"job": {"job_execution_id": "2514", "workspaceId": "s"}})
_DONE = ({"success": True}, {"message": "Job archived"}, {"jobExecutionId": "2514"}, [])
_DOWNLOADS = (
    {
        "presignedUrl": PRESIGNED,
        "fileUrl": FILE_URL,
        "contentType": "application/pdf",
        "contentLength": 4096,
    },
    {"data": {"presigned_url": PRESIGNED, "content_length": "4096"}},
)


def _texts(*families: Any) -> tuple[str, ...]:
    return tuple(json.dumps(shape) for family in families for shape in family)


SHAPES = {
    "workflow": _texts(_WORKFLOWS),
    "initiated": _texts(_INITIATED),
    "presigned": _texts(_PRESIGNED),
    "executed": _texts(_EXECUTED),
    "status": _texts(_STATUSES),
    "results": _texts(_RESULTS),
    "audit": _texts(_AUDITS),
    "page": _texts(_PAGES),
    "detail": _texts(_DETAILS),
    "done": _texts(_DONE),
    "download": _texts(_DOWNLOADS),
}
"""What each answer looks like when it means yes, as JSON text."""

REFUSALS = _texts(_ERRORS)
"""What it looks like when it means no, from the API itself."""

PAGES = (
    b"",
    b"Bad Gateway",
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1><hr>nginx</body></html>",
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
)
"""And from whatever stands in front of it."""

_OTHER_NAMES = (
    *("code", "errorCode", "detail", "errors", "reason", "job_payload_schema", "outputSchema"),
    *("typeDefinition", "allowedFileTypes", "item_type", "versionNumber", "version_id", "workspaceId"),
    *("executionStatus", "executionIndex", "executionOutput", "error_message", "failure_reason", "nodeName"),
    *("executedNodes", "remainingNodesToExecute", "nbNodes", "nbExecutedNodes", "started_at", "audit_trail"),
    *("jobs", "items", "total", "created_at", "builder_type", "contentType", "n1", "v", "false"),
)
"""What the readers look for as well, beside what the reference shows."""

WORDS = tuple(
    sorted(
        {word for texts in SHAPES.values() for text in (*texts, *REFUSALS) for word in text.split('"')[1::2]}
        | {*_OTHER_NAMES}
    )
)
"""Every name and text of the shapes: what turns up in a wrong place sooner than any other word."""
