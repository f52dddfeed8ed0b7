"""Where a job was made: its id means nothing elsewhere, and a job of one version is not started as another.

A world is a mapping of plain values: the place (``platform, host, generation``), within which an id names one
job, and the workflow and its version there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

PLACE = ("platform", "host", "generation")
"""What an id is good for."""
_WORK = ("workflow_id", "version_number", "version_id", "live_version", "live_version_id")
_TOLD = frozenset({"live_version", "live_version_id"})
"""What a platform may leave unsaid: that is no difference."""
NO_WORLD: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Strangers:
    """Rows whose jobs were made at another place than the one that would be asked about them.

    Attributes:
        world: Where that is.
        rows: How many they are.
        retried: Whether they are to be tried again; else they may run there.
    """

    world: Mapping[str, Any]
    rows: int
    retried: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A row's job, and where it was made.

    Attributes:
        key: Of the row.
        remote_id: The platform's id of it.
        world: Where it was made.
    """

    key: str
    remote_id: str
    world: Mapping[str, Any]


def world_of(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The world that a batch with this fingerprint works in."""
    return {name: fingerprint.get(name) for name in (*PLACE, *_WORK)}


def place_of(world: Mapping[str, Any]) -> tuple[Any, ...]:
    """The platform, host and API generation of a world: within them ids name the same jobs."""
    return tuple(world.get(name) for name in PLACE)


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a shell of the one may be ordered in the other."""
    return not any(_differs(name, one.get(name), other.get(name)) for name in (*PLACE, *_WORK))


def _differs(name: str, one: Any, other: Any) -> bool:
    return one != other and not (name in _TOLD and None in {one, other})
