"""What holds of every answer, whatever came: a value that obeys its types, or an error that can be shown."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from corpus import PRESIGNED, REFUSALS, SHAPES, SIGNATURE

from opus_async.errors import APIError, InvalidInputs, ProtocolError
from opus_async.json_text import parsed
from opus_async.models import AuditLog, JobDetail, JobResults, JobStatus, OutputValue, Workflow
from opus_async.opus.protocol import job_management, undocumented
from opus_async.opus.protocol.api_messages import PresignedUpload
from opus_async.opus.protocol.job_management import JobPage
from opus_async.opus.protocol.payload import bind
from opus_async.opus.protocol.undocumented import PresignedDownload
from opus_async.opus.protocol.v0 import V0
from opus_async.opus.protocol.v1 import V1
from opus_async.wire.json_bodies import json_or_none
from opus_async.wire.messages import ApiResponse
from opus_async.wire.retry_after import MAX_RETRY_AFTER, retry_after

LONGEST = 2000
"""Characters of an error: more is no message but a dump."""
_VOCABULARY = frozenset(
    {"PENDING", "IN_PROGRESS", "WAITING", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "UNKNOWN"}
)


@dataclass(frozen=True)
class Reader:
    """Something that reads answers.

    Attributes:
        shapes: What it is made for, as JSON text.
        read: The reader.
        check: Asserts of what it returns, beside the answer, that it is what it should be.
    """

    shapes: Sequence[str]
    read: Callable[[ApiResponse], Any]
    check: Callable[[Any, ApiResponse], None]


def holds(reader: Reader, answer: ApiResponse) -> Any:
    """Read the answer, assert what must hold; the value, or the error that it was refused with."""
    try:
        value = reader.read(answer)
    except (APIError, ProtocolError) as error:
        check_error(error, answer)
        return error
    reader.check(value, answer)
    return value


def check_error(error: APIError | ProtocolError, answer: ApiResponse) -> None:
    shown = str(error)
    assert shown.isprintable()
    assert error.message
    assert error.message.endswith(".")
    assert len(shown) <= LONGEST
    assert len(repr(error)) <= LONGEST
    if isinstance(error, APIError):
        assert 100 <= error.status <= 599
        assert error.detail.isprintable()
        assert len(error.detail) <= 300
        assert is_name_or_none(error.code)
        assert is_name_or_none(error.request_id)
        assert is_wait(error.retry_after)
        assert "?" not in error.url
    else:
        assert len(error.body) <= 300
        assert error.body.isprintable()
    pickled = pickle.dumps(error)
    for again in (copy.copy(error), pickle.loads(pickled)):
        assert type(again) is type(error)
        assert (str(again), again.__dict__) == (shown, error.__dict__)
    if whole_urls(answer.body):
        assert SIGNATURE.encode() not in pickled
        assert SIGNATURE not in shown + repr(error)


def whole_urls(body: bytes) -> bool:
    """Whether every signature in a body is still part of its URL: one torn out of it is any word."""
    return body.count(SIGNATURE.encode()) == body.count(PRESIGNED.encode())


# -- words -------------------------------------------------------------------------------------------------


def is_name(value: Any) -> bool:
    return isinstance(value, str) and value.strip() == value != ""


def is_name_or_none(value: Any) -> bool:
    return value is None or is_name(value)


def is_amount_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, float | int) and math.isfinite(value) and value >= 0)


def is_count_or_none(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


def is_wait(value: Any) -> bool:
    return value is None or (isinstance(value, float) and 0 <= value <= MAX_RETRY_AFTER)


# -- values ------------------------------------------------------------------------------------------------


def check_workflow(workflow: Workflow, answer: ApiResponse) -> None:
    assert type(workflow) is Workflow
    assert workflow.workflow_id == "w"
    assert isinstance(workflow.name, str)
    assert isinstance(workflow.description, str)
    assert is_count_or_none(workflow.version)
    assert is_name_or_none(workflow.version_id)
    assert is_name_or_none(workflow.workspace_id)
    for name, field in workflow.inputs.items():
        assert name == field.variable_name
        assert name
        assert is_name(field.type)
        assert field.display_name
        assert type(field.nullable) is bool
        assert is_name_or_none(field.item_type)
        assert field.type_definition is None or isinstance(field.type_definition, dict)
        assert all(kind and kind == kind.upper() for kind in field.allowed_file_types)
        assert not (field.takes_file and field.takes_files)
    assert all(name and isinstance(display, str) for name, display in workflow.outputs.items())
    repr(workflow)
    problems: tuple[str, ...] = ()
    try:
        assert bind(workflow, {}, inspect=_no_files, max_file_bytes=1).payload([]) == {}
    except InvalidInputs as error:
        problems = error.problems
    assert len(problems) == sum(not field.nullable for field in workflow.inputs.values())


def _no_files(source: Any, filename: str | None) -> Any:
    raise AssertionError("nothing was given to be looked at")


def check_id(found: str, answer: ApiResponse) -> None:
    assert is_name(found)
    assert found.isprintable()


def check_presigned(place: PresignedUpload, answer: ApiResponse) -> None:
    assert type(place) is PresignedUpload
    for url in (place.put_url, place.file_url):
        assert url.lower().startswith(("http://", "https://"))
        assert url.isascii()
        assert " " not in url
    assert "put_url" not in repr(place)


def check_download(place: PresignedDownload, answer: ApiResponse) -> None:
    assert type(place) is PresignedDownload
    assert place.get_url.lower().startswith(("http://", "https://"))
    assert place.get_url.isascii()
    assert is_name_or_none(place.file_url)
    assert is_name_or_none(place.content_type)
    assert is_count_or_none(place.size)
    assert "get_url" not in repr(place)


def check_nothing(value: None, answer: ApiResponse) -> None:
    assert value is None


def check_status(status: JobStatus, answer: ApiResponse) -> None:
    assert type(status) is JobStatus
    assert status in _VOCABULARY
    assert isinstance(status.raw, str)
    assert status.is_terminal == (status in {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
    again = pickle.loads(pickle.dumps(status))
    assert (again, again.raw) == (status, status.raw)
    repr(status)


def check_results(results: JobResults | None, answer: ApiResponse) -> None:
    assert results is None or answer.status != 202
    if results is not None:
        assert len(results.outputs) == len(results.values)
        check_outputs(results.values)
        assert results.parsed_outputs.keys() == results.outputs.keys()
        repr((results, results.parsed_outputs))
        json.dumps(results.parsed_outputs, allow_nan=False)
        assert pickle.loads(pickle.dumps(results)) == results


def check_outputs(outputs: Sequence[OutputValue]) -> None:
    for output in outputs:
        assert type(output) is OutputValue
        assert isinstance(output.variable_name, str)
        assert isinstance(output.display_name, str)
        assert is_name_or_none(output.type)
        assert isinstance(output.value, str) or output.parsed is output.value


def check_audit(audit: AuditLog, answer: ApiResponse) -> None:
    assert type(audit) is AuditLog
    for node in audit.nodes:
        assert isinstance(node.name, str)
        assert is_name_or_none(node.status)
        assert is_amount_or_none(node.started_at)
        assert is_amount_or_none(node.seconds)
        assert is_amount_or_none(node.ended_at)
        assert node.error is None or (node.error.isprintable() and 0 < len(node.error) <= 300)
        check_outputs(node.inputs + node.outputs)
        repr([put.parsed for put in node.inputs + node.outputs])
    named = (*audit.failed_nodes, *audit.executed_nodes, *audit.remaining_nodes)
    assert all(isinstance(name, str) for name in named)
    assert is_name_or_none(audit.running_node)
    assert is_count_or_none(audit.total_nodes)
    assert is_count_or_none(audit.executed_count)
    assert is_amount_or_none(audit.started_at)
    assert is_amount_or_none(audit.ended_at)
    assert is_amount_or_none(audit.elapsed)
    assert audit.progress is None or 0 <= audit.progress <= 1
    assert {node.name for node in audit.failures} == set(audit.failed_nodes)
    for entry in audit.trail:
        assert all(isinstance(word, str) for word in (entry.timestamp, entry.actor, entry.action))
    repr(audit)
    hash(audit)


def check_detail(job: JobDetail, answer: ApiResponse) -> None:
    assert type(job) is JobDetail
    check_id(job.job_id, answer)
    check_status(job.status, answer)
    assert isinstance(job.title, str)
    for name in (job.workflow_id, job.workflow_name, job.workspace_id, job.builder_type):
        assert is_name_or_none(name)
    assert is_amount_or_none(job.created_at)
    assert is_amount_or_none(job.finished_at)
    if job.audit is not None:
        check_audit(job.audit, answer)
    repr(job)


def check_page(page: JobPage, answer: ApiResponse) -> None:
    assert type(page) is JobPage
    assert is_count_or_none(page.total)
    for job in page.jobs:
        check_detail(job, answer)


def check_bool(value: bool, answer: ApiResponse) -> None:  # noqa: FBT001 - it is what was read
    assert type(value) is bool


def read_wait(answer: ApiResponse) -> float | None:
    return retry_after(answer.headers, json_or_none(answer))


def check_wait(wait: float | None, answer: ApiResponse) -> None:
    assert is_wait(wait)


def read_texts(answer: ApiResponse) -> tuple[tuple[str, Any], ...]:
    """Of the body as text, halves of surrogate pairs included, and of a block with the same text in it."""
    text = answer.body.decode(errors="surrogateescape")
    texts = (text, f"Here it is:\n```json\n{text}\n```\n")
    return tuple((given, parsed(given)) for given in texts)


def check_texts(found: tuple[tuple[str, Any], ...], answer: ApiResponse) -> None:
    for given, value in found:
        assert value is given or type(value) in {dict, list}
        if value is not given:
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
            assert parsed(given) is not value


# -- all of them -------------------------------------------------------------------------------------------


NOWHERE = ApiResponse(
    status=404, body=b'{"statusCode": 404, "message": "Cannot GET /job/0/status/opus-async-nowhere"}'
)


def _of(generation: Any) -> dict[str, Reader]:
    made = {
        "workflow": (lambda answer: generation.read_workflow(answer, "w"), check_workflow),
        "initiated": (generation.read_initiated, check_id),
        "presigned": (generation.read_presigned, check_presigned),
        "executed": (generation.read_executed, check_nothing),
        "status": (generation.read_status, check_status),
        "results": (generation.read_results, check_results),
        "audit": (generation.read_audit, check_audit),
    }
    readers = {
        f"{generation.name} {name}": Reader(SHAPES[name], read, check) for name, (read, check) in made.items()
    }

    def both(answer: ApiResponse) -> bool:
        generation.matches(answer, NOWHERE)
        return generation.matches(ApiResponse(status=404, body=b'{"message": "Job not found"}'), answer)

    speaks = Reader((*REFUSALS, *SHAPES["status"]), both, check_bool)
    return {**readers, f"{generation.name} speaks": speaks}


READERS = {
    **_of(V0()),
    **_of(V1()),
    "page": Reader(SHAPES["page"], job_management.read_page, check_page),
    "detail": Reader(SHAPES["detail"], job_management.read_detail, check_detail),
    "duplicate": Reader(SHAPES["initiated"], job_management.read_duplicate, check_id),
    "done": Reader(SHAPES["done"], job_management.read_done, check_nothing),
    "download": Reader(SHAPES["download"], undocumented.read_download, check_download),
    "retry after": Reader(REFUSALS, read_wait, check_wait),
    "json in text": Reader((*SHAPES["results"], *SHAPES["audit"]), read_texts, check_texts),
}
"""Every reader of the protocol by name."""
