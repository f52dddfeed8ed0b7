"""The demo's jobs: a batch like anybody's, and every answer held against its file."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from opus_async.batch import BatchObserver, BatchResult, run_batch
from opus_async.batch.ledger.reader import NOT_COMPLETED, LedgerReader
from opus_async.cli import display
from opus_async.cli.demo.documents import Document
from opus_async.cli.demo.folder import MANIFEST
from opus_async.cli.errors import Exit, first_of
from opus_async.config import RetryPolicy
from opus_async.metrics.progress import Progress
from opus_async.opus.client import OpusClient
from opus_async.simulator import SimulatorConfig, SimulatorProcess, SimulatorStartError
from opus_async.stages import REQUEST_WAIT

__all__ = ["Demo", "Findings", "SimulatorStartError"]

WORKFLOW = "D0cumentWorkfl0w"
RUN_TIME = "0.3-2.5"
"""Seconds that a simulated run takes: long enough to see the stages, short enough to stay and watch."""
WAITING_SHARE = 0.04
THRESHOLD = 0.2
GRACE = 2.0
"""Seconds over which an order with a lost answer is looked into. The default of 15 is for a real platform,
where an accepted run may be queued; the simulator shows one at once, and the demo has an audience."""
BASE, CAP = 0.1, 2.0
"""Backoff in seconds, short for the same reason."""
_MOST_FAILURES = 5


@dataclass
class Findings:
    """What the demo found; grows while it runs.

    Attributes:
        documents: What was sent.
        completed: Jobs whose results came.
        failures: Key and reason of those that gave none; the first few.
        failed: How many gave none.
        code: What the batch means for the exit code.
        mismatches: One sentence for each answer that does not fit its file.
        verified: Answers that fit.
        job_seconds: Of each completed job.
        stage_seconds: Stage -> seconds over all completed jobs.
        wall: Seconds that the batch took.
        stray_shells: Job shells made and never started, unbilled.
        progress: Requests, retries, bytes.
        counters: What the simulator counted on its side.
        faults: The profile.
        seed: Of everything.
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
        """Judge one line of ``results.jsonl``."""
        self.completed += 1
        self.job_seconds.append(line["timings"]["total"])
        for stage in (*self.progress.stages, REQUEST_WAIT):
            spent = self.stage_seconds.get(stage, 0.0)
            self.stage_seconds[stage] = spent + line["timings"].get(stage, 0.0)
        wrong = list(differences(self.documents[line["index"]], line["outputs"]))
        self.mismatches += wrong
        self.verified += not wrong


def differences(document: Document, outputs: Mapping[str, Any]) -> Iterator[str]:
    """Where the platform saw another file than the one on disk."""
    expected = {"SHA-256": document.sha256, "Size": document.size, "Type": document.type}
    for name, value in expected.items():
        if outputs.get(name) != value:
            yield f"{document.path.name}: {name} is {value} on disk, the job saw {outputs.get(name)}"


class Demo:
    """Runs a batch, one row per document, against a simulator of its own.

    Args:
        documents: What to send.
        folder: The batch directory.
        faults: The simulator's fault profile.
        seed: What every draw depends on.
        max_in_flight: Jobs at once.
        fail_share: Share of runs that fail.
        plain: Draw lines even on a terminal, because a log goes there too.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        folder: Path,
        *,
        faults: str,
        seed: int,
        max_in_flight: int,
        fail_share: float,
        plain: bool,
    ) -> None:
        self.progress = Progress()
        self.progress.preparing = "starting the simulator"
        self._documents = documents
        self._folder = folder
        self._max_in_flight = max_in_flight
        self._plain = plain
        self._findings = Findings(documents, self.progress, faults, seed)
        self._config = SimulatorConfig(
            run_time=RUN_TIME,
            waiting_share=WAITING_SHARE,
            waiting_time=1.0,
            faults=faults,
            seed=seed,
            fail_share=fail_share,
        )

    async def run(self) -> Findings:
        """Run it to the end.

        Raises:
            SimulatorStartError: The simulator did not come up.
            OpusError: What doomed all jobs.
        """
        _write_manifest(self._folder, self._documents)
        async with SimulatorProcess(self._config) as simulator:
            result = await self._run_batch(simulator)
            state = await asyncio.to_thread(simulator.state, jobs="0")
        self._findings.counters = state["counters"]
        if result.error is not None:
            raise result.error
        await asyncio.to_thread(self._judge, result)
        return self._findings

    async def _run_batch(self, simulator: SimulatorProcess) -> BatchResult:
        faults = self._config.faults
        title = "demo" if faults == "none" else f"demo, faults {faults}"
        board = display.make(self.progress, title, plain=self._plain)
        async with self._client(simulator) as opus, display.Showing(board):
            return await run_batch(
                opus,
                self._folder / MANIFEST,
                workflow_id=WORKFLOW,
                out=self._folder,
                max_in_flight=self._max_in_flight,
                watching=BatchObserver(
                    progress=self.progress, notice=board.say, planning=partial(_prepare, self.progress)
                ),
            )

    def _client(self, simulator: SimulatorProcess) -> OpusClient:
        return OpusClient(
            simulator.service_key,
            base_url=simulator.base_url,
            api="v0",
            retry=RetryPolicy(execute_grace=GRACE, base=BASE, cap=CAP),
        )

    def _judge(self, result: BatchResult) -> None:
        findings = self._findings
        for line in result.results():
            findings.take(line)
        findings.code, findings.failed = result.exit_code, result.counts.not_completed
        findings.wall = result.summary["wall_seconds"]
        findings.stray_shells = result.summary["stray_shells"]
        with LedgerReader(self._folder) as ledger:
            some = islice(ledger.rows(NOT_COMPLETED), _MOST_FAILURES)
            findings.failures += [f"{row.key}: {row.error or row.status}" for row in some]


def _write_manifest(folder: Path, documents: Sequence[Document]) -> None:
    """A row for each document; of the two inputs that may be left out, some have none."""
    with (folder / MANIFEST).open("x", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("key", "title", "Document", "Threshold", "Note"))
        for index, document in enumerate(documents):
            path = document.path
            threshold = THRESHOLD if index % 2 else ""
            note = "" if index % 3 else f"Demo document {index + 1}"
            rows.writerow((path.name, path.name, path.relative_to(folder).as_posix(), threshold, note))


def _prepare(progress: Progress, what: str, rows: int) -> None:
    progress.preparing = f"{rows:,} documents {what}"
