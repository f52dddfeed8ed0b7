"""Checks that a response is about the job or workflow that was asked about, by the ids that it names.

Where a response says what it is about, every reader begins with comparing that
(:mod:`opus_async.wire.identity`). Only ids of the thing itself count: an ``execution_id`` is a human task's,
a ``jobId`` can be a queue's, and among the outputs of a job any name may stand for anything.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from opus_async.opus.protocol.envelopes import folded
from opus_async.wire.identity import UUID, compare, id_of
from opus_async.wire.messages import ApiResponse

_OF_JOB = "jobexecutionid"
_OF_CASE = "caseid"
_OF_A_JOB = (_OF_JOB, _OF_CASE)
_OF_WORKFLOW = frozenset({"workflowid", "referenceentityid"})
_HEADERS = ("x-job-execution-id", "x-case-id")
_OF_ITSELF = ("id", "_id")

_AROUND_JOB = frozenset(
    {"data", "job", "case", "audit", "execution", "jobExecution", "job_execution", "metadata", "meta"}
)
_JOB_ITSELF = frozenset({"job", "case"})
_RESULTS = frozenset({"jobResultsPayloadSchema", "job_results_payload_schema", "results"})
_AROUND_WORKFLOW = ("workflow", "data")
_ENVELOPE = (
    _AROUND_JOB
    | _RESULTS
    | {"status", "state", "success", "message", "error", "statusCode"}
    | {"auditTrail", "nodes_execution_data", "nodesExecutionData"}
)
"""Beside none of these, what is called a case can be an output: people name them."""
_MARKS = frozenset({"type", "displayName", "display_name"})

_PATH_OF_JOB = (
    r"/(?:job|case)/([^/?#]+)/(?:status|results|audit|execute|archive|duplicate|delete)/?(?:[?#].*)?"
)
"""The ``path`` of an error's envelope: what the platform was asked for. Compiled when there is an error."""
_SHORT_ID = re.compile(r"[A-Za-z0-9]{16}")


def check(answer: ApiResponse, body: Any) -> None:
    """Check that a response is about what was asked.

    Args:
        answer: The response.
        body: Its JSON.

    Raises:
        MixedUpAnswer: It names another job, or another workflow.
    """
    if answer.job_id is not None:
        for named in _jobs_named(answer, body):  # each place names it, by one id per generation
            compare(answer, answer.job_id, named)
    elif answer.workflow_id is not None:
        for named in _workflows_named(body, answer.workflow_id):
            compare(answer, answer.workflow_id, named)


def check_id(answer: ApiResponse, named: str) -> None:
    """Check that the only id in a response is that of the job that was asked about.

    Raises:
        MixedUpAnswer: It is another one.
    """
    if answer.job_id is not None:
        compare(answer, answer.job_id, [named])


def _jobs_named(answer: ApiResponse, body: Any) -> list[list[str]]:
    """The ids by which a response names jobs, place by place. Every poll comes through here."""
    places = []
    for name in _HEADERS:
        named = answer.headers.get(name)
        if named is not None and (found := id_of(named)):
            places.append([found])
    if isinstance(body, dict):
        _add_jobs(places, body)
        if "statusCode" in body and isinstance(path := body.get("path"), str):
            asked_for = re.search(_PATH_OF_JOB, path)
            places += [[unquote(asked_for[1])]] if asked_for else []
    return places


def _add_jobs(places: list[list[str]], layer: Mapping[str, Any], *, is_job: bool = False) -> None:
    """Add the ids of one layer of an answer, and of what it wraps."""
    enveloped = is_job or len(layer) == 1 or not _ENVELOPE.isdisjoint(layer)
    ids = [found for key in _OF_ITSELF if (found := id_of(layer.get(key)))] if is_job else []
    for key, value in layer.items():
        name = folded(key)
        if name == _OF_JOB or (name == _OF_CASE and enveloped):
            ids += filter(None, [id_of(value)])
        elif not isinstance(value, dict):
            continue
        elif key in _RESULTS:
            places.append(_ids(value, _OF_A_JOB) if _is_around_outputs(value) else [])
        elif key in _AROUND_JOB:
            _add_jobs(places, value, is_job=key in _JOB_ITSELF)
    if ids:
        places.append(ids)


def _is_around_outputs(results: Mapping[str, Any]) -> bool:
    """Whether bare values in it are about the job and not outputs, since outputs are wrapped, or objects."""
    return not _RESULTS.isdisjoint(results) or any(
        isinstance(entry, dict) and "value" in entry and not _MARKS.isdisjoint(entry)
        for entry in results.values()
    )


def _workflows_named(body: Any, asked: str, depth: int = 2) -> Iterator[list[str]]:
    """The ids in the form of the one asked for: one workflow has a short id and UUIDs."""
    if not isinstance(body, dict):
        return
    ids = _ids(body, _OF_WORKFLOW)
    if "nodes" in body or "workflowInputNodeId" in body:
        ids += [found for key in _OF_ITSELF if (found := id_of(body.get(key)))]
    form = next((form for form in (UUID, _SHORT_ID) if form.fullmatch(asked.strip())), None)
    yield [each for each in ids if form is not None and form.fullmatch(each)]
    if depth:
        for name in _AROUND_WORKFLOW:
            yield from _workflows_named(body.get(name), asked, depth - 1)


def _ids(layer: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """The ids under these names, however they are spelt."""
    return [
        found for key, value in layer.items() if folded(key) in names and (found := id_of(value)) is not None
    ]
