"""Work that tests have done in a forked child of their own process."""

from __future__ import annotations

import asyncio
import multiprocessing
import os

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


def in_a_fork(work):
    """What the work says in a forked child: its result, or its error."""
    ours, theirs = FORK.Pipe()

    def child():
        try:
            theirs.send(asyncio.run(work()))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to see it
            theirs.send(error)

    process = FORK.Process(target=child)
    process.start()
    try:
        assert ours.poll(30), "the child hangs"
        return ours.recv()
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
        theirs.close()
