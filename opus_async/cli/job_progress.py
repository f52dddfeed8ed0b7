"""The progress of one job on stderr: its stages, its status, and requests that are sent again."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from opus_async.cli import platforms
from opus_async.cli.options import CommandOptions
from opus_async.cli.streams import controls
from opus_async.cli.target import Target
from opus_async.events import Event, JobStageChanged, JobStatusSeen, RequestRetried, SchemaWarning
from opus_async.stages import DONE

TICK = 0.25
"""Seconds between two drawings of the current line on a terminal."""
LINE_EVERY = 30.0
"""Seconds between plain lines where nothing changes: a log shows that the job runs, and stays short."""
_PARKED = "WAITING"
_ERASE = "\r\x1b[K"


class JobProgress:
    """A listener that prints the events of one job, and a display of what is waited for now.

    On a terminal the current stage is a line that is redrawn, below those of earlier stages. Elsewhere each
    status is a plain line, and one is printed now and then while nothing changes.

    Args:
        target: The platform.
        stream: Where it is printed; None for stderr.
        live: Whether a line may be redrawn.
        job_id: The id of a job that exists already; None for one that is yet to be made.
        clock: Gives the time in seconds, from any beginning.

    Attributes:
        period: Seconds between drawings.
        job_id: The job's id; None before there is a job.
        stage: The current stage; empty before the first.
        status: The last status seen; None before one was.
        started: Whether the order to start the job may have been sent.
    """

    def __init__(
        self,
        target: Target,
        stream: TextIO | None = None,
        *,
        live: bool = False,
        job_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.period = TICK if live else LINE_EVERY
        self.job_id = job_id
        self.stage = ""
        self.status: str | None = None
        self.started = job_id is not None
        stages = target.entry.stages
        self._running = {stages.start, stages.watch, stages.collect}
        self._collecting = stages.collect
        self._target = target
        self._stream = stream or sys.stderr
        self._live = live
        self._clock = clock
        self._began = clock()
        self._what = ""
        self._ended = False
        self._drawn = False
        self._told_id: str | None = None

    def __call__(self, event: Event) -> None:
        """Print one event."""
        if isinstance(event, JobStageChanged):
            new_id = event.job_id if event.job_id != self._told_id else None
            self.job_id = self._told_id = event.job_id
            if event.stage == DONE:
                self.end(event.status)
            else:
                self.enter(event.stage, f"job {new_id}" if new_id else "")
        elif isinstance(event, JobStatusSeen):
            self.see(event.status)
        elif isinstance(event, RequestRetried):
            self._say(self.stage, f"{event.operation} again in {event.wait:.1f} s ({event.reason})")
        elif isinstance(event, SchemaWarning):
            self.close()
            self._write(f"opus-async: warning: {event.problem}\n")

    def enter(self, stage: str, what: str = "") -> None:
        """Print a new stage, with what happens in it."""
        self.stage, self._what = stage, what
        self.started = self.started or stage in self._running
        self._ended = self._ended or stage == self._collecting
        self._say(stage, what)

    def see(self, status: str) -> None:
        """Print a status, unless it is terminal: then the next stage follows at once."""
        from opus_async.models import JobStatus

        self.status = status
        if not JobStatus(status).is_terminal:
            self._what = (
                f"{status} for a person to act in {self._target.entry.title}" if status == _PARKED else status
            )
            if not self._live:
                self._say(self.stage, self._what)

    def end(self, status: str | None) -> None:
        """Print the end, if the job was started; ``status`` is None where no terminal one is known."""
        self.stage, self._what = DONE, ""
        self._ended = self._ended or status is not None
        if self.started:
            self._say(DONE, status or "no outcome")

    def note(self, text: str) -> None:
        """Print a sentence beside the progress."""
        self._say(self.stage, text)

    def remaining(self) -> str:
        """What becomes of the job if we stop waiting now, in a sentence."""
        if not self.started or self.job_id is None:
            return "no job was started."
        if self._ended:
            return f"job {self.job_id} has ended; to wait for it again prints what it gave."
        bill = f", and is {self._target.entry.billed}" if self._target.entry.billed else ""
        return (
            f"job {self.job_id} goes on remotely{bill}. Do not run the same inputs again before you know how "
            "it ended."
        )

    def open(self) -> None:
        """Do nothing: no stage has begun."""

    def draw(self) -> None:
        """Print the current stage; on a terminal on the line that is redrawn."""
        if self.stage in {"", DONE}:
            return
        if self._live:
            self._erase()
            self._write(self._fitting(self._line(self.stage, self._what)))
            self._drawn = True
        else:
            self._say(self.stage, self._what)

    def close(self) -> None:
        """Erase the line that is redrawn."""
        if self._drawn:
            self._erase()
            self._drawn = False

    def _say(self, stage: str, what: str) -> None:
        self.close()
        self._write(self._line(stage, what) + "\n")

    def _line(self, stage: str, what: str) -> str:
        return f"{self._clock() - self._began:7.1f} s  {stage and f'{stage:<10}'}{what}".rstrip()

    @staticmethod
    def _fitting(line: str) -> str:
        """A line that is redrawn, cut to the terminal; one that stays is never cut: it may name the job."""
        room = max(shutil.get_terminal_size().columns - 1, 1)
        return f"{line[: room - 1]}…" if len(line) > room else line

    def _erase(self) -> None:
        with suppress(OSError):
            controls(self._stream).write(_ERASE)
            self._stream.flush()

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a reader that has gone is no reason to stop a job
            self._stream.write(text)
            self._stream.flush()


def progress_for(options: CommandOptions, *, job_id: str | None = None) -> JobProgress:
    """Make the progress that suits stderr; with ``--debug`` a log goes there, so no line is redrawn."""
    import os

    from opus_async.progress.display import is_live

    live = is_live(sys.stderr, os.environ) and not options.debug
    return JobProgress(platforms.target_of(options), live=live, job_id=job_id)
