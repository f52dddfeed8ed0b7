"""The last resort for the id of a job that is paid for: a small file, where stderr did not take the id."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from opus_async.cli.streams import stderr_is_lost
from opus_async.cli.target import Target
from opus_async.events import Event, JobStageChanged
from opus_async.filenames import safe_text


class JobNote:
    """A listener that writes ``opus-async-job-ID.txt`` before the order of a job whose id nobody was told.

    It comes behind the listener that prints the id. The file lies in the current folder, or where that takes
    none, in the system's folder for temporary files. Its name tells the id, so that a full disk keeps
    it, too.

    Args:
        target: The platform, for the command in the file.

    Attributes:
        path: The file; None where none was needed, or none could be made.
    """

    def __init__(self, target: Target) -> None:
        self.path: Path | None = None
        self._target = target
        self._told: str | None = None

    def __call__(self, event: Event) -> None:
        """Write the file if this event begins the order of a job, and stderr is lost."""
        start = self._target.entry.stages.start
        if not isinstance(event, JobStageChanged) or event.stage != start or event.job_id is None:
            return
        if event.job_id != self._told and stderr_is_lost():
            self.remove()
            self._told = event.job_id
            self.path = self._written(event.job_id)

    def remove(self) -> None:
        """Delete the file: stdout has told the id."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()
        self.path = None

    def _written(self, job_id: str) -> Path | None:
        bill = f", and is {self._target.entry.billed}" if self._target.entry.billed else ""
        text = f"Job {job_id} was started{bill}. stderr could not be written.\n"
        if wait := self._target.wait(job_id):
            text += f"How it ended, and what it gave: {wait}\n"
        for folder in _folders():
            path = folder / f"opus-async-job-{safe_text(job_id)}.txt"
            with suppress(OSError):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with suppress(OSError), os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                return path
        return None


def _folders() -> Iterator[Path]:
    with suppress(OSError):  # it was deleted
        yield Path.cwd()
    with suppress(OSError):
        yield Path(tempfile.gettempdir())
