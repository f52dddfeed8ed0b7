"""Reads the response to a start, a job's status, and its results, in every shape seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from opus_async.models import JobResults, JobStatus, OutputValue
from opus_async.opus.protocol import identity_check
from opus_async.opus.protocol.envelopes import JOB_NAMES, holds_errors_alone, says_no
from opus_async.opus.protocol.responses import body_of_accepted, body_of_success, refused
from opus_async.wire.json_bodies import json_or_none
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import first_of, protocol_error, text

_WORDS: Mapping[str, JobStatus] = {
    "pending": JobStatus.PENDING,
    "in_progress": JobStatus.IN_PROGRESS,
    "waiting": JobStatus.WAITING,
    "completed": JobStatus.COMPLETED,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELLED,
    "canceled": JobStatus.CANCELLED,
    "stopped": JobStatus.CANCELLED,
    "timed_out": JobStatus.TIMED_OUT,
    # never seen, plain enough to be believed
    "succeeded": JobStatus.COMPLETED,
    "success": JobStatus.COMPLETED,
    "finished": JobStatus.COMPLETED,
    "error": JobStatus.FAILED,
}
_GOES_ON = frozenset({JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.WAITING})
_OF_THE_REQUEST = ("success", "ok")
"""What an envelope around ``data`` says of the request, and not of the job."""
_GAPS = re.compile(r"[\s_-]+")
_ABSENT = object()
_SAYS_YES = ("success", *JOB_NAMES, "jobPayloadSchemaInstance")
"""What an accepted start says at least one of, or an inner code of success; any other 2xx can be from whoever
stands in between, and words alone say nothing."""
_YES_CODES = frozenset(map(str, range(200, 300)))

_SCHEMAS = ("jobResultsPayloadSchema", "job_results_payload_schema")
_HOLDERS = (*_SCHEMAS, "results")
_HOLDER_NAMES = frozenset(_HOLDERS)
_ENVELOPE = frozenset(
    {"jobExecutionId", "job_execution_id", "caseId", "case_id", "status", "state"}
    | {"success", "message", "error", "statusCode", "timestamp", "path"}
)
"""What stands beside outputs without being one."""
_AROUND = _ENVELOPE | {*_HOLDERS, "data"}

_MARKS = frozenset({"type", "displayName", "display_name", "variableName", "variable_name"})
"""What tells a variable object from an output that is itself an object with a ``value`` in it."""


def read_executed(answer: ApiResponse) -> None:
    """Return if the start was accepted. What the response echoes is not looked at.

    Raises:
        APIError: It was refused: by the status, by an inner ``statusCode``, by ``success: false``, by an
            ``error`` without a ``success``, or by ``status: error``.
        ProtocolError: The answer is no JSON object, so that nothing is known.
    """
    body = body_of_success(answer)
    if not isinstance(body, dict):
        raise protocol_error(answer, "that does not say whether the job was started")
    if says_no(body):
        raise refused(answer)
    if not any(body.get(name) for name in _SAYS_YES) and str(body.get("statusCode")) not in _YES_CODES:
        raise protocol_error(answer, "that does not say whether the job was started")


def read_status(answer: ApiResponse) -> JobStatus:
    """Read a job's status.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON, or holds no status.
    """
    body = body_of_accepted(answer)
    found = body
    if isinstance(body, dict):
        found = _status_in(body)
        inner = body.get("data")
        if isinstance(inner, dict) and (found is _ABSENT or found in _OF_THE_REQUEST):
            found = _status_in(inner)
    elif not isinstance(body, str):
        found = _ABSENT
    if found is _ABSENT:
        raise protocol_error(answer, "without a status")
    status = status_of(found) if isinstance(found, str) else JobStatus("UNKNOWN", json.dumps(found))
    return JobStatus(str(status), answer.mask(status.raw)) if status == JobStatus.UNKNOWN else status


@lru_cache(maxsize=256)  # thousands of polls say the same few words; bounded, since the wire chooses them
def status_of(word: str) -> JobStatus:
    """The status that a word means; ``UNKNOWN``, with the word kept, for one that is not known."""
    known = _WORDS.get(_GAPS.sub("_", word.strip().lower()), JobStatus.UNKNOWN)
    return JobStatus(str(known), word)


def read_results(answer: ApiResponse) -> JobResults | None:
    """Read the results of a job, in any shape seen; null, ``[]`` and absent results are empty ones.

    Returns:
        None when they are not ready: a 202, also one inside a 200, a status of a job that goes on, or nothing
        but a message.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON.
    """
    if answer.status == HTTPStatus.ACCEPTED:
        identity_check.check(answer, json_or_none(answer))
        return None
    body = body_of_accepted(answer)
    if isinstance(body, dict) and _not_ready(body):
        return None
    if holds_errors_alone(body):
        raise protocol_error(answer, "that tells of an error, and of no results")
    return results_in(body)


def results_in(body: Any) -> JobResults:
    """The outputs in a body that is known to hold results, in any shape seen."""
    return JobResults(values=tuple(_outputs(body)), raw=body)


def _not_ready(body: Mapping[str, Any]) -> bool:
    status = _status_in(body)
    if isinstance(status, str) and status_of(status) in _GOES_ON and not _HOLDER_NAMES.isdisjoint(body):
        return True  # what is there so far are parts
    if any(body.get(name) for name in (*_HOLDERS, "data")) or not body.keys() <= _AROUND:
        return False
    if str(body.get("statusCode")) == str(HTTPStatus.ACCEPTED.value):
        return True
    if isinstance(status, str):
        return not status_of(status).is_terminal
    return "message" in body and body.keys() <= _ENVELOPE


def _status_in(body: Mapping[str, Any]) -> Any:
    return body["status"] if "status" in body else body.get("state", _ABSENT)


def _outputs(body: Any) -> Iterator[OutputValue]:
    """The output variables, wherever this shape keeps them."""
    if not isinstance(body, dict):
        return variables(body)
    if not _HOLDER_NAMES.isdisjoint(body):
        held = next((found for name in _HOLDERS if (found := body.get(name))), None)
        inner = first_of(held, *_SCHEMAS) if isinstance(held, dict) else None
        return variables(held if inner is None else inner)
    wrapped = body.get("data")
    if isinstance(wrapped, dict) and not _HOLDER_NAMES.isdisjoint(wrapped):
        return _outputs(wrapped)
    return variables({name: value for name, value in body.items() if name not in _ENVELOPE})


def variables(held: Any) -> Iterator[OutputValue]:
    """Variables from a mapping by name, or from a list of such mappings or of variable objects."""
    for group in held if isinstance(held, list) else (held,):
        if not isinstance(group, dict):
            continue
        name = text(first_of(group, "variable_name", "variableName"))
        if name is not None and ("value" in group or group.keys() <= _MARKS):
            yield _described(name, group)
        else:
            for name, entry in group.items():
                yield _described(name, entry) if _is_variable(entry) else OutputValue(name, name, entry)


def _described(name: str, entry: Mapping[str, Any]) -> OutputValue:
    """One variable, from an object that describes it; a null can be left out of it."""
    return OutputValue(
        variable_name=name,
        display_name=text(first_of(entry, "displayName", "display_name")) or name,
        value=entry.get("value"),
        type=text(entry.get("type")),
    )


def _is_variable(entry: Any) -> bool:
    return isinstance(entry, dict) and "value" in entry and (len(entry) == 1 or not _MARKS.isdisjoint(entry))
