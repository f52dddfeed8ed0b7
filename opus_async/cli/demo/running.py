"""The demo's jobs: through the client like anybody's, and every answer held against its file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiofiles

from opus_async.batch.progress import Progress
from opus_async.cli import display
from opus_async.cli.demo.documents import Document
from opus_async.cli.errors import Exit, exit_code, first_of
from opus_async.config import RetryPolicy
from opus_async.models import JobOutcome, JobRequest
from opus_async.opus.client import OpusClient
from opus_async.opus.run import STAGES
from opus_async.simulator import SimulatorConfig, SimulatorProcess, SimulatorStartError

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
"""Backoff in seconds, likewise."""
_LARGEST_EXAMPLES = 5


@dataclass
class Findings:
    """What the demo found; grows while it runs.

    Attributes:
        documents: What was sent.
        completed: Jobs whose results came.
        failures: Key and reason of those that gave none; the first few.
        failed: How many gave none.
        codes: What the failures mean for the exit code.
        mismatches: One sentence for each answer that does not fit its file.
        verified: Answers that fit.
        job_seconds: Of each completed job.
        stage_seconds: Stage -> seconds over all completed jobs.
        wall: Seconds from the first row to the last outcome.
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
    codes: set[Exit] = field(default_factory=set)
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
        codes = set(self.codes)
        if self.failed or self.mismatches or self.executed_twice or self.verified != len(self.documents):
            codes.add(Exit.FAILED)
        return first_of(codes)

    def take(self, outcome: JobOutcome, document: Document) -> None:
        """Judge one outcome."""
        if not outcome.ok:
            self.failed += 1
            if outcome.error is not None:
                self.codes.add(exit_code(outcome.error))
            if len(self.failures) < _LARGEST_EXAMPLES:
                self.failures.append(f"{outcome.key}: {outcome.error or outcome.status}")
            return
        self.completed += 1
        self.job_seconds.append(outcome.timings["total"])
        for stage in self.progress.stages:
            spent = self.stage_seconds.get(stage, 0.0)
            self.stage_seconds[stage] = spent + outcome.timings.get(stage, 0.0)
        wrong = list(differences(document, outcome.outputs))
        self.mismatches += wrong
        self.verified += not wrong


def differences(document: Document, outputs: Mapping[str, Any]) -> Iterator[str]:
    """Where the platform saw another file than the one on disk."""
    expected = {"SHA-256": document.sha256, "Size": document.size, "Type": document.type}
    for name, value in expected.items():
        if outputs.get(name) != value:
            yield f"{document.path.name}: {name} is {value} on disk, the job saw {outputs.get(name)}"


class Demo:
    """Runs one job per document against a simulator of its own.

    Args:
        documents: What to send.
        results: The file for one JSON line per completed job.
        faults: The simulator's fault profile.
        seed: What every draw depends on.
        max_in_flight: Jobs at once.
        fail_share: Share of runs that fail.
        plain: Draw lines even on a terminal, because a log goes there too.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        results: Path,
        *,
        faults: str,
        seed: int,
        max_in_flight: int,
        fail_share: float,
        plain: bool,
    ) -> None:
        self.progress = Progress(stages_in_order(), len(documents))
        self._documents = documents
        self._results = results
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
        """
        async with SimulatorProcess(self._config) as simulator:
            await self._run_jobs(simulator)
            state = await asyncio.to_thread(simulator.state, jobs="0")
        self._findings.counters = state["counters"]
        return self._findings

    async def _run_jobs(self, simulator: SimulatorProcess) -> None:
        faults = self._config.faults
        title = "demo" if faults == "none" else f"demo, faults {faults}"
        shown = display.Lines(self.progress, title) if self._plain else display.make(self.progress, title)
        clock = asyncio.get_running_loop().time
        async with (
            aiofiles.open(self._results, "w", encoding="utf-8") as lines,  # a slow disk is no slow loop
            self._client(simulator) as opus,
            display.Showing(shown),
        ):
            began = clock()
            async with opus.run_many(WORKFLOW, self._rows(), max_in_flight=self._max_in_flight) as outcomes:
                async for outcome in outcomes:
                    self._findings.take(outcome, self._documents[outcome.index])
                    if outcome.ok:
                        await lines.write(_line(outcome))
            self._findings.wall = clock() - began
            self._findings.stray_shells = outcomes.stray_shells

    def _client(self, simulator: SimulatorProcess) -> OpusClient:
        return OpusClient(
            simulator.service_key,
            base_url=simulator.base_url,
            api="v0",
            retry=RetryPolicy(execute_grace=GRACE, base=BASE, cap=CAP),
            listeners=[self.progress],
        )

    def _rows(self) -> Iterator[JobRequest]:
        for index, document in enumerate(self._documents):
            yield JobRequest(
                {
                    "Document": document.path,
                    "Threshold": THRESHOLD if index % 2 else None,
                    "Note": None if index % 3 else f"Demo document {index + 1}",
                },
                title=document.path.name,
                key=document.path.name,
            )


def stages_in_order() -> tuple[str, ...]:
    """The names of the stages that an Opus job goes through."""
    return (STAGES.bind, STAGES.prepare, STAGES.create, STAGES.start, STAGES.watch, STAGES.collect)


def _line(outcome: JobOutcome) -> str:
    line = {
        "index": outcome.index,
        "key": outcome.key,
        "job_id": outcome.job_id,
        "status": outcome.status,
        "outputs": dict(outcome.outputs),
        "timings": {stage: round(spent, 4) for stage, spent in outcome.timings.items()},
    }
    return json.dumps(line, ensure_ascii=False) + "\n"
