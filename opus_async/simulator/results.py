"""Results: outputs computed from the inputs a job received and from the bytes that storage received.

A client that did not send the right bytes cannot guess them. Each output names a fact; this module is the
table of facts, and the shapes in which the vendor was seen to hand them out.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, get_args

from opus_async.simulator import traits
from opus_async.simulator.generated_files import FILES_PER_FACT, REPORT_FILE, files_of
from opus_async.simulator.runs import COMPLETED
from opus_async.simulator.seeded_random import uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opus_async.simulator.runs import Job
    from opus_async.simulator.uploads import Upload
    from opus_async.simulator.workflows import OutputVariable

Fact = Literal[
    "echo",
    "sha256",
    "size",
    "type",
    "lines",
    "pages",
    "characters",
    "verdict",
    "digest",
    "report_file",
    "report_files",
]
"""The facts an output can name: an echo, facts of a file or a text, the verdict; and of all inputs together
their digest, a generated file, a list of generated files."""
FACTS: tuple[Fact, ...] = get_args(Fact)
_FILE_FACTS = frozenset({"sha256", "size", "type", "lines", "pages"})
_SCORE_DIGITS = 8
_HIGHEST_SCORE: float = 16.0**_SCORE_DIGITS


def compute_outputs(job: Job, find_upload: Callable[[str], Upload | None]) -> dict[str, dict[str, Any]]:
    """Return the outputs of a job: variable name to value, type and displayName.

    A script can say what they are. An output without a value is left out: the lines of a PDF, the echo of an
    input that was not given.
    """
    if job.outputs is not None:
        return job.outputs
    outputs = {}
    for output in job.workflow.outputs:
        value = _value(job, output, find_upload)
        if value is not None:
            outputs[output.variable_name] = {
                "value": value,
                "type": output.type,
                "displayName": output.display_name,
            }
    return outputs


def score(digest: str) -> float:
    """Return the score of a document in [0, 1): the first eight digits of its SHA-256, as a share."""
    return int(digest[:_SCORE_DIGITS], 16) / _HIGHEST_SCORE


def shape(job: Job, outputs: Mapping[str, Mapping[str, Any]], active: frozenset[str]) -> object:
    """Return the body of a results answer in the shape that the active traits ask for."""
    if traits.RESULTS_JSON_TEXT in active:
        outputs = _with_json_text(outputs, first=int(2 * uniform("backticks", job.identity)))
    if traits.RESULTS_BARE_LIST in active:
        return [{name: output["value"]} for name, output in outputs.items()]
    if traits.RESULTS_OLD in active and job.generation == "v0":
        data = {output["displayName"]: output["value"] for output in outputs.values()}
        files = [file.file_url for file in files_of(job)]
        results = {"summary": "Job executed successfully.", "outputFiles": files, "data": data}
        return {"jobExecutionId": job.job_id, "status": COMPLETED, "results": results}
    entries = None if traits.RESULTS_NULL in active else _entries(outputs, active)
    newest = {"jobResultsPayloadSchema": entries}
    if traits.RESULTS_NESTED in active:
        return {"results": newest}
    return {"results": entries} if job.generation == "v1" else newest


def _entries(
    outputs: Mapping[str, Mapping[str, Any]], active: frozenset[str]
) -> Mapping[str, Mapping[str, Any]]:
    if traits.RESULTS_SNAKE_NAMES not in active:
        return outputs
    spelling = {"displayName": "display_name"}
    return {
        name: {spelling.get(key, key): part for key, part in output.items()}
        for name, output in outputs.items()
    }


def _with_json_text(outputs: Mapping[str, Mapping[str, Any]], first: int) -> Mapping[str, Mapping[str, Any]]:
    """Return the outputs with text instead of objects; `first` is 1 if the first one stands in backticks."""
    written = dict(outputs)
    objects = [name for name, output in outputs.items() if isinstance(output["value"], dict)]
    for nth, name in enumerate(objects):
        text = json.dumps(outputs[name]["value"])
        fenced = f"```json\n{text}\n```" if (nth + first) % 2 else text
        written[name] = {**outputs[name], "value": fenced}
    return written


def _value(job: Job, output: OutputVariable, find_upload: Callable[[str], Upload | None]) -> Any:
    if output.fact == "digest":
        return sha256(json.dumps(job.inputs, sort_keys=True).encode()).hexdigest()
    if output.fact in FILES_PER_FACT:
        return _file_urls(job, output)
    value = job.inputs.get(output.source)
    if value is None or output.fact == "echo":
        return value
    variable = job.workflow.by_name[output.source]
    if not variable.holds_files:
        return _text_fact(value, output.fact)
    if output.fact == "verdict":
        return _verdict(job, str(_file_fact(value, "sha256", find_upload)))
    urls = value if isinstance(value, list) else [value]
    facts = [_file_fact(url, output.fact, find_upload) for url in urls]
    return facts if isinstance(value, list) else facts[0]


def _file_urls(job: Job, output: OutputVariable) -> str | list[str]:
    """Return the URL of the file that an output holds, or the list of them."""
    urls = [file.file_url for file in files_of(job) if file.variable_name == output.variable_name]
    return urls[0] if output.fact == REPORT_FILE else urls


def _file_fact(file_url: str, fact: str, find_upload: Callable[[str], Upload | None]) -> Any:
    upload = find_upload(file_url)
    if upload is None or upload.facts is None or fact not in _FILE_FACTS:
        return None
    return getattr(upload.facts, fact)


def _text_fact(value: object, fact: str) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if fact == "sha256":
        # A lone surrogate is legal in JSON text and has no UTF-8 form; it is hashed as it was escaped.
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    if fact == "size":
        return len(text.encode("utf-8", "surrogatepass"))
    if fact == "characters":
        return len(text)
    if fact == "lines":
        return text.count("\n") + (not text.endswith("\n") and text != "")
    return None


def _verdict(job: Job, digest: str) -> str:
    """PASS unless the score of the document is below the threshold: the first float input, 0 if not given."""
    thresholds = (job.inputs.get(v.variable_name) for v in job.workflow.inputs if v.kind == "float")
    threshold = next((given for given in thresholds if given is not None), 0.0)
    return "PASS" if score(digest) >= threshold else "REVIEW"
