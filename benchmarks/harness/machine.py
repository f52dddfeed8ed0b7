"""What the figures were measured on: cores, loops, versions."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

Loop = Literal["asyncio", "uvloop", "fastest"]
Place = Literal["client", "server"]

ROOT = Path(__file__).parents[2]
"""The checkout, where ``python -m`` finds the benchmarks and opus_async."""
PACKAGES = ("aiohttp", "pydantic", "uvloop", "httpx", "opus-aaico", "locust")


def has(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def loop_factory(loop: Loop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop; None for asyncio's own. ``fastest`` is uvloop where it is installed."""
    if loop == "asyncio" or (loop == "fastest" and not has("uvloop")):
        return None
    return importlib.import_module("uvloop").new_event_loop  # type: ignore[no-any-return]


def cores() -> dict[Place, int]:
    """The core of the clients and the core of the servers; empty where processes cannot be pinned."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return {}
    first, second, *_ = sorted(os.sched_getaffinity(0))
    return {"server": first, "client": second}


def pin(process_id: int, place: Place) -> None:
    """Keep a process, and the threads that it will start, on its core; nothing where that cannot be."""
    core = cores().get(place)
    if core is not None:
        os.sched_setaffinity(process_id, {core})


@contextmanager
def bytecode() -> Iterator[None]:
    """Let processes that begin in the block keep what they compile, as they do unless told otherwise.

    Where they are told otherwise, each would compile everything it imports: they keep it in a folder that is
    gone afterwards.
    """
    if not sys.dont_write_bytecode:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}
        yield


def described() -> dict[str, Any]:
    """The machine and the versions, without anything that tells whose machine it is."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "pinned": ", ".join(f"{place} to core {core}" for place, core in cores().items()) or "nothing",
        "load before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "curl": _first_line("curl", "--version"),
        "valgrind": _first_line("valgrind", "--version"),
        **{package: _version(package) for package in PACKAGES},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _first_line(*command: str) -> str:
    if not shutil.which(command[0]):
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()[:2]).removeprefix(f"{command[0]}-").removeprefix(f"{command[0]} ")
