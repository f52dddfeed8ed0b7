"""Tells who watches a command with many jobs that a host does not answer, once for each change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from opus_async.events import Event, HostState, HostTroubled, Listener
from opus_async.text import elapsed

if TYPE_CHECKING:
    from opus_async.metrics.progress import Progress


def listener(say: Callable[[str], None], progress: Progress | None = None) -> Listener:
    """A listener that prints when a host fails, is down, given up or up again, so that a log has it.

    Args:
        say: Prints a notice.
        progress: Told, too, from the beginning: a batch tells it only once rows are run.
    """
    from opus_async.transport.dispatch import Only

    return Only(partial(_tell, say, progress), frozenset({HostTroubled}))


def _tell(say: Callable[[str], None], progress: Progress | None, event: Event) -> None:
    assert isinstance(event, HostTroubled)  # noqa: S101 - it is told of nothing else
    if progress is not None:
        progress(event)
    match event.state:
        case HostState.FAILING:
            say(f"{event.host} does not answer ({event.reason}); it is tried again")
        case HostState.DOWN:
            say(f"{event.host} does not answer ({event.reason}); what needs it waits")
        case HostState.GIVEN_UP:
            say(f"{event.host} is given up, after {elapsed(event.seconds)}")
        case HostState.UP:
            say(f"{event.host} answers again, after {elapsed(event.seconds)}")
