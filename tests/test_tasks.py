"""Tasks begin when their maker has gone on, under any task factory."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from eager_tasks import eager_tasks

from opus_async.tasks import start, start_in


@pytest.fixture(params=["plain", "eager"])
def factory(request):
    return eager_tasks if request.param == "eager" else contextlib.nullcontext


async def test_a_task_begins_after_its_maker_has_gone_on(factory):
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


async def test_a_task_that_fails_at_once_fails_its_group_after_all_are_made(factory):
    made = []

    async def fail():
        raise ValueError

    with factory(), pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            made.extend(start_in(group, fail) for _ in range(3))
    assert len(made) == 3
    assert {type(error) for error in caught.value.exceptions} == {ValueError}


async def test_a_task_that_is_cancelled_before_it_began_leaves_no_coroutine_unawaited(factory):
    async def work():
        raise AssertionError

    with factory():
        task = start("never", work)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_stand_in_for_the_eager_factory_is_eager():
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
