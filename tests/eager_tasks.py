"""Tasks that take their first step before ``create_task`` returns, as an application may ask for."""

from __future__ import annotations

import asyncio
import sys


def set_eager(loop):
    """Make a loop start tasks eagerly: with the factory of Python 3.12, or with one that does the same."""
    loop.set_task_factory(asyncio.eager_task_factory if sys.version_info >= (3, 12) else _eager)


def _eager(loop, coro, *, context=None, name=None):
    task = asyncio.tasks._PyTask(coro, loop=loop, name=name, context=context)
    if not loop.is_running():
        return task
    first_step = loop._ready.pop()
    maker = asyncio.current_task(loop)
    if maker is not None:
        asyncio._leave_task(loop, maker)
    try:
        first_step._run()
    finally:
        if maker is not None:
            asyncio._enter_task(loop, maker)
    return task
