"""What a caller of a load test hands in: to end it early, to be told, to draw how it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opus_async.jobs.shutdown import ShutdownControl
from opus_async.load.choices import DRAIN_SECONDS
from opus_async.load.spec import Plan

if TYPE_CHECKING:
    from opus_async.load.recorder import Recorder
    from opus_async.load.running_load import RunningLoad
    from opus_async.load.search import Search


def _new_control() -> ShutdownControl:
    return ShutdownControl(drain_seconds=DRAIN_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadObserver:
    """Watches a load test while it runs, and ends it early; all of it is optional.

    Attributes:
        control: Ends it early.
        notice: Told in a sentence what a person should know.
        stepped: Told of each step of a search that has ended, with the search as it stands.
        begun: Told when the first job is about to start, with what is going to be run and recorded.
        following: Told at the same moment, with all that the figures of the run are made of while it lasts.
    """

    control: ShutdownControl = field(default_factory=_new_control)
    notice: Callable[[str], None] = lambda _: None
    stepped: Callable[[Search], None] = lambda _: None
    begun: Callable[[Plan, Recorder], None] = lambda _plan, _recorder: None
    following: Callable[[RunningLoad], None] = lambda _run: None
