"""Rows of a batch that wait for a person, while it runs: they are told, and answered by ``--on-pause``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opus_async.cli import on_pause
from opus_async.cli.errors import WrongUse
from opus_async.cli.on_pause import PauseOptions
from opus_async.cli.program import command_line
from opus_async.cli.target import Target

if TYPE_CHECKING:
    from pathlib import Path

    from opus_async.cli.target import BatchClient
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


def checked_command(options: PauseOptions, target: Target) -> list[str]:
    """The words of ``--on-pause``; none where it was not given.

    Raises:
        WrongUse: It cannot be a command, or the platform has no call that answers a paused job.
    """
    if options.on_pause is None:
        return []
    if not target.entry.answers_pauses:
        title = target.entry.title
        raise WrongUse(f"--on-pause: {title} has no call that answers a job: people act on it there")
    return on_pause.words_of(options.on_pause)


def answering(
    client: BatchClient,
    target: Target,
    words: Sequence[str],
    options: PauseOptions,
    say: Callable[[str], None],
) -> Answer | None:
    """What answers the paused jobs of a batch; None where nothing does. Made inside of an event loop.

    Args:
        client: Of the platform.
        target: The platform, with its workflow.
        words: Of the command; none for none.
        options: How long it may take.
        say: Told in a sentence when a job stays paused.
    """
    if not words:
        return None
    from opus_async.cli.pause_command import PauseCommand

    command = PauseCommand(words, timeout=options.on_pause_timeout, say=say)
    return target.entry.answering(client, target.workflow_id or "", command.answer)
