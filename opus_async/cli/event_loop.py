"""The event loop of a command: that of uvloop where it is installed (extra ``speed``), else asyncio's own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

ValueT = TypeVar("ValueT")
_FILES_OF_A_LOOP = 3
"""A selector, and the two ends of a socket that wakes it."""
_FILES_OF_UVLOOP = 16
"""More than it opens, some of them only when it runs: where one of those fails it cannot be closed."""


def drive(main: Coroutine[Any, Any, ValueT]) -> ValueT:
    """Run a coroutine to its end; Ctrl-C cancels it, and raises KeyboardInterrupt when it has ended.

    Raises:
        OSError: This process cannot open the files that an event loop needs. A loop that was half made
            would print a traceback.
    """
    import asyncio

    from opus_async.transport.shortage import require_files

    try:
        require_files(_FILES_OF_A_LOOP)
        with asyncio.Runner(loop_factory=_factory()) as runner:
            return runner.run(main)
    finally:
        main.close()  # where no loop could be made it was not begun, and Python would complain of that


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None for asyncio's own. There is no uvloop for Windows."""
    from opus_async.transport.shortage import no_file_can_be_opened

    if no_file_can_be_opened(_FILES_OF_UVLOOP):
        return None
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop
