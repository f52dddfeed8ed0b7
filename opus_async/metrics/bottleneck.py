"""Finds what limits a run of many jobs now: what to change first to make it faster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from opus_async.config import Limits
from opus_async.metrics.outages import HostOutage
from opus_async.metrics.traffic import FailedPolls

_NEARLY = 0.9
"""Share of a limit from which on it counts as reached: rates stay a little below their limits."""
_MUCH_THROTTLING = 0.02
"""Share of 429 among the answers from which on the platform's rate limit is the bottleneck."""
_MOST_ROWS = 0.5
"""Share of the rows from which on the wait for a turn is what takes their time."""
_IDENTITY = frozenset({"host", "status", "busy_with", "text"})
"""Values that are no quantities: bottlenecks that differ in them are not merged."""


class BottleneckKind(StrEnum):
    """What limits a run; the names in brackets are those of the values of a Bottleneck of this kind."""

    HOST_DOWN = "host_down"
    """A host does not answer (``host``, ``seconds``)."""
    FAILED_POLLS = "failed_polls"
    """Most polls are answered with an error (``number``, ``status``)."""
    PLATFORM_RATE = "platform_rate"
    """The platform answers with 429."""
    API_RATE = "api_rate"
    """Our own limit of requests a second (``rate``)."""
    POLL_RATE = "poll_rate"
    """Our own limit of polls a second (``rate``)."""
    PEOPLE = "people"
    """All that is left waits for a person (``rows``)."""
    UPLOAD_BANDWIDTH = "upload_bandwidth"
    """Our own limit of bytes a second (``rate``)."""
    UPLOAD_CONCURRENCY = "upload_concurrency"
    """Our own limit of uploads at once (``limit``)."""
    MAX_IN_FLIGHT = "max_in_flight"
    """Our own limit of jobs at once (``limit``, ``busy_with``, ``api_concurrency``)."""
    LAST_ROWS = "last_rows"
    """No more rows are left to begin (``rows``, ``busy_with``, ``api_concurrency``)."""
    START_RATE = "start_rate"
    """Our own limit of rows begun a second (``rate``)."""
    TEXT = "text"
    """A bottleneck in words, from the ledger of an earlier or later release (``text``)."""


class Activity(StrEnum):
    """What most of the jobs in flight wait for."""

    PLATFORM = "platform"
    """The platform is at work on them."""
    UPLOADS = "uploads"
    """Their files are on the way."""
    REQUESTS = "requests"
    """Their requests have to take turns."""
    ANSWERS = "answers"
    """Their requests are under way, or are made again."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What limits a run.

    Attributes:
        kind: What limits it.
        values: Hosts, limits and numbers by name; see :class:`BottleneckKind`.
    """

    kind: BottleneckKind
    values: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The bottleneck as JSON, for a ledger."""
        return {"kind": self.kind.value, "values": dict(self.values)}

    @classmethod
    def from_json(cls, stored: Any) -> Self | None:
        """Read the JSON of a ledger: an object, a text of an earlier release, or nothing."""
        if not stored:
            return None
        if isinstance(stored, str):
            return cls(BottleneckKind.TEXT, {"text": stored})
        if stored["kind"] not in {each.value for each in BottleneckKind}:  # of a later release
            return cls(BottleneckKind.TEXT, {"text": stored["kind"]})
        return cls(BottleneckKind(stored["kind"]), stored["values"])


@dataclass(frozen=True, slots=True)
class BottleneckShare:
    """The samples that name the same bottleneck, whatever its numbers.

    Attributes:
        least: The bottleneck with the smallest of each number.
        most: The bottleneck with the largest of each number.
        count: How many samples they are.
    """

    least: Bottleneck
    most: Bottleneck
    count: int


def merge(counts: Iterable[tuple[Bottleneck, int]]) -> list[BottleneckShare]:
    """Merge bottlenecks that differ in numbers only, in the order in which they first come.

    Args:
        counts: Bottlenecks, and how many samples name each.
    """
    alike: dict[tuple[Any, ...], list[tuple[Bottleneck, int]]] = {}
    for limit, count in counts:
        names = [(name, value) for name, value in sorted(limit.values.items()) if name in _IDENTITY]
        alike.setdefault((limit.kind, *names), []).append((limit, count))
    return [_merged(same) for same in alike.values()]


def _merged(same: list[tuple[Bottleneck, int]]) -> BottleneckShare:
    limits = [limit for limit, _ in same]
    least, most = (
        Bottleneck(
            limits[0].kind, {name: pick(limit.values[name] for limit in limits) for name in limits[0].values}
        )
        for pick in (min, max)
    )
    return BottleneckShare(least, most, sum(count for _, count in same))


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckInputs:
    """What is observed of a run.

    Attributes:
        in_flight: Rows that hold a slot.
        preparing: Of these, rows whose files are being uploaded.
        at_work: Of these, rows that wait for the platform to end their job.
        planned: Rows that are not begun yet.
        waiting: Rows parked for a person.
        requests: API requests per second.
        throttled_share: Share of 429 among the answers, 0 to 1.
        sent: Bytes of files per second.
        queued: Requests that wait for their turn in the client at a time, polls included. Each is a job that
            waits for us, not for the platform.
        queued_polls: Of these, polls.
        on_wire: API requests that have been sent and not been answered, at a time.
        slowed: Whether the client sends less because the platform has answered with 429.
        polls: Polls per second.
        outage: The host that has not answered for the longest time; None when all do.
        failed_polls: The polls that failed, when these are most; None otherwise.
    """

    in_flight: int = 0
    preparing: int = 0
    at_work: int = 0
    planned: int = 0
    waiting: int = 0
    requests: float = 0.0
    throttled_share: float = 0.0
    sent: float = 0.0
    queued: float = 0.0
    queued_polls: float = 0.0
    on_wire: float = 0.0
    slowed: bool = False
    polls: float = 0.0
    outage: HostOutage | None = None
    failed_polls: FailedPolls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of a run.

    Attributes:
        max_in_flight: Rows that hold a slot at once.
        start_rate: Rows begun per second; None for no limit.
    """

    max_in_flight: int = 500
    start_rate: float | None = None


def bottleneck(now: BottleneckInputs, bounds: Bounds, limits: Limits) -> Bottleneck | None:  # noqa: C901, PLR0911 - a table
    """Find what limits a run; None when nothing can be named.

    Args:
        now: What is observed of it.
        bounds: The limits of the run.
        limits: The limits of the client.
    """
    if now.outage is not None:
        return Bottleneck(
            BottleneckKind.HOST_DOWN, {"host": now.outage.host, "seconds": round(now.outage.seconds)}
        )
    if now.failed_polls is not None:
        failed = now.failed_polls
        return Bottleneck(BottleneckKind.FAILED_POLLS, {"number": failed.number, "status": failed.status})
    if now.throttled_share >= _MUCH_THROTTLING:
        return Bottleneck(BottleneckKind.PLATFORM_RATE)
    if limits.api_rate is not None and now.requests >= _NEARLY * limits.api_rate:
        return Bottleneck(BottleneckKind.API_RATE, {"rate": limits.api_rate})
    if queue := _queue(now, limits):
        return queue
    if not now.in_flight:
        waits = now.waiting and not now.planned
        return Bottleneck(BottleneckKind.PEOPLE, {"rows": now.waiting}) if waits else None
    if now.preparing > now.at_work and _uploads_are_full(now, limits):
        return _uploads(now, limits)
    if now.in_flight >= _NEARLY * bounds.max_in_flight:
        return Bottleneck(
            BottleneckKind.MAX_IN_FLIGHT, {"limit": bounds.max_in_flight, **_busy_with(now, limits)}
        )
    if not now.planned:
        return Bottleneck(BottleneckKind.LAST_ROWS, {"rows": now.in_flight, **_busy_with(now, limits)})
    if bounds.start_rate is not None:
        return Bottleneck(BottleneckKind.START_RATE, {"rate": bounds.start_rate})
    return _uploads(now, limits) if _uploads_are_full(now, limits) else None


def _queue(now: BottleneckInputs, limits: Limits) -> Bottleneck | None:
    """What lets most rows in flight wait for their turn to send a request; None where they do not.

    What waits is seen when it has been answered. Before that, most rows have requests to send and few
    requests are out: where the platform has answered with 429, that is why.
    """
    if now.queued < _MOST_ROWS * max(now.in_flight, 1):
        few = now.on_wire < _NEARLY * limits.api_concurrency
        calling = _activity(now, limits) in {Activity.REQUESTS, Activity.ANSWERS}
        return Bottleneck(BottleneckKind.PLATFORM_RATE) if now.slowed and calling and few else None
    if limits.poll_rate is not None and now.polls >= _NEARLY * limits.poll_rate:
        return Bottleneck(BottleneckKind.POLL_RATE, {"rate": limits.poll_rate})
    return Bottleneck(BottleneckKind.PLATFORM_RATE) if now.slowed else None


def _uploads_are_full(now: BottleneckInputs, limits: Limits) -> bool:
    return now.preparing >= limits.upload_concurrency or _bandwidth_is_reached(now, limits)


def _bandwidth_is_reached(now: BottleneckInputs, limits: Limits) -> bool:
    return limits.upload_bandwidth is not None and now.sent >= _NEARLY * limits.upload_bandwidth


def _uploads(now: BottleneckInputs, limits: Limits) -> Bottleneck:
    if limits.upload_bandwidth is not None and _bandwidth_is_reached(now, limits):
        return Bottleneck(BottleneckKind.UPLOAD_BANDWIDTH, {"rate": limits.upload_bandwidth})
    return Bottleneck(BottleneckKind.UPLOAD_CONCURRENCY, {"limit": limits.upload_concurrency})


def _activity(now: BottleneckInputs, limits: Limits) -> Activity:
    """What most jobs in flight wait for."""
    at_work = max(now.at_work - now.queued_polls, 0.0)  # who waits for a poll may have ended long ago
    calling = now.in_flight - at_work - now.preparing
    if at_work >= max(calling, now.preparing):
        return Activity.PLATFORM
    if now.preparing >= calling:
        return Activity.UPLOADS
    slots_are_full = now.on_wire >= _NEARLY * limits.api_concurrency or now.queued >= _MOST_ROWS * calling
    return Activity.REQUESTS if calling > limits.api_concurrency and slots_are_full else Activity.ANSWERS


def _busy_with(now: BottleneckInputs, limits: Limits) -> dict[str, Any]:
    """The value ``busy_with``, with the limit of requests where jobs wait for that."""
    activity = _activity(now, limits)
    if activity is Activity.REQUESTS:
        return {"busy_with": activity.value, "api_concurrency": limits.api_concurrency}
    return {"busy_with": activity.value}
