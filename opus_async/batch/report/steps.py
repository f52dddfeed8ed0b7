"""What to do next, in sentences and commands to be copied."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from opus_async.batch.outputs.next_steps import Action, NextStep, next_steps
from opus_async.batch.report.report_data import ReportData
from opus_async.text import counted, plural

_PROGRAM = "opus-async"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        why: What it is for.
        commands: To be typed as they are.
    """

    why: str
    commands: tuple[str, ...] = ()


def steps(data: ReportData) -> list[Step]:
    """What to do next, the most urgent first; the last exports what is there."""
    last = data.sessions[-1].view if data.sessions else None
    found = next_steps(data.counts, last, data.process, unknown_started=data.unknown_started)
    return [_told(step, data) for step in found]


def _told(step: NextStep, data: ReportData) -> Step:  # noqa: PLR0911 - a table
    rows = counted(step.rows, "row")
    match step.action:
        case Action.ACT_IN_PLATFORM:
            after = "the batch notices by itself" if data.running else "resume"
            waiting = f"{rows} {plural(step.rows, 'waits', 'wait')}"
            return Step(
                f"{waiting} for a person to act in the platform. Once that is done, {after}. The status "
                "names the rows, and how they are answered from a terminal where that is possible.",
                (_command(data, "status"),),
            )
        case Action.FOLLOW:
            return Step(
                "Follow it from a terminal, or make this report again.",
                (_command(data, "status"), _command(data, "report")),
            )
        case Action.TAKE_OVER:
            return Step("If the process that its lock names is gone, go on.", (_command(data, "resume"),))
        case Action.CHECK_SETUP:
            return Step(
                "Find out what is wrong with the key, a permission or the network.", (f"{_PROGRAM} doctor",)
            )
        case Action.RESUME:
            return Step(
                f"Go on with the {rows} that {plural(step.rows, 'is', 'are')} left. What completed is not "
                "run again, and what was ordered is looked up before anything else.",
                (_command(data, "resume"),),
            )
        case Action.LOOK_AGAIN:
            return Step(
                f"Look once more what became of the {rows} whose end is unknown. This orders nothing.",
                (_command(data, "resume"),),
            )
        case Action.DECIDE:
            return _decide(step, data)
        case Action.RETRY:
            return _retry(step, data)
        case Action.EXPORT:
            return Step(
                "Export the results: inputs and outputs side by side, in the order of the manifest.",
                (_command(data, "export", "--format", "xlsx"),),
            )


def _decide(step: NextStep, data: ReportData) -> Step:
    answers = ("done", "failed", "retry") if step.started < step.rows else ("done",)
    started = (
        f"The jobs of {step.started:,} of them were started: as failed and as retry these are refused. "
        if step.started
        else ""
    )
    return Step(
        f"If the {counted(step.rows, 'row')} that {plural(step.rows, 'is', 'are')} unknown stay so, find "
        "their jobs in the platform by the ids above and decide: done if they completed there, failed if "
        f"they did not, retry if they did not and the next resume shall run them as new jobs. {started}As "
        "they stand, the commands list the unknown rows and decide nothing: add the keys of rows, or --all.",
        tuple(_command(data, "resolve", "--as", answer) for answer in answers),
    )


def _retry(step: NextStep, data: ReportData) -> Step:
    cancelled = f"{plural(data.counts.cancelled, 'was', 'were')} cancelled"
    what = "failed or were cancelled"
    only: tuple[str, ...] = ()
    if len(step.states) == 1:
        (state,) = step.states
        what, only = cancelled if state == "cancelled" else state, ("--only", state)
    return Step(
        f"Once the causes above are dealt with, run the {counted(step.rows, 'row')} that {what} once more. "
        "Their old jobs are asked first.",
        (_command(data, "retry", *only),),
    )


def _command(data: ReportData, verb: str, *options: str) -> str:
    return shlex.join((_PROGRAM, "batch", verb, str(data.directory.absolute()), *options))
