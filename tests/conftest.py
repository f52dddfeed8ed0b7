"""What holds for every test: nothing is left behind, and nothing of the caller's environment leaks in."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from descriptors import open_files
from hypothesis import settings

# A limit of time for each example makes a test fail for a machine that is at work on something else.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Shells start background jobs with SIGINT ignored, and so would be all commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The thousands of tests are not looked at for garbage, while they are collected and after it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test: no task, no socket, no file that was not there before."""
    if request.node.get_closest_marker("asyncio"):  # a loop for each of the others is a third of their time
        request.getfixturevalue("nothing_is_left_in_the_loop")
        yield
        return
    before = open_files()
    yield
    left = _new_files(before)
    for _ in range(50):
        if not left:
            return
        gc.collect(1)
        time.sleep(0.01)
        left = _new_files(before)
    assert not left, f"descriptors left open: {left}"


@pytest.fixture
async def nothing_is_left_in_the_loop() -> AsyncIterator[None]:
    """The same where a test runs in an event loop."""
    before = open_files()
    yield
    left: dict[int, str] = {}
    for _ in range(50):
        gc.collect(1)
        left = _new_files(before)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if not left and not tasks:
            return
        await asyncio.sleep(0.01)
    assert not tasks, f"tasks left behind: {tasks}"
    assert not left, f"descriptors left open: {left}"


def _new_files(before: dict[int, str]) -> dict[int, str]:
    return {fd: target for fd, target in open_files().items() if before.get(fd) != target}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own key, host or proxy must not reach a test."""
    for name in list(os.environ):
        if name.startswith(("OPUS_", "OPERATIVUS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
