"""Python 3.12's eager task factory, and the like of it for 3.11: a task runs up to its first wait at once."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import tasks


class _Eager(tasks._PyTask):
    """A task whose first step is taken while it is made, as the current task in place of its maker."""

    def __init__(self, coro, *, loop, **options):
        steps = []
        loop.call_soon = lambda step, *_, **__: steps.append(step)  # in front of the method, for this call
        try:
            super().__init__(coro, loop=loop, **options)
        finally:
            del loop.call_soon
        maker = asyncio.current_task(loop)
        if maker is not None:
            tasks._leave_task(loop, maker)
        try:
            self._context.run(steps[0])
        finally:
            if maker is not None:
                tasks._enter_task(loop, maker)


def _made(loop, coro, **options):
    kind = _Eager if loop.is_running() else asyncio.Task
    return kind(coro, loop=loop, **options)


eager_task_factory = getattr(asyncio, "eager_task_factory", _made)


@contextlib.contextmanager
def eager_tasks():
    """Let the running loop make its tasks so."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(eager_task_factory)
    try:
        yield
    finally:
        loop.set_task_factory(before)
