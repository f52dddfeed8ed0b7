"""Does an answer belong to its question: the ids that it names, compared with what was asked about.

A cache, a proxy or a connection that is out of step gives the answer to another question, which is JSON like
any other. Where it says what it is about, that is compared, in the one place that every reader begins with.
Only names of the thing itself are: an ``execution_id`` is a human task's, a ``jobId`` can be a queue's, and
among the outputs of a job any name may stand for anything.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from opus_async.errors import MixedUpAnswer
from opus_async.gaps import gapped, literal
from opus_async.opus.protocol.api_messages import ApiResponse
from opus_async.opus.protocol.excerpts import excerpt, excerpt_of_bytes

_OF_JOB = "jobexecutionid"
_OF_CASE = "caseid"
_OF_A_JOB = (_OF_JOB, _OF_CASE)
_OF_WORKFLOW = frozenset({"workflowid", "referenceentityid"})
_LONGEST_NAME = 40
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

_PATH_OF_JOB = re.compile(
    r"/(?:job|case)/([^/?#]+)/(?:status|results|audit|execute|archive|duplicate|delete)/?(?:[?#].*)?"
)
"""The ``path`` of an error's envelope: what the platform was asked for."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHORT_ID = re.compile(r"[A-Za-z0-9]{16}")

_ADVICE = (
    "A cache or a proxy in between mixes answers up: tell whoever runs it that answers to this API must not "
    "be stored"
)


def check(answer: ApiResponse, body: Any) -> None:
    """See that an answer is about what was asked.

    Args:
        answer: What came back.
        body: Its JSON.

    Raises:
        MixedUpAnswer: It names a job, or a workflow, and another one.
    """
    if answer.job_id is not None:
        _compare(answer, answer.job_id, _jobs_named(answer, body))
    elif answer.workflow_id is not None:
        _compare(answer, answer.workflow_id, _workflows_named(body, answer.workflow_id))


def check_id(answer: ApiResponse, named: str) -> None:
    """See that the one id that an answer holds is that of the job asked about.

    Raises:
        MixedUpAnswer: It is another one.
    """
    if answer.job_id is not None:
        _compare(answer, answer.job_id, [[named]])


def is_same(named: str, asked: str) -> bool:
    """Whether two ids are one: written as it is or percent-encoded, a UUID in upper or lower case."""
    named, asked = named.strip(), asked.strip()
    if named == asked:
        return True
    if "%" in named or "%" in asked:
        named, asked = unquote(named), unquote(asked)
    return named == asked or (named.lower() == asked.lower() and _UUID.fullmatch(asked) is not None)


def _compare(answer: ApiResponse, asked: str, places: Iterable[list[str]]) -> None:
    """One of the ids of a place must be what was asked about: generations of the API number a job each."""
    for named in places:
        if named and not any(is_same(each, asked) for each in named):
            shown = excerpt(named[0], 80, answer.mask)
            raise MixedUpAnswer(
                gapped(
                    f"{literal(answer.method)} {{}} was asked about {{}}, and the answer is about {{}}. "
                    f"{literal(_ADVICE)}.",
                    answer.url.partition("?")[0] or "of the API",
                    excerpt(asked, 80),
                    shown,
                ),
                asked=asked,
                named=shown,
                body=excerpt_of_bytes(answer.body, mask=answer.mask),
            )


def _jobs_named(answer: ApiResponse, body: Any) -> list[list[str]]:
    """The ids that an answer names jobs by, place by place. Every poll comes through here."""
    places = [[found] for name in _HEADERS if (found := _id(answer.headers.get(name)))]
    if isinstance(body, dict):
        _add_jobs(places, body)
        if "statusCode" in body and isinstance(path := body.get("path"), str):
            asked_for = _PATH_OF_JOB.search(path)
            places += [[unquote(asked_for[1])]] if asked_for else []
    return places


def _add_jobs(places: list[list[str]], layer: Mapping[str, Any], *, is_job: bool = False) -> None:
    """Add the ids of one layer of an answer, and of what it wraps."""
    enveloped = is_job or len(layer) == 1 or not _ENVELOPE.isdisjoint(layer)
    ids = [found for key in _OF_ITSELF if (found := _id(layer.get(key)))] if is_job else []
    for key, value in layer.items():
        name = _folded(key)
        if name == _OF_JOB or (name == _OF_CASE and enveloped):
            ids += filter(None, [_id(value)])
        elif not isinstance(value, dict):
            continue
        elif key in _RESULTS:
            places.append(_ids(value, _OF_A_JOB) if _is_around_outputs(value) else [])
        elif key in _AROUND_JOB:
            _add_jobs(places, value, is_job=key in _JOB_ITSELF)
    if ids:
        places.append(ids)


def _is_around_outputs(results: Mapping[str, Any]) -> bool:
    """Whether a bare value in it is none of the outputs, because those are wrapped, or objects."""
    return not _RESULTS.isdisjoint(results) or any(
        isinstance(entry, dict) and "value" in entry and not _MARKS.isdisjoint(entry)
        for entry in results.values()
    )


def _workflows_named(body: Any, asked: str, depth: int = 2) -> Iterator[list[str]]:
    """Ids of the form of the one asked for: the platform has short ones and UUIDs of one workflow."""
    if not isinstance(body, dict):
        return
    ids = _ids(body, _OF_WORKFLOW)
    if "nodes" in body or "workflowInputNodeId" in body:
        ids += [found for key in _OF_ITSELF if (found := _id(body.get(key)))]
    form = next((form for form in (_UUID, _SHORT_ID) if form.fullmatch(asked.strip())), None)
    yield [each for each in ids if form is not None and form.fullmatch(each)]
    if depth:
        for name in _AROUND_WORKFLOW:
            yield from _workflows_named(body.get(name), asked, depth - 1)


def _ids(layer: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """The ids under these names, however they are spelt."""
    return [
        found for key, value in layer.items() if _folded(key) in names and (found := _id(value)) is not None
    ]


@lru_cache(maxsize=1024)  # the same few names in every answer; bounded, since the wire chooses them
def _folded(key: str) -> str:
    return key[:_LONGEST_NAME].lower().replace("_", "").replace("-", "")


def _id(value: Any) -> str | None:
    """An id, from a text or a whole number: an object under that name is an output."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
