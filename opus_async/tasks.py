"""Tasks that begin when their maker has gone on, whatever the event loop's task factory does.

Python 3.12 has an eager task factory, which an application may set for the whole loop: it runs a task up to
its first wait inside of ``create_task``. The task can have ended by then, or failed the group that others are
about to join, or called back into whoever has not written down yet that it exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

ValueT = TypeVar("ValueT")
GivenT = ParamSpec("GivenT")
Work = Callable[GivenT, Coroutine[Any, Any, ValueT]]


def start(
    name: str,
    work: Work[GivenT, ValueT],
    /,
    *arguments: GivenT.args,
    **options: GivenT.kwargs,
) -> asyncio.Task[ValueT]:
    """Make a task in the running loop.

    Args:
        name: Of the task, for whoever looks at those that run.
        work: A coroutine function.
        arguments: Of the work.
        options: Of the work.
    """
    loop = asyncio.get_running_loop()
    if loop.get_task_factory() is None:
        return loop.create_task(work(*arguments, **options), name=name)
    return loop.create_task(_in_the_next_turn(work, *arguments, **options), name=name)


def start_in(
    group: asyncio.TaskGroup,
    work: Work[GivenT, ValueT],
    /,
    *arguments: GivenT.args,
    **options: GivenT.kwargs,
) -> asyncio.Task[ValueT]:
    """Make a task of a group: none can fail the group while others are still to be made."""
    if asyncio.get_running_loop().get_task_factory() is None:
        return group.create_task(work(*arguments, **options))
    return group.create_task(_in_the_next_turn(work, *arguments, **options))


async def _in_the_next_turn(
    work: Work[GivenT, ValueT], *arguments: GivenT.args, **options: GivenT.kwargs
) -> ValueT:
    await asyncio.sleep(0)
    return await work(*arguments, **options)
