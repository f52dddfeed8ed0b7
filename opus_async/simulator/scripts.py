"""What a test says that workflows do: their answers, and the next jobs that fail, are delayed or paused.

What is said comes as JSON and is checked here: a test that waits for a command must not wait in vain.

What is not said follows from the configuration and the inputs, as ever. A script holds for jobs that are
started from then on.
"""

from __future__ import annotations

import difflib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from opus_async.simulator.run_plans import UNSAID, Outputs, Plan
from opus_async.simulator.runs import WAITING
from opus_async.simulator.seeded_random import hexadecimal
from opus_async.simulator.workflows import OutputVariable

if TYPE_CHECKING:
    from opus_async.simulator.runs import Job, JobBook
    from opus_async.simulator.workflows import Workflow

FOREVER = 1e9
"""Seconds that stand for ever: a JSON number, and longer than any test."""
MOST_TIMES = 100_000
"""Jobs that one call may be about."""

Ask = Callable[[int, str, dict[str, Any]], None]
"""Sends a question out: its number, the workflow's id, and the inputs by display name."""


class ScriptError(ValueError):
    """A script that cannot be followed; the message says what there is instead."""


@dataclass(slots=True)
class _Script:
    """What is said about one workflow: its answer, and what is left for its next jobs."""

    outputs: Outputs | None = None
    asks: bool = False
    failures: deque[tuple[int, str]] = field(default_factory=deque)
    delays: deque[float] = field(default_factory=deque)
    pauses: deque[float] = field(default_factory=deque)


class Scripts:
    """The scripts of one simulator.

    Args:
        find: Returns the workflow with an id or UUID, or None.
        known: Returns the ids of all workflows.
        jobs: Every job.
        clock: Returns epoch seconds.
        on_resumed: Called with a job whose run ends at another time now.
    """

    def __init__(
        self,
        find: Callable[[str], Workflow | None],
        known: Callable[[], Iterable[str]],
        jobs: JobBook,
        clock: Callable[[], float],
        on_resumed: Callable[[Job], None],
    ) -> None:
        self.ask: Ask | None = None
        """Sends questions out; None where nobody answers them."""
        self._find = find
        self._known = known
        self._jobs = jobs
        self._clock = clock
        self._on_resumed = on_resumed
        self._scripts: defaultdict[str, _Script] = defaultdict(_Script)
        self._asked: dict[int, tuple[Job, Callable[[], None]]] = {}
        self._numbers = count(1)

    def answer(self, workflow_id: object, outputs: object) -> None:
        """Let a workflow answer this from now on.

        Args:
            workflow_id: Its id or UUID.
            outputs: Display name or variable name -> value, all that there is; None computes them again.

        Raises:
            ScriptError: There is no such workflow, or it has no such output.
        """
        workflow = self._workflow(workflow_id)
        script = self._scripts[workflow.workflow_id]
        script.outputs = None if outputs is None else _outputs(workflow, outputs)
        script.asks = False

    def answer_when_asked(self, workflow_id: object) -> str:
        """Ask for the outputs of each run of a workflow from now on; returns the id to be asked with."""
        workflow = self._workflow(workflow_id)
        self._scripts[workflow.workflow_id].asks = True
        return workflow.workflow_id

    def fail_next(self, workflow_id: object, times: int, *, node: object, error: str) -> None:
        """Let the next runs of a workflow fail, at a node by its name or at the last but one."""
        workflow = self._workflow(workflow_id)
        if node is None:
            place = max(len(workflow.nodes) - 2, 0)
        elif isinstance(node, str) and node in workflow.nodes:
            place = workflow.nodes.index(node)
        else:
            raise ScriptError(_no_such(f"the workflow {workflow_id} has no node", node, workflow.nodes))
        self._scripts[workflow.workflow_id].failures.extend([(place, error)] * _checked(times))

    def delay_next(self, workflow_id: object, seconds: float, times: int) -> None:
        """Let the next runs of a workflow take so many seconds more."""
        script = self._scripts[self._workflow(workflow_id).workflow_id]
        script.delays.extend([_span(seconds)] * _checked(times))

    def pause_next(self, workflow_id: object, seconds: float | None, times: int) -> None:
        """Let the next runs of a workflow wait for a person, for so many seconds or, by None, for ever."""
        script = self._scripts[self._workflow(workflow_id).workflow_id]
        script.pauses.extend([FOREVER if seconds is None else _span(seconds)] * _checked(times))

    def resume(self, job_id: object) -> list[str]:
        """Let a job go on that waits for a person, or by None all that do; returns their ids.

        Raises:
            ScriptError: The job does not wait.
        """
        now = self._clock()
        waiting = [job for job in self._jobs if job_id in (None, job.job_id) and job.status(now) == WAITING]
        if job_id is not None and not waiting:
            job = self._jobs.find(job_id) if isinstance(job_id, str) else None
            what = "there is no such job" if job is None else f"it is {job.status(now)}"
            raise ScriptError(f"job {job_id} does not wait for a person: {what}")
        for job in waiting:
            if job.run is not None:
                job.run = job.run.resumed(now)
                self._on_resumed(job)
        return [job.job_id for job in waiting]

    def reset(self) -> None:
        """Forget all scripts; runs that were started keep what they were told."""
        self._scripts.clear()

    def plan_next(self, workflow: Workflow) -> Plan:
        """Return what is said about the run of a workflow that starts now, and use it up."""
        script = self._scripts.get(workflow.workflow_id)
        if script is None:
            return UNSAID
        place, error = script.failures.popleft() if script.failures else (None, "")
        return Plan(
            outputs=None if script.asks else script.outputs,
            asks=script.asks and self.ask is not None,
            failing_node=place,
            error=error,
            delay=script.delays.popleft() if script.delays else 0.0,
            pause=script.pauses.popleft() if script.pauses else None,
        )

    def ask_about(self, job: Job, then: Callable[[], None]) -> None:
        """Ask for the outputs of a run that has just started; it does not end before they are known.

        Args:
            job: The job, with its inputs.
            then: Called once they are.
        """
        if self.ask is None:
            return
        number = next(self._numbers)
        self._asked[number] = job, then
        names = job.workflow.by_name
        job.held = True
        self.ask(
            number,
            job.workflow.workflow_id,
            {names[variable].display_name: value for variable, value in job.inputs.items()},
        )

    def reply(self, number: int, outputs: Mapping[str, Any] | None, error: str = "") -> None:
        """Answer a question: with outputs, or by None with a failure of the run.

        Raises:
            ScriptError: The workflow has no such output; the question is still open.
        """
        job, then = self._asked[number]
        found = None if outputs is None else _outputs(job.workflow, outputs)
        del self._asked[number]
        job.settle(found, error)
        then()

    def _workflow(self, workflow_id: object) -> Workflow:
        workflow = self._find(workflow_id) if isinstance(workflow_id, str) else None
        if workflow is None:
            raise ScriptError(_no_such("there is no workflow", workflow_id, self._known()))
        return workflow


