"""A simulator in a process of its own whose workflows do what a test says.

Only the standard library is needed on this side, as in ``process``.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any, BinaryIO

from opus_async.simulator.config import SimulatorConfig
from opus_async.simulator.process import SimulatorProcess

log = logging.getLogger("opus_async.simulator")

ANSWERERS = 8
"""Callables that run at once, each in a thread."""
_TIMEOUT = 20.0
"""Seconds for a command, which takes a thousandth of one; longer, and the simulator is gone."""

Answer = Mapping[str, Any] | Callable[[dict[str, Any]], Any]


class ScriptedSimulator(SimulatorProcess):
    """An Opus in a process of its own, whose workflows answer, fail, take time and pause as a test says.

        with ScriptedSimulator() as simulator:
            simulator.answer("D0cumentWorkfl0w", {"Verdict": "PASS"})
            simulator.fail_next("D0cumentWorkfl0w")

    What is said holds for jobs that are started from then on, whichever way: ``run``, ``run_many``, a batch,
    or another program. It is sent through a pipe that nobody else holds, and known when the call returns. May
    be called from any thread, and inside an event loop: each call takes about a millisecond.

    Args:
        config: How it behaves where nothing is said; the default configuration if None.

    Attributes:
        errors: What callables raised, in their order; their jobs failed. The pytest plugin raises the first
            one after the test.
    """

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        super().__init__(config, options=("--scripted",))
        self.errors: list[BaseException] = []
        self._callables: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self._pending: dict[int, Future[Any]] = {}
        self._numbers = count(1)
        self._writing = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def answer(self, workflow_id: str, outputs: Answer | None) -> None:
        """Let a workflow answer this from now on.

        Args:
            workflow_id: Its id or UUID.
            outputs: Display name or variable name -> JSON value, all the outputs that there are. Or a
                function, also a coroutine function, that is called in a thread of its own with the inputs of
                each job (display name -> value, files as their ``fileUrl``) and returns such a mapping; the
                job runs until it has, and fails with what it raises. Or None, to compute them again.

        Raises:
            ValueError: No such workflow, no such output, or a value that JSON cannot say.
        """
        if callable(outputs):
            self._callables[workflow_id] = outputs  # a job may start before the next line has returned
            self._callables[self._command("ask", workflow=workflow_id)] = outputs
        else:
            self._command("answer", workflow=workflow_id, outputs=outputs)

    def fail_next(
        self, workflow_id: str, times: int = 1, *, node: str | None = None, error: str = ""
    ) -> None:
        """Let the next jobs of a workflow end as FAILED.

        Args:
            workflow_id: Its id or UUID.
            times: How many jobs.
            node: The name of the node that fails; the last but one by default.
            error: What the audit says of it.

        Raises:
            ValueError: No such workflow or node.
        """
        self._command("fail", workflow=workflow_id, times=times, node=node, error=error)

    def delay_next(self, workflow_id: str, seconds: float, times: int = 1) -> None:
        """Let the next jobs of a workflow run for so many seconds more than they would.

        Raises:
            ValueError: No such workflow.
        """
        self._command("delay", workflow=workflow_id, seconds=seconds, times=times)

    def pause_next(self, workflow_id: str, seconds: float | None = None, times: int = 1) -> None:
        """Let the next jobs of a workflow wait for a person (WAITING), near their end.

        Args:
            workflow_id: Its id or UUID.
            seconds: How long; None for ever.
            times: How many jobs.

        Raises:
            ValueError: No such workflow.
        """
        self._command("pause", workflow=workflow_id, seconds=seconds, times=times)

    def resume(self, job_id: str | None = None) -> list[str]:
        """Let a person act: a job that waits for one goes on.

        Args:
            job_id: The job; None for all that wait now.

        Returns:
            The ids of the jobs that go on.

        Raises:
            ValueError: The job does not wait for a person.
        """
        resumed: list[str] = self._command("resume", job=job_id)
        return resumed

    def reset(self) -> None:
        """Forget all that was said; jobs that were started keep it."""
        self._command("reset")
        self._callables.clear()
        self.errors.clear()

    def start(self) -> None:
        """Start the process, as `SimulatorProcess.start` does, and listen to it."""
        super().start()
        if self._process is not None and self._process.stdout is not None:
            self._threads = ThreadPoolExecutor(ANSWERERS, "opus_simulator answer")
            said = os.fdopen(os.dup(self._process.stdout.fileno()), "rb")
            threading.Thread(
                target=self._listen, args=(said, self._threads), name="opus_simulator", daemon=True
            ).start()

    def stop(self) -> None:
        """End the process; does nothing if it is not running."""
        super().stop()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    def _command(self, what: str, **given: Any) -> Any:
        """Send a command and wait until it was obeyed; returns what comes back.

        Raises:
            ValueError: It cannot be.
            RuntimeError: The simulator is not running.
        """
        number = next(self._numbers)
        line = _json({"id": number, "do": what, **given})
        done = self._pending[number] = Future[Any]()
        try:
            self._write(line)
            return done.result(_TIMEOUT)
        finally:
            self._pending.pop(number, None)

    def _write(self, line: bytes) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise RuntimeError("the simulator is not running: call start() or use it as a context manager")
        try:
            with self._writing:
                process.stdin.write(line)
                process.stdin.flush()
        except (OSError, ValueError):
            raise RuntimeError("the simulator has ended") from None

    def _listen(self, said: BinaryIO, threads: ThreadPoolExecutor) -> None:
        """Read what the simulator says until it ends."""
        with said:
            for line in said:
                message = json.loads(line)
                if "ask" in message:
                    with suppress(RuntimeError):  # it is being stopped
                        threads.submit(self._reply, message)
                elif (done := self._pending.get(message["id"])) is not None:
                    if "error" in message:
                        done.set_exception(ValueError(message["error"]))
                    else:
                        done.set_result(message["value"])
        for done in list(self._pending.values()):
            if not done.done():
                done.set_exception(RuntimeError("the simulator has ended"))

    def _reply(self, message: Mapping[str, Any]) -> None:
        """Ask the callable of a workflow, and hand on what it says."""
        workflow_id, number = message["workflow"], message["ask"]
        try:
            outputs = self._called(workflow_id, message["inputs"])
            self._command("reply", number=number, outputs=outputs, error="")
        except Exception as error:
            self.errors.append(error)
            log.exception("the answer of workflow %s raised", workflow_id)
            with suppress(RuntimeError):
                self._command("reply", number=number, outputs=None, error=f"{type(error).__name__}: {error}")

    def _called(self, workflow_id: str, inputs: dict[str, Any]) -> Any:
        outputs = self._callables[workflow_id](inputs)
        if inspect.iscoroutine(outputs):
            outputs = asyncio.run(outputs)
        if not isinstance(outputs, Mapping):
            kind = type(outputs).__name__
            raise TypeError(f"the answer of workflow {workflow_id} is a {kind}, not a mapping of outputs")
        return outputs


def _json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, default=_unsayable, allow_nan=False).encode() + b"\n"


def _unsayable(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"an output holds a {type(value).__name__}, which JSON cannot say: give a text, say")
