"""Checks the values of an execute payload against the workflow's inputs, as the vendor does."""

from __future__ import annotations

import json
import math
import re
from datetime import date
from typing import TYPE_CHECKING, Any

from opus_async.simulator.answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opus_async.simulator.uploads import Upload
    from opus_async.simulator.workflows import InputVariable, Workflow

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SERVER_ERROR = 500


def check_payload(
    workflow: Workflow, payload: Mapping[str, Any], find_upload: Callable[[str], Upload | None]
) -> list[str]:
    """Return what is wrong with a payload, one message per finding.

    Args:
        workflow: The workflow of the job.
        payload: Variable name to variable object.
        find_upload: Returns the upload behind a file URL, or None if the URL was not handed out here.

    Raises:
        Refusal: With status 500, if a `type` is an object instead of text: the vendor crashes on it.
    """
    known = workflow.by_name
    problems = [
        f"{name} is not an input of workflow {workflow.workflow_id}" for name in payload if name not in known
    ]
    for name, variable in known.items():
        if name in payload:
            problems += [
                f"{name}: {problem}" for problem in _check_entry(variable, payload[name], find_upload)
            ]
        elif not variable.nullable:
            problems.append(f"{name} should not be empty")
    return problems


def _check_entry(
    variable: InputVariable, entry: object, find_upload: Callable[[str], Upload | None]
) -> list[str]:
    if not isinstance(entry, dict):
        return ["must be an object with value and type"]
    if isinstance(entry.get("type"), dict):
        raise Refusal(_SERVER_ERROR, "Internal server error")
    problems = []
    if not isinstance(entry.get("type"), str):
        problems.append("type must be a string")
    elif entry["type"] not in (variable.type, variable.kind):
        problems.append(f"type must be {variable.type}, not {entry['type']}")
    if "displayName" in entry and not isinstance(entry["displayName"], str):
        problems.append("displayName must be a string")
    if "value" not in entry:
        problems.append("value should not be empty")
    if problems:
        return problems
    if variable.holds_files:
        return _check_files(variable, entry, find_upload)
    check = _CHECKS.get(variable.kind)
    problem = check(entry["value"]) if check else None
    return [problem] if problem else []


def _check_files(
    variable: InputVariable, entry: Mapping[str, Any], find_upload: Callable[[str], Upload | None]
) -> list[str]:
    value = entry["value"]
    if variable.kind == "file":
        return _check_file(variable, value, find_upload)
    if not isinstance(value, list):
        return ["value must be an array of file URLs"]
    if variable.of_files and not _defines_files(entry.get("typeDefinition")):
        return ["typeDefinition must say that the elements are files"]
    if not value and not variable.nullable:
        return ["value should contain at least one file URL"]
    return [problem for element in value for problem in _check_file(variable, element, find_upload)]


def _check_file(
    variable: InputVariable, value: object, find_upload: Callable[[str], Upload | None]
) -> list[str]:
    if not isinstance(value, str):
        return ["value must be a file URL"]
    upload = find_upload(value)
    if upload is None:
        return ["value must be a fileUrl that this service handed out"]
    if upload.facts is None:
        return ["the file was never uploaded"]
    if variable.file_types and upload.extension.lstrip(".").upper() not in variable.file_types:
        return [f"files of type {upload.extension} are not among {', '.join(variable.file_types)}"]
    return []


def _defines_files(definition: object) -> bool:
    if not isinstance(definition, dict):
        return False
    allowed = definition.get("allowed_types")
    return (
        isinstance(allowed, list)
        and bool(allowed)
        and isinstance(allowed[0], dict)
        and allowed[0].get("type") == "file"
    )


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else "value must be a string"


def _number(value: object) -> str | None:
    problem = "value must be a finite number"
    if isinstance(value, float):
        return None if math.isfinite(value) else problem
    return _integer(value) and problem


def _integer(value: object) -> str | None:
    return None if isinstance(value, int) and not isinstance(value, bool) else "value must be an integer"


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "value must be a boolean"


def _day(value: object) -> str | None:
    problem = "value must be a date in the form YYYY-MM-DD"
    if not isinstance(value, str) or not value.isascii() or not _DATE.fullmatch(value):
        return problem
    try:
        date.fromisoformat(value)
    except ValueError:
        return problem
    return None


def _array(value: object) -> str | None:
    return None if isinstance(value, list) else "value must be an array"


def _object(value: object) -> str | None:
    return None if isinstance(value, dict) else "value must be an object"


def _json_text(value: object) -> str | None:
    problem = "value must be a string that holds JSON"
    if not isinstance(value, str):
        return problem
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return problem
    return None


_CHECKS: dict[str, Callable[[object], str | None]] = {
    "str": _text,
    "float": _number,
    "int": _integer,
    "bool": _boolean,
    "date": _day,
    "array": _array,
    "object": _object,
    "json_string": _json_text,
}