def _outputs(workflow: Workflow, given: object) -> Outputs:
    by_name = {output.display_name: output for output in workflow.outputs}
    by_name |= {output.variable_name: output for output in workflow.outputs}
    if not isinstance(given, Mapping):
        raise ScriptError(f"an answer is a mapping of outputs, or a function that returns one, not {given!r}")
    found: Outputs = {}
    for name, value in given.items():
        output = by_name.get(name)
        if output is None and workflow.outputs_invented:
            output = _invented(workflow, name)
        if output is None:
            shown = [each.display_name for each in workflow.outputs]
            raise ScriptError(_no_such(f"the workflow {workflow.workflow_id} has no output", name, shown))
        found[output.variable_name] = {
            "value": value,
            "type": output.type,
            "displayName": output.display_name,
        }
    return found


def _invented(workflow: Workflow, name: str) -> OutputVariable:
    """Return an output that the definition of a workflow does not tell, as it may have any."""
    variable = "workflow_output_" + hexadecimal(9, workflow.workflow_id, "output", name)
    return OutputVariable(variable, name, "str", "digest")


def _no_such(what: str, name: object, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    instead = f": did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
    return f"{what} {name!r}{instead}"


def _checked(times: int) -> int:
    if type(times) is not int or not 1 <= times <= MOST_TIMES:
        raise ScriptError(f"times must lie between 1 and {MOST_TIMES:,}, not {times!r}")
    return times


def _span(seconds: float) -> float:
    if type(seconds) not in {int, float} or not 0 <= seconds <= FOREVER:
        raise ScriptError(f"seconds must be 0 or more, not {seconds!r}")
    return seconds
