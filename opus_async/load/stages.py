"""The stages that a load test tells apart: those of the platform, and what lies before and between them."""

from __future__ import annotations

from dataclasses import dataclass

from opus_async.platform import Stages
from opus_async.stages import CLIENT_WAIT

QUEUE_RUN = "queue_run"
"""From the answer to the start request until the end is noticed: the platform queues and runs the job."""


@dataclass(frozen=True, slots=True)
class LoadStages:
    """The stages of a platform's jobs, as a load test names them.

    Attributes:
        of_platform: The platform's own names.
        names: All, in order. They add up to the time from the intended start to the end.
    """

    of_platform: Stages
    names: tuple[str, ...]

    @classmethod
    def of(cls, stages: Stages) -> LoadStages:
        """The stages that a load test tells apart, of a platform with these."""
        parts = tuple(stages.parts.values())
        names = (CLIENT_WAIT, *parts, stages.prepare, stages.create, stages.start, QUEUE_RUN, stages.collect)
        return cls(stages, names)
