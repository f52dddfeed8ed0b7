"""How a task of ours begins: in the next turn of the loop, whatever task factory the application has set.

Under ``asyncio.eager_task_factory`` (Python 3.12) ``create_task`` runs the coroutine up to its first wait, or
to its end, before it returns: before whoever made the task has noted that there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


def start_soon(work: Coroutine[Any, Any, ResultT], *, name: str | None = None) -> asyncio.Task[ResultT]:
    """A task that has not taken its first step when this returns; its maker awaits or cancels it."""
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)
