"""Measures a block of code from inside its process: CPU, time, memory, and what the server saw meanwhile."""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_PROC = Path("/proc/self")


class Meter:
    """A context manager around the work that counts; what was before it warmed up.

    Attributes:
        measured: ``cpu`` (user and system) and ``wall`` in seconds; ``before`` and ``peak``, the resident
            memory in bytes; and with a server ``told``, see :class:`benchmarks.serving.Told`.
    """

    def __init__(self) -> None:
        self.measured: dict[str, Any] = {}
        self._server = ""

    def against(self, url: str) -> Self:
        """Ask the server at this URL for what it sees meanwhile."""
        self._server = url
        return self

    def __enter__(self) -> Self:
        self._told()
        gc.collect()
        _forget_peak()
        self.measured["before"] = _memory("VmRSS")
        self._began = time.perf_counter(), _cpu()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wall, cpu = self._began
        self.measured |= {
            "cpu": _cpu() - cpu,
            "wall": time.perf_counter() - wall,
            "peak": _memory("VmHWM"),
            "told": self._told(),
        }

    def _told(self) -> dict[str, Any] | None:
        if not self._server:
            return None
        with urllib.request.urlopen(f"{self._server}/told", timeout=60) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _forget_peak() -> None:
    """Begin the peak of memory anew, where the system can."""
    if _PROC.exists():
        (_PROC / "clear_refs").write_text("5")


def _memory(field: str) -> int:
    """Bytes: ``VmRSS`` now, ``VmHWM`` at most; where the system tells neither, at most since the start."""
    if _PROC.exists():
        for line in (_PROC / "status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
