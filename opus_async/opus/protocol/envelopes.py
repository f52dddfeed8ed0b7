"""Error envelopes: whether a response describes an error or a refusal although its status is a success.

Gateways and platforms write that in many ways; the documented ones are in the tests, the others were seen at
services of the same kind. What lies in ``data`` counts like what lies around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

JOB_NAMES = ("jobExecutionId", "job_execution_id", "caseId", "case_id")
"""Fields in which an answer names the job that it is about."""
_ERROR_STATUS = frozenset({"error", "fail", "failure", "ko", "nok"})
"""Words of error envelopes (JSend and the like), and of no documented status of a job."""
_EXPLANATIONS = frozenset(
    {"message", "msg", "error", "errors", "code", "errorcode", "detail", "details", "reason", "fault"}
    | {"description", "errordescription", "errormessage", "statustext", "title"}
)
_AROUND = frozenset({"status", "state", "statuscode", "success", "ok", "timestamp", "path", "type", "data"})
_AROUND_ERRORS = _AROUND | _EXPLANATIONS | {"requestid", "traceid", "instance"}
_FALSE = frozenset({"false", "no", "0"})
_FAILURES = range(400, 600)
_LONGEST_NAME = 40


@lru_cache(maxsize=1024)  # the same few names in every response; bounded, since the wire chooses them
def folded(name: str) -> str:
    """A field's name without its case, ``_`` and ``-``; a very long one is cut."""
    return name[:_LONGEST_NAME].lower().replace("_", "").replace("-", "")


def is_error_envelope(body: Any) -> bool:
    """Whether this is a gateway's ``{"status": "error", "message": ...}``, which speaks of no job.

    Where it names a job, or has no words beside, it is taken for a status all the same.
    """
    if not isinstance(body, dict):
        return False
    inner = body.get("data")
    return _is_error(body) or (isinstance(inner, dict) and _is_error(inner))


def holds_errors_alone(body: Any) -> bool:
    """Whether a body holds nothing but a description of an error."""
    if not isinstance(body, dict) or not body:
        return False
    inner = body.get("data")
    if isinstance(inner, dict) and holds_errors_alone(inner):
        return True
    fields = {folded(name): value for name, value in body.items() if value}
    return (
        not inner
        and fields.keys() <= _AROUND_ERRORS | {folded(name) for name in JOB_NAMES}
        and (not fields.keys().isdisjoint(_EXPLANATIONS) or _has_error_status(body))
    )


def says_no(body: Any) -> bool:
    """Whether the body of a success refuses: by a flag, a code of 400 or more, a word, or errors."""
    if not isinstance(body, dict):
        return False
    inner = body.get("data")
    return _refuses(body) or (isinstance(inner, dict) and _refuses(inner))


def _has_error_status(layer: Mapping[str, Any]) -> bool:
    return _is_error_word(layer.get("status")) or _is_error_word(layer.get("state"))


def _is_error_word(word: Any) -> bool:
    return isinstance(word, str) and word.strip().lower() in _ERROR_STATUS


def _is_error(layer: Mapping[str, Any]) -> bool:
    if not _has_error_status(layer) or any(layer.get(name) for name in JOB_NAMES):
        return False
    names = {folded(name) for name in layer}
    inner = layer.get("data")
    return not names.isdisjoint(_EXPLANATIONS) or (isinstance(inner, dict) and holds_errors_alone(inner))


def _refuses(layer: Mapping[str, Any]) -> bool:
    fields = {folded(name): value for name, value in layer.items()}
    return (
        _denies(fields.get("success"))
        or _denies(fields.get("ok"))
        or _is_failure(fields.get("statuscode"))
        or _is_failure(fields.get("status"))
        or _is_failure(fields.get("code"))
        or _has_error_status(layer)
        or bool(fields.get("errors"))
        or (bool(fields.get("error")) and not fields.get("success"))
    )


def _denies(value: Any) -> bool:
    return value is False or (isinstance(value, str | int) and str(value).strip().lower() in _FALSE)


def _is_failure(code: Any) -> bool:
    number = _number(code)
    return number is not None and number in _FAILURES  # of None, a range is searched from end to end


def _number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() else None
