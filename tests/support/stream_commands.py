"""Processes of the command line whose streams are closed, full, without a reader or without letters.

A program of its own imports the command line once; each call is a fork of it, with streams made as an
interpreter makes them when it starts, and with the interpreter's own end: flushing what is left decides about
the exit code, too.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from forking import ForkServer

FILE, CLOSED, FULL, GONE = "file", "closed", "full", "gone"
"""What a stream leads to: a file, nothing (``>&-``), a full disk, a pipe that nobody reads."""
HEAVY = (
    "opus_async.batch.api",
    "opus_async.batch.outputs.export",
    "opus_async.batch.outputs.status",
    "opus_async.batch.report.page",
    "opus_async.cli.batch.session",
    "opus_async.cli.demo.running",
    "opus_async.cli.doctor.network_checks",
    "opus_async.progress.live",
    "opus_async.opus.client",
    "opus_async.simulator.server",
)
"""What commands import when they need it: imported once here."""


@dataclass(frozen=True)
class Call:
    """One process.

    Attributes:
        words: Of the command line.
        out: What stdout leads to.
        err: What stderr leads to.
        env: Of the process, whole.
    """

    words: Sequence[str]
    out: str = FILE
    err: str = FILE
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what reached its streams that lead to files."""

    code: int
    out: bytes
    err: bytes


class StreamCommands(ForkServer):
    """Runs the command line in forks of one process.

    Args:
        folder: Where files for streams are made.
        env: The environment of the first process.
    """

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        super().__init__(__file__, env=env)
        self._folder = folder
        self._number = 0

    def run(self, calls: Sequence[Call], *, cwd: Path, seconds: float = 100) -> list[Ended]:
        """Run processes at once; after ``seconds`` all are killed."""
        asked, files = [], []
        for call in calls:
            self._number += 1
            paths = [self._folder / f"{self._number}.{name}" for name in ("out", "err")]
            files.append(paths)
            asked.append(
                {
                    "words": [str(word) for word in call.words],
                    "streams": [call.out, call.err],
                    "files": [str(path) for path in paths],
                    "env": call.env,
                    "cwd": str(cwd),
                }
            )
        codes = self.ask(asked, seconds=seconds)
        assert codes is not None, f"no end within {seconds} s: {[call.words for call in calls]}"
        return [
            Ended(code, *(path.read_bytes() if path.exists() else b"" for path in paths))
            for code, paths in zip(codes, files, strict=True)
        ]


def _serve(main: Any) -> None:
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        children = []
        for asked in json.loads(line):
            child = os.fork()
            if child == 0:
                _become(main, asked)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


def _become(main: Any, asked: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    named = asked["env"].get("PYTHONIOENCODING", "utf-8")
    for number, (kind, path) in enumerate(zip(asked["streams"], asked["files"], strict=True), 1):
        stream = None
        if kind == CLOSED:
            os.close(number)
        else:
            opened = _open(kind, path)
            os.dup2(opened, number)
            os.close(opened)
            stream = open(number, "w", encoding=named, closefd=False)  # noqa: SIM115 - the interpreter's
            stream.reconfigure(line_buffering=number == 2)
        setattr(sys, ("stdout", "stderr")[number - 1], stream)
    sys.argv = ["opus_async", *asked["words"]]
    sys.exit(main())


def _open(kind: str, path: str) -> int:
    if kind == FULL:
        return os.open("/dev/full", os.O_WRONLY)
    if kind == GONE:
        reader, writer = os.pipe()
        os.close(reader)
        return writer
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


if __name__ == "__main__":
    from opus_async.cli import main

    _serve(main)
