"""The requests of a load test, from the rows of a manifest: read and checked before the first job."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from opus_async.errors import InvalidInputs, ManifestError
from opus_async.input_problems import InputProblem, ProblemCode
from opus_async.load.documents import Documents
from opus_async.load.spec import LoadSpec
from opus_async.manifests import Manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.file_cells import takes_files
from opus_async.manifests.binding.unreadable import refused_cells
from opus_async.manifests.problem import option
from opus_async.models import JobRequest
from opus_async.platform import Platform
from opus_async.remote_urls import RemoteFile
from opus_async.text import counted

_TOLD = 10
"""Rows that an error names."""
_TITLE = "Load test"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the jobs of a load test are asked to do.

    Attributes:
        rows: Their requests.
        digest: What tells two sets of rows apart; None where they ask for nothing. Of a file its name and
            size count.
    """

    rows: Sequence[JobRequest]
    digest: str | None


def without_rows(binding: Binding) -> Inputs:
    """The inputs of a load test that has no manifest: constants alone, the same for every job."""
    row = binding.request({}, index=0, key="0", base=Path())
    return Inputs((row,), _digest((row,)) if row.inputs else None)


def read_rows(manifest: Manifest, binding: Binding, *, most: int) -> Inputs:
    """Read the rows of a manifest. Call it in a thread.

    Args:
        manifest: Open.
        binding: Makes requests of its rows.
        most: Rows that are read at most.

    Raises:
        ManifestError: It cannot be read, or rows of it cannot be run.
    """
    requests: list[JobRequest] = []
    problems: list[str] = []
    for record in islice(manifest.records(), most):
        problems += [f"{record.where}: {found.problem}" for found in refused_cells(record, binding)]
        try:
            binding.files.refuse_outside(record.cells, manifest.base)
            cells = binding.expand_globs(record.cells, manifest.base)
            requests.append(
                binding.request(cells, index=record.index, key=str(record.index), base=manifest.base)
            )
        except InvalidInputs as error:
            problems += [f"{record.where}: {problem}" for problem in error.problems]
    _refuse(problems)
    if not requests:
        raise ManifestError(f"{manifest.path.name} has no row; nothing was sent")
    return Inputs(requests, _digest(requests))


async def check_rows(
    platform: Platform[Any, Any],
    rows: Sequence[JobRequest],
    documents: Documents | None,
    *,
    from_manifest: bool = True,
) -> None:
    """Check all requests against the workflow and the disk, as each will be again before it is sent.

    Args:
        platform: Open.
        rows: The requests.
        documents: Makes files; None to send those of the rows.
        from_manifest: Whether the requests are rows of a manifest, by which errors name them.

    Raises:
        ManifestError: Some cannot be run.
    """
    made = {} if documents is None else documents.inputs(0)
    problems: list[str] = []
    for index, row in enumerate(rows):
        try:
            await platform.bind(_with_inputs(row, made))
        except InvalidInputs as error:
            row_name = f"row {index + 1}: " if from_manifest else ""
            problems += [f"{row_name}{_with_ways(problem, platform)}" for problem in error.problems]
        if index % _TOLD == 0:
            await asyncio.sleep(0)
    _refuse(problems)


def _with_ways(problem: InputProblem, platform: Platform[Any, Any]) -> str:
    """A problem; of an input that is missing with the options that give it."""
    field = platform.workflow.inputs.get(problem.input) if problem.input else None
    if problem.code is not ProblemCode.MISSING or field is None:
        return problem
    made = "--file-size SIZE, which makes a document, or " if takes_files(field) else ""
    return f"{problem}; {option('--set', field.display_name, 'VALUE')}, {made}a column of --inputs"


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        more = [f"... and {len(problems) - _TOLD:,} more"] if len(problems) > _TOLD else []
        told = counted(len(problems), "problem with the inputs", "problems with the inputs")
        raise ManifestError(f"{told}; nothing was sent. Mend them:", [*problems[:_TOLD], *more])


class RequestSource:
    """Makes the request of each job.

    Args:
        inputs: The rows.
        spec: Of the load test.
        run_id: Every title holds it.
        documents: Makes files; None to send those of the rows.
        timeout: Seconds for each job until its end is not waited for any more; None for no bound.
        first: The index of the first job: a search goes on counting from step to step.
    """

    def __init__(
        self,
        inputs: Inputs,
        spec: LoadSpec,
        *,
        run_id: str,
        documents: Documents | None,
        timeout: float | None,
        first: int = 0,
    ) -> None:
        self._rows = inputs.rows
        self._random = spec.pick == "random"
        self._seed = spec.seed
        self._run_id = run_id
        self._documents = documents
        self._timeout = timeout
        self.first = first

    def key(self, index: int) -> str:
        """The key of a job's request, which its events name."""
        return f"{self._run_id}-{index}"

    def request(self, index: int) -> JobRequest:
        """The request of the job at this place."""
        rows = self._rows
        row = rows[_drawn(self._seed, index, len(rows)) if self._random else index % len(rows)]
        if self._documents is not None:
            row = _with_inputs(row, self._documents.inputs(index))
        return JobRequest(
            row.inputs,
            f"{row.title or _TITLE} {self._run_id} #{index}",
            row.description,
            self.key(index),
            self._timeout,
            row.version_id,
            row.version_number,
        )


def _drawn(seed: int, index: int, size: int) -> int:
    return random.Random(f"row {seed} {index}").randrange(size)  # noqa: S311 - picks a row, guards nothing


def _with_inputs(row: JobRequest, more: Mapping[str, Any]) -> JobRequest:
    return replace(row, inputs={**row.inputs, **more}) if more else row


def _digest(rows: Sequence[JobRequest]) -> str:
    found = hashlib.sha256()
    for row in rows:
        found.update(json.dumps(row.inputs, sort_keys=True, default=_told).encode())
    return found.hexdigest()[:16]


def _told(value: object) -> object:
    if isinstance(value, RemoteFile):
        return str(value)
    if isinstance(value, Path):
        try:
            return [value.name, value.stat().st_size]
        except OSError:
            return [value.name]
    return str(value)
