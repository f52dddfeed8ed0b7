"""The state of a simulator, which both of its servers share: settings, clock, jobs, uploads, counters."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opus_async.simulator.builtin import BUILTIN
from opus_async.simulator.callbacks import CallbackSender
from opus_async.simulator.catalogue import Catalogue
from opus_async.simulator.faults import PROFILES, FaultSource
from opus_async.simulator.runs import JobBook
from opus_async.simulator.scripts import Scripts
from opus_async.simulator.seeded_random import hexadecimal
from opus_async.simulator.sigv4 import Credentials
from opus_async.simulator.uploads import UploadSlots
from opus_async.simulator.workflow_file import load_workflows

if TYPE_CHECKING:
    from collections.abc import Callable

    from opus_async.simulator.config import SimulatorConfig


@dataclass(slots=True)
class SimulatorState:
    """Everything a simulator knows.

    Attributes:
        config: What it was started with.
        clock: Returns epoch seconds that never run backwards.
        workflows: The workflows it serves.
        jobs: Every job.
        scripts: What a test says that workflows do.
        uploads: Every upload slot.
        faults: Decides what goes wrong.
        started_at: Epoch seconds.
        requests: Requests per operation.
        injected: Faults per `operation.kind`.
        answers: Answers per HTTP status.
        leaks: Where a credential came to storage: header name and operation, never the value.
        strange_fields: `operation.field` of request fields that the documentation does not name.
        callbacks: What became of callbacks, as `CallbackSender` counts it.
        callback_answers: Answers to callbacks per HTTP status.
        callback_sender: Sends a POST to the callbackUrl of a run.
    """

    config: SimulatorConfig
    clock: Callable[[], float]
    workflows: Catalogue
    jobs: JobBook
    uploads: UploadSlots
    faults: FaultSource
    started_at: float
    requests: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    leaks: list[dict[str, str]] = field(default_factory=list)
    strange_fields: Counter[str] = field(default_factory=Counter)
    callbacks: Counter[str] = field(default_factory=Counter)
    callback_answers: Counter[int] = field(default_factory=Counter)
    callback_sender: CallbackSender = field(init=False)
    scripts: Scripts = field(init=False)

    def __post_init__(self) -> None:
        """Make the scripts, and the sender of callbacks, which counts here and reads the results of jobs."""
        self.callback_sender = CallbackSender(
            self.config,
            self.clock,
            self.uploads.behind,
            counts=self.callbacks,
            answers=self.callback_answers,
        )
        self.scripts = Scripts(
            self.workflows.find,
            lambda: [each.workflow_id for each in self.workflows],
            self.jobs,
            self.clock,
            on_resumed=self.callback_sender.expect,
        )

    @classmethod
    def create(cls, config: SimulatorConfig, clock: Callable[[], float], storage_host: str) -> SimulatorState:
        """Make the state of a new simulator.

        Args:
            config: What it is started with.
            clock: Returns epoch seconds.
            storage_host: Host and port of its storage.

        Raises:
            WorkflowFileError: If a workflow file cannot be used.
        """
        now = clock()
        custom = [workflow for path in config.workflow_files for workflow in load_workflows(path)]
        return cls(
            config=config,
            clock=clock,
            workflows=Catalogue([*BUILTIN, *custom]),
            jobs=JobBook(config),
            uploads=UploadSlots(config.seed, storage_host, _credentials(config.seed)),
            faults=FaultSource(PROFILES[config.faults], config.seed, now),
            started_at=now,
        )


def steady_clock() -> Callable[[], float]:
    """Return a clock of epoch seconds that never runs backwards, whatever happens to the system's."""
    anchor = time.time() - time.monotonic()
    return lambda: anchor + time.monotonic()


def _credentials(seed: int) -> Credentials:
    return Credentials(
        access_key="SIM" + hexadecimal(17, seed, "access key").upper(),
        secret_key=hexadecimal(40, seed, "secret key"),
        # Signs that have to be percent-encoded, as those of temporary AWS credentials do.
        session_token="/".join(hexadecimal(40, seed, "token", part) + "+" for part in range(4)) + "==",
    )
