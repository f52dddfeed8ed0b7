"""Reading a response: is it a success, and is it about what was asked about."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from opus_async.models import JobStatus
from opus_async.operativus.protocol.api_errors import error_from, is_problem
from opus_async.operativus.protocol.statuses import status_of
from opus_async.wire.identity import compare, id_of
from opus_async.wire.json_bodies import json_of, json_or_none
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import SUCCESS, protocol_error

_PATHS = (
    re.compile(r"/workflows/(?!runs/)([^/?#]+)"),
    re.compile(r"/sessions/([^/?#]+)"),
    re.compile(r"/(?:steps|workflows/runs)/([^/?#]+)"),
)
"""In the path that an error names: the id of a workflow, of a session, and of a step or a run."""
_WORD_CHARS = 200
"""No more of a status is looked at, or kept."""


def body_of(answer: ApiResponse) -> Any:
    """The JSON of a response that means success.

    Raises:
        APIError: The status says no.
        ProtocolError: It is no JSON, or a description of an error in spite of its status.
        MixedUpAnswer: It is an error about something else than was asked for.
    """
    if answer.status not in SUCCESS:
        _check_path(answer)
        raise error_from(answer)
    body = json_of(answer)
    if is_problem(body):
        raise protocol_error(answer, "that describes an error, though the status says success")
    return body


def object_of(answer: ApiResponse) -> Mapping[str, Any]:
    """The JSON object of a response that means success.

    Raises:
        APIError, ProtocolError: As for :func:`body_of`.
    """
    body = body_of(answer)
    if not isinstance(body, dict):
        raise protocol_error(answer, "that is no object")
    return body


def status_in(row: Mapping[str, Any], answer: ApiResponse) -> JobStatus:
    """The status in an object; ``UNKNOWN`` where there is none, with what stands there kept."""
    found = row.get("status")
    word = found if isinstance(found, str) else "" if found is None else json.dumps(found)
    status = status_of(word[:_WORD_CHARS])
    return JobStatus(str(status), answer.mask(status.raw)) if status == JobStatus.UNKNOWN else status


def check_workflow(answer: ApiResponse, named: Any) -> None:
    """Check that a field names the workflow that was asked about, where both are known.

    Raises:
        MixedUpAnswer: It names another one.
    """
    _check(answer, answer.workflow_id, named)


def check_session(answer: ApiResponse, named: Any) -> None:
    """Check that a field names the session that was asked about, where both are known.

    Raises:
        MixedUpAnswer: It names another one.
    """
    _check(answer, answer.job_id, named)


def check_subject(answer: ApiResponse, named: Any) -> None:
    """Check that a field names the run or the step that was asked about, where both are known.

    Raises:
        MixedUpAnswer: It names another one.
    """
    _check(answer, answer.subject_id, named)


def _check(answer: ApiResponse, asked: str | None, named: Any) -> None:
    if named == asked:
        return
    found = id_of(named)
    if asked is not None and found is not None:
        compare(answer, asked, [found])


def _check_path(answer: ApiResponse) -> None:
    """Check what an error is about, by the path that it names: ``instance``, or ``path`` of a 401."""
    body = json_or_none(answer)
    path = (
        next((each for name in ("instance", "path") if isinstance(each := body.get(name), str)), "")
        if isinstance(body, dict)
        else ""
    )
    asked = (answer.workflow_id, answer.job_id, answer.subject_id)
    for pattern, identifier in zip(_PATHS, asked, strict=True):
        found = pattern.search(path)
        _check(answer, identifier, None if found is None else unquote(found[1]))
