"""A process on the clients' core, and what it used by the account of the operating system."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.harness import machine

_COUNTED = re.compile(rb"I +refs: +([\d,]+)")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process used.

    Attributes:
        cpu: Seconds, user and system.
        wall: Seconds.
        peak: Bytes of resident memory at most.
        output: What it wrote to standard output.
    """

    cpu: float
    wall: float
    peak: int
    output: bytes


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed; with what it wrote to standard error.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=machine.ROOT, stdout=output, stderr=errors, env={**os.environ, **(env or {})}
        )
        machine.pin(process.pid, "client")
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {errors.read().decode()}")
        return Usage(
            cpu=used.ru_utime + used.ru_stime,
            wall=wall,
            peak=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            output=output.read(),
        )


def instructions(command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Count the instructions of a command, those of the kernel left out, by valgrind.

    Raises:
        RuntimeError: There is no valgrind, or the command failed.
    """
    if not shutil.which("valgrind"):
        raise RuntimeError("--instructions needs valgrind")
    with tempfile.NamedTemporaryFile() as log:
        counting = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        run([*counting, f"--log-file={log.name}", *command], env)
        found = _COUNTED.search(log.read())
    if found is None:
        raise RuntimeError("valgrind told no count of instructions")
    return int(found[1].replace(b",", b""))
