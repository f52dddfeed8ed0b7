"""The second platform: Operativus, a server for workflows made of agent steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opus_async._lazy import lazy_names

if TYPE_CHECKING:
    from opus_async.operativus.client import OperativusClient
    from opus_async.operativus.models import ResumedRun, Run, StartedRun, Step, Workflow

_HOMES = {
    "opus_async.operativus.client": ("OperativusClient",),
    "opus_async.operativus.models": ("ResumedRun", "Run", "StartedRun", "Step", "Workflow"),
}

__all__ = ["OperativusClient", "ResumedRun", "Run", "StartedRun", "Step", "Workflow"]


if not TYPE_CHECKING:  # a type checker must see that a misspelt name is none
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
