"""Batches of tests of the command line: manifests, and processes at work on them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from command_line import SECONDS, command, environment

from opus_async.batch.ledger.reader import LedgerReader

DOCUMENT, TEXT = "D0cumentWorkfl0w", "T3xtOnlyWorkfl0w"


def notes(home: Path, count: int) -> str:
    """A manifest of documents that differ."""
    (home / "docs").mkdir()
    for number in range(count):
        (home / "docs" / f"note-{number}.txt").write_text(f"note {number}\n" * (number + 1))
    rows = "".join(f"docs/note-{number}.txt,0.2\n" for number in range(count))
    (home / "notes.csv").write_text("Document,Threshold\n" + rows)
    return "notes.csv"


def texts(home: Path, count: int, *, name: str = "texts.csv", keys: bool = False) -> str:
    """A manifest of texts that differ."""
    rows = [f"k{number},text {number}" if keys else f"text {number}" for number in range(count)]
    (home / name).write_text("\n".join(["key,Text" if keys else "Text", *rows]) + "\n")
    return name


def beginning(
    home: Path, manifest: str, workflow: str, *words: object, env: dict[str, str]
) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that runs a batch in ``b``; it is killed in the end, if it is still there."""
    return batch(home, "run", manifest, "--workflow", workflow, "--out", "b", *words, env=env)


def batch(home: Path, *words: object, env: dict[str, str]) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process of any verb of ``batch``; it is killed in the end, if it is still there."""
    return running(home, "batch", *words, env=env)


@contextmanager
def running(home: Path, *words: object, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process of any command; it is killed in the end, if it is still there."""
    process = subprocess.Popen(
        command(*words),
        cwd=home,
        env=environment(**env),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, process.stderr, process.stdout:
        try:
            yield process
        finally:
            process.kill()
            process.wait(SECONDS)


def heard(process: subprocess.Popen[str], text: str) -> str:
    """Read stderr until it says this; gives all lines until then."""
    said = ""
    while text not in said:
        line = process.stderr.readline()
        assert line, f"it ended before it said {text!r}: {said}"
        said += line
    return said


def going_on(process: subprocess.Popen[str], home: Path) -> None:
    """Wait until a row runs."""
    heard(process, " done, ")
    with LedgerReader(home / "b") as ledger:
        while not ledger.counts().running:
            assert process.poll() is None
            time.sleep(0.01)
