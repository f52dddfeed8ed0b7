"""Files that a run generates: named and computed from their job whenever somebody asks, never stored.

A name carries the id of its job in hexadecimal, so the job is found again without a table; the rest of the
name is drawn. The files of a second run have other names: those of the first are then gone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from opus_async.simulator.runs import COMPLETED
from opus_async.simulator.seeded_random import hexadecimal
from opus_async.simulator.uploads import BUCKET, FILE_HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from opus_async.simulator.runs import Job, JobBook
    from opus_async.simulator.uploads import Upload
    from opus_async.simulator.workflows import InputVariable

REPORT_FILE: Final = "report_file"
REPORT_FILES: Final = "report_files"
FILES_PER_FACT: Final = {REPORT_FILE: 1, REPORT_FILES: 2}
"""How many files each of these facts stands for."""
CONTENT_TYPE: Final = "text/plain; charset=utf-8"
# Under `nasty_file_names`: what a client meets that takes the last part of a URL for a file name.
NASTY_NAMES: Final = (
    "..%2F..%2Fetc%2Fpasswd.txt",
    "r%C3%A9sum%C3%A9%20of%20the%20run.txt",
    "Prüfbericht 2.txt",
)
"""The last parts of nasty file URLs, in the order of the files."""
_FOLDER = "media/private/generated"
_DRAWN_DIGITS = 24
_NAME = re.compile(rf"/{_FOLDER}/(?:output|stored)_((?:[0-9a-f]{{2}})+)[0-9a-f]{{{_DRAWN_DIGITS}}}[./]")
_FINDINGS = 40


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """One file of a run.

    Attributes:
        job: The job whose latest run generated it.
        variable_name: The output that holds it.
        number: Its place among the files of the job, from 0.
        file_url: Its identifier in the results.
        path: Its path on the storage host, decoded.
    """

    job: Job
    variable_name: str
    number: int
    file_url: str
    path: str

    @property
    def identity(self) -> str:
        """What its faults depend on: not on the order in which jobs were made."""
        return f"{self.job.identity}/{self.number}"

    def content(self, find_upload: Callable[[str], Upload | None]) -> bytes:
        """Return its bytes: a text of a few KB about the job and what the job received.

        Args:
            find_upload: Returns the upload behind a file URL, or None.
        """
        job = self.job
        digests = {
            variable.display_name: _digest(variable, job.inputs[name], find_upload)
            for name, variable in job.workflow.by_name.items()
            if name in job.inputs
        }
        about = (job.job_id, self.number, *digests.values())
        lines = [
            f"Report {self.number + 1} of job {job.job_id}, {job.workflow.name}",
            "",
            *(f"{name}: SHA-256 {digest}" for name, digest in digests.items()),
            "",
            *(f"Finding {n:02}: {hexadecimal(64, 'finding', n, *about)}" for n in range(1, _FINDINGS + 1)),
            "",
        ]
        return "\n".join(lines).encode()


def files_of(job: Job) -> list[GeneratedFile]:
    """Return the files of a job's latest run, in the order of its outputs; none where a script says those."""
    if job.outputs is not None:
        return []
    holders = [
        output.variable_name
        for output in job.workflow.outputs
        for _ in range(FILES_PER_FACT.get(output.fact, 0))
    ]
    return [_name(job, variable_name, number) for number, variable_name in enumerate(holders)]


def behind(jobs: JobBook, file_url: str, now: float) -> GeneratedFile | None:
    """Return the generated file with this file URL, or None; a file exists once its run has completed."""
    return next((file for file in _files_beside(jobs, file_url, now) if file.file_url == file_url), None)


def at_path(jobs: JobBook, path: str, now: float) -> GeneratedFile | None:
    """Return the generated file at a decoded path of the storage host, or None."""
    return next((file for file in _files_beside(jobs, path, now) if file.path == path), None)


def _files_beside(jobs: JobBook, name: str, now: float) -> list[GeneratedFile]:
    """Return the files of the job whose id a name carries."""
    match = _NAME.search(name)
    job = jobs.find(bytes.fromhex(match[1]).decode(errors="replace")) if match else None
    return files_of(job) if job and job.status(now) == COMPLETED else []


def _name(job: Job, variable_name: str, number: int) -> GeneratedFile:
    about = (job.identity, job.executions, number)
    carried = job.job_id.encode().hex()
    known_as = f"output_{carried}{hexadecimal(_DRAWN_DIGITS, 'generated file', *about)}"
    stored_as = f"stored_{carried}{hexadecimal(_DRAWN_DIGITS, 'generated key', *about)}"
    ending = f"/{NASTY_NAMES[number % len(NASTY_NAMES)]}" if job.nasty_names else ".txt"
    return GeneratedFile(
        job=job,
        variable_name=variable_name,
        number=number,
        file_url=f"{FILE_HOST}/{_FOLDER}/{known_as}{ending}",
        path=f"/{BUCKET}/{_FOLDER}/{stored_as}.txt",
    )


def _digest(variable: InputVariable, value: object, find_upload: Callable[[str], Upload | None]) -> str:
    if not variable.holds_files:
        return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    urls = value if isinstance(value, list) else [value]
    found = [find_upload(str(url)) for url in urls]
    return ", ".join(upload.facts.sha256 for upload in found if upload and upload.facts)
