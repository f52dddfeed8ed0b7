"""Tasks begin when their maker has gone on, under any task factory."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from eager_tasks import eager_tasks

from opus_async.tasks import in_order, start, start_in


@pytest.fixture(params=["plain", "eager"])
def factory(request):
    return eager_tasks if request.param == "eager" else contextlib.nullcontext


async def test_task_start_runs_after_caller_continues(factory):
    steps = []

    async def work(word, *, end):
        steps.append(word)
        await asyncio.sleep(0)
        return word + end

    with factory():
        task = start("a name", work, "began", end="!")
        steps.append("made")
        assert not task.done()
        assert await task == "began!"
    assert steps == ["made", "began"]
    assert task.get_name() == "a name"


async def test_task_start_in_group_fails_group_only_after_all_are_created(factory):
    made = []

    async def fail():
        raise ValueError

    with factory(), pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            made.extend(start_in(group, fail) for _ in range(3))
    assert len(made) == 3
    assert {type(error) for error in caught.value.exceptions} == {ValueError}


async def test_task_start_leaves_no_unawaited_coroutine_if_cancelled_early(factory):
    async def work():
        raise AssertionError

    with factory():
        task = start("never", work)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_eager_tasks_helper_starts_tasks_eagerly():
    steps = []

    async def work():
        steps.append(asyncio.current_task())
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        return 1

    with eager_tasks():
        task = asyncio.create_task(work())
        assert steps == [task]
        assert await task == 1


async def test_items_are_worked_on_in_a_bounded_number_of_tasks(factory):
    at_work = 0
    most = []

    async def work(item):
        nonlocal at_work
        at_work += 1
        most.append((at_work, len(asyncio.all_tasks())))
        await asyncio.sleep(0)
        at_work -= 1
        return -item

    with factory():
        assert await in_order(work, range(10_000), at_once=7) == [-item for item in range(10_000)]
    assert max(most) == (7, 8)


async def test_first_error_of_an_item_ends_the_others_and_is_no_group(factory):
    ended = []

    async def work(item):
        if item == 3:
            raise KeyError(item)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    with factory(), pytest.raises(KeyError, match="3"):
        await in_order(work, range(100), at_once=5)
    assert sorted(ended) == [0, 1, 2, 4]
