"""What holds for every test: nothing is left behind, and nothing of the caller's environment leaks in."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator

import pytest
from descriptors import open_files


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """After every test: no task, no socket, no file that was not there before."""
    before = open_files()
    yield
    left: dict[int, str] = {}
    for _ in range(50):
        gc.collect(1)
        left = {fd: target for fd, target in open_files().items() if before.get(fd) != target}
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if not left and not tasks:
            return
        await asyncio.sleep(0.01)
    assert not tasks, f"tasks left behind: {tasks}"
    assert not left, f"descriptors left open: {left}"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own key, host or proxy must not reach a test."""
    for name in list(os.environ):
        if name.startswith(("OPUS_", "OPERATIVUS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
