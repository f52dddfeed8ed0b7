"""What the tests of the client share: quick settings, documents, and a look at what is left open."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import time
from collections.abc import Callable
from typing import Any

from descriptors import open_files

from opus_async import Limits, RetryPolicy, Timeouts

ALL_TYPES = "B9uGJfZ3CFwOdMKH"
DOCUMENT = "D0cumentWorkfl0w"
TEXT = "T3xtOnlyWorkfl0w"
MODERN = "M0dernTypesWrkfl"
TEXT_INPUT = "workflow_input_t3xtinput"
KEY = "_" + "5e" * 48

QUICK = RetryPolicy(base=0.02, cap=0.2, max_elapsed=20, execute_grace=0.3)
"""Waits that a test can afford; the number of attempts and looks is the default one."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def document(number: int, lines: int = 3) -> bytes:
    return "".join(f"Document {number}, line {line}\n" for line in range(lines)).encode()


def text_payload(text: str) -> dict[str, dict[str, Any]]:
    return {TEXT_INPUT: {"value": text, "type": "str", "displayName": "Text"}}


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait, in short steps, until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {seconds} s: {condition}"
        await asyncio.sleep(0.002)


class Remains:
    """The tasks and descriptors there were; later: that there are no more of them."""

    def __init__(self) -> None:
        self._descriptors = open_files()
        self._tasks = asyncio.all_tasks()

    async def none(self, seconds: float = 2.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            tasks = {task for task in asyncio.all_tasks() - self._tasks if not task.done()}
            opened = {fd: what for fd, what in open_files().items() if self._descriptors.get(fd) != what}
            if not tasks and not opened:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"left behind: tasks {tasks}, descriptors {opened}")
            gc.collect(1)
            await asyncio.sleep(0.001)


def settings(**changes: Any) -> dict[str, Any]:
    """Keyword arguments of a client; `limits`, `timeouts` and `retry` as their values or as dicts."""
    made: dict[str, Any] = {"retry": QUICK}
    for name, value in changes.items():
        if isinstance(value, dict):
            kind = {"limits": Limits, "timeouts": Timeouts, "retry": RetryPolicy}[name]
            known = QUICK.model_dump() if name == "retry" else {}
            made[name] = kind(**{**known, **value})
        else:
            made[name] = value
    return made
