"""What the platform of the benchmarks answers: one text workflow, one document workflow, and their jobs."""

from __future__ import annotations

import json

KEY = "_" + "0" * 96
TEXT = "00000000-0000-4000-8000-000000000001"
DOCUMENT = "00000000-0000-4000-8000-000000000002"
"""Both ids are UUIDs, because some clients accept nothing else."""

INPUTS = {TEXT: ("workflow_input_text", "Text", "str"), DOCUMENT: ("workflow_input_doc", "Document", "file")}
"""Workflow -> variable name, display name and type of its input."""
FILE_URL = "https://files.example.com/media/private/uploaded/media_41610ef1-d0e8-4623-8ef8-1958bb5f10f3.txt"
_OUTPUTS = {"Verdict": "PASS", "SHA-256": "97cef668" * 8, "Type": "TXT", "Size": "10000", "Lines": "120"}
_SIGNATURE = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Credential="
    "BENCHMARK%2F20261129%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20261129T161839Z&X-Amz-Expires=3600"
    f"&X-Amz-Security-Token={'33ed4fdfc6ea78fddf2ff8ed315ca426%2B%2F' * 6}%3D%3D&X-Amz-SignedHeaders=host"
    f"&x-id=PutObject&X-Amz-Signature={'d708e25d' * 8}"
)
"""As long as a real one with a session token: reading it is a part of the cost."""


def workflow(workflow_id: str) -> dict[str, object]:
    """The answer about a workflow."""
    variable, name, kind = INPUTS[workflow_id]
    allowed = [{"variable_name": "allowed_file_types", "value": ["PDF", "TXT"]}] if kind == "file" else []
    taken = {"id": "in", "variable_name": variable, "display_name": name, "type": kind, "is_nullable": False}
    return {
        "workflowId": workflow_id,
        "name": f"{name} check",
        "active": True,
        "version": 3,
        "workflowVersionId": "bacdd8da-4990-45f2-addc-72123d3542eb",
        "workspaceId": "f2aea1f7-4439-4a89-b369-c624e37b9235",
        "jobPayloadSchema": {variable: taken | {"tags": allowed}},
        "jobResultsPayloadSchema": {
            f"workflow_output_{number}": {
                "id": str(number),
                "variable_name": f"workflow_output_{number}",
                "display_name": output,
                "type": "str",
                "is_nullable": True,
            }
            for number, output in enumerate(_OUTPUTS)
        },
    }


def place(origin: str) -> dict[str, str]:
    """Where a file is to be sent."""
    return {"presignedUrl": f"{origin}/storage/media_df063af4.txt?{_SIGNATURE}", "fileUrl": FILE_URL}


_RESULTS = {
    "jobResultsPayloadSchema": {
        f"workflow_output_{number}": {"value": value, "type": "str", "displayName": output}
        for number, (output, value) in enumerate(_OUTPUTS.items())
    }
}
_AUDIT = {
    "nb_nodes": 2,
    "remaining_nodes_to_execute": [],
    "running_node": "",
    "executed_nodes": ["Input", "Output"],
    "nb_executed_nodes": 2,
    "failed_nodes": [],
    "nb_failed_nodes": 0,
    "audit": {"nodes_execution_data": {}},
}


def http(status: int, body: object = None, headers: str = "") -> bytes:
    """A whole response; without a body for None."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json; charset=utf-8\r\n{headers}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


DONE = http(200, {"status": "COMPLETED"})
RUNNING = http(200, {"status": "IN_PROGRESS"})
OBEYED = http(200, {"success": True})
TOO_MANY = http(429, {"statusCode": 429, "message": "Too many requests"}, "Retry-After: 1\r\n")
FIXED = {"results": http(200, _RESULTS), "audit": http(200, _AUDIT), "put": http(200)}
"""The calls whose answer is always the same."""
