"""Starts asyncio tasks that do not run before ``start`` has returned, also under an eager task factory.

Python 3.12 has an eager task factory, which an application may set for the whole loop: it runs a task up to
its first wait inside of ``create_task``. The task can have ended by then, or failed the group that others are
about to join, or called back into an object that has not stored the task yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

from opus_async.errors import first_error

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")
GivenT = ParamSpec("GivenT")
Work = Callable[GivenT, Coroutine[Any, Any, ValueT]]

AT_ONCE = 256
"""Tasks for the items of one list: more than there are slots for what they do, and not as many as items."""


def start(
    name: str,
    work: Work[GivenT, ValueT],
    /,
    *arguments: GivenT.args,
    **options: GivenT.kwargs,
) -> asyncio.Task[ValueT]:
    """Start a task in the running loop.

    Args:
        name: Of the task, for debugging.
        work: A coroutine function.
        arguments: Its positional arguments.
        options: Its keyword arguments.
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
    """Start a task in a group: it cannot fail the group while others are still to be started."""
    if asyncio.get_running_loop().get_task_factory() is None:
        return group.create_task(work(*arguments, **options))
    return group.create_task(_in_the_next_turn(work, *arguments, **options))


async def in_order(
    work: Callable[[ItemT], Coroutine[Any, Any, ValueT]], items: Sequence[ItemT], *, at_once: int = AT_ONCE
) -> list[ValueT]:
    """Work on items side by side, with a bounded number of tasks however many items there are.

    Args:
        work: A coroutine function of one item.
        items: The items.
        at_once: How many are worked on at the same time, at most.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: The first error of any item, which ends the others.
    """
    if len(items) < 2:  # noqa: PLR2004 - as most lists: none or one needs no task
        return [await work(item) for item in items]
    found: dict[int, ValueT] = {}
    waiting = enumerate(items)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(items))):
                start_in(group, _take_all, work, waiting, found)
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    return [found[index] for index in range(len(items))]


def is_cancelled() -> bool:
    """Whether the running task is being cancelled; else a CancelledError is that of something it awaited."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _take_all(
    work: Callable[[ItemT], Coroutine[Any, Any, ValueT]],
    waiting: Iterable[tuple[int, ItemT]],
    found: dict[int, ValueT],
) -> None:
    for index, item in waiting:
        found[index] = await work(item)


async def _in_the_next_turn(
    work: Work[GivenT, ValueT], *arguments: GivenT.args, **options: GivenT.kwargs
) -> ValueT:
    await asyncio.sleep(0)
    return await work(*arguments, **options)
