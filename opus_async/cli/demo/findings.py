"""Compares the answers of the demo's jobs with the files on disk, and counts what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opus_async.cli.demo.documents import Document
from opus_async.cli.errors import Exit, first_of
from opus_async.metrics.progress import Progress
from opus_async.stages import REQUEST_WAIT


@dataclass
class Findings:
    """What the demo found; filled while it runs.

    Attributes:
        documents: The documents that were sent.
        progress: Requests, retries and bytes.
        faults: The simulator's fault profile.
        seed: What documents, run times and faults depend on.
        completed: Jobs whose results came.
        failures: Key and reason of the first few jobs that gave no results.
        failed: How many jobs gave no results.
        code: The exit code of the batch.
        mismatches: One sentence for each answer that does not fit its file.
        verified: Answers that fit.
        job_seconds: Seconds of each completed job.
        stage_seconds: Stage -> seconds, summed over all completed jobs.
        wall: Seconds that the batch took.
        stray_shells: Jobs made and never started, unbilled.
        counters: What the simulator counted on its side.
    """

    documents: Sequence[Document]
    progress: Progress
    faults: str
    seed: int
    completed: int = 0
    failures: list[str] = field(default_factory=list)
    failed: int = 0
    code: Exit = Exit.OK
    mismatches: list[str] = field(default_factory=list)
    verified: int = 0
    job_seconds: list[float] = field(default_factory=list)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    wall: float = 0.0
    stray_shells: int = 0
    counters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def executed_twice(self) -> int:
        """Jobs that the simulator was told to start more than once."""
        return len(self.counters.get("executed_twice", ()))

    @property
    def exit_code(self) -> Exit:
        """0 only when every job completed, every answer fits and nothing ran twice."""
        codes = {self.code}
        if self.failed or self.mismatches or self.executed_twice or self.verified != len(self.documents):
            codes.add(Exit.FAILED)
        return first_of(codes)

    def take(self, line: Mapping[str, Any]) -> None:
        """Compare one line of ``results.jsonl`` with its document, and count it."""
        self.completed += 1
        self.job_seconds.append(line["timings"]["total"])
        for stage in (*self.progress.stages, REQUEST_WAIT):
            spent = self.stage_seconds.get(stage, 0.0)
            self.stage_seconds[stage] = spent + line["timings"].get(stage, 0.0)
        wrong = list(differences(self.documents[line["index"]], line["outputs"]))
        self.mismatches += wrong
        self.verified += not wrong


def differences(document: Document, outputs: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each output that does not fit the file on disk."""
    expected = {"SHA-256": document.sha256, "Size": document.size, "Type": document.type}
    for name, value in expected.items():
        if outputs.get(name) != value:
            yield f"{document.path.name}: {name} is {value} on disk, the job saw {outputs.get(name)}"
