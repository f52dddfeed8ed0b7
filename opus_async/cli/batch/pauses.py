"""Rows of a batch that wait for a person, while it runs: they are told, and answered by ``--on-pause``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opus_async.cli import on_pause
from opus_async.cli.errors import WrongUse
from opus_async.cli.on_pause import PauseOptions
from opus_async.cli.program import command_line
from opus_async.cli.target import Target

if TYPE_CHECKING:
    from pathlib import Path

    from opus_async.jobs.pausing import Answer, PausedJob

_FIRST = 5
"""Paused rows that are told one by one; of more than that, how many there are by now is told now and then."""


class PauseTeller:
    """Tells of rows that wait for a person, each with the command that answers it; not of all, if many do.

    Args:
        say: Told in a sentence.
        target: The platform.
        directory: Of the batch.
    """

    def __init__(self, say: Callable[[str], None], target: Target, directory: Path) -> None:
        self._say = say
        self._target = target
        self._directory = directory
        self._number = 0

    def __call__(self, job: PausedJob) -> None:
        """Tell of one."""
        self._number += 1
        if self._number <= _FIRST:
            answer = self._target.answer(job.alias, job.status.raw)
            how = f"answer it with: {answer}" if answer else f"act on it in {self._target.entry.title}"
            run = f", run {job.alias}" if job.alias else ""
            self._say(f"row {job.key} waits for a person ({job.status.raw}, job {job.remote_id}{run}): {how}")
        elif str(self._number).strip("0") == "1":
            status = command_line("batch", "status", str(self._directory))
            self._say(f"{self._number:,} rows have come to wait for a person by now; the next ones: {status}")


def answering(options: PauseOptions, target: Target, say: Callable[[str], None]) -> Answer | None:
    """What answers paused jobs of a batch; None where nothing does. Made inside of an event loop.

    Args:
        options: What ``--on-pause`` says.
        target: The platform, with its workflow.
        say: Told in a sentence when a job stays paused.

    Raises:
        WrongUse: The command cannot be one, or the platform has no call that answers a paused job.
    """
    if options.on_pause is None:
        return None
    entry = target.entry
    if not entry.answers_pauses:
        raise WrongUse(f"--on-pause: {entry.title} has no call that answers a job: people act on it there")
    words = on_pause.words_of(options.on_pause)
    from opus_async.cli.pause_command import PauseCommand

    command = PauseCommand(words, timeout=options.on_pause_timeout, say=say)

    async def answer(job: PausedJob) -> str | None:
        return await command.answer(entry.described_pause(job, target.workflow_id or ""))

    return answer
