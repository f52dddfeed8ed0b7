"""What limits a batch now, in a few words: the first thing to turn if it shall go faster."""

from __future__ import annotations

from dataclasses import dataclass

from opus_async.config import Limits

LOOKS_BACK = 10.0
"""Seconds over which requests, bytes and 429s are counted."""
_NEARLY = 0.9
"""Share of a limit from which on it is felt: no rate is held to the last request."""
_MANY_TURNED_AWAY = 0.02
"""Share of 429 among the answers from which on they are more than a hiccup."""
_MEGA, _KILO = 1_000_000, 1_000


@dataclass(frozen=True, slots=True)
class HostOutage:
    """A host that gives no good answer.

    Attributes:
        host: Its name.
        seconds: For how long.
        reason: What was seen last.
    """

    host: str
    seconds: float
    reason: str

    def __str__(self) -> str:
        return f"{self.host} has not answered for {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class FailedPolls:
    """Looks at jobs that were answered, and not with how the job stands.

    Attributes:
        number: Of the last seconds.
        status: The HTTP status that most of them got.
    """

    number: int
    status: int

    def __str__(self) -> str:
        looks = "1 look at a job is" if self.number == 1 else f"{self.number:,} looks at jobs are"
        return f"{looks} answered with HTTP {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckInputs:
    """What a session is seen to do.

    Attributes:
        in_flight: Rows that hold a slot.
        preparing: Of these, rows whose files are on the way.
        at_work: Of these, rows that wait for the platform to end their job.
        planned: Rows that are not begun yet.
        waiting: Rows parked for a person.
        requests: Requests of the API a second.
        turned_away: Share of the answers that were 429, 0 to 1.
        sent: Bytes of files a second.
        trouble: The host that has not answered for the longest time; None when all do.
        unread: The looks at jobs that told nothing, when these are most; None otherwise.
    """

    in_flight: int = 0
    preparing: int = 0
    at_work: int = 0
    planned: int = 0
    waiting: int = 0
    requests: float = 0.0
    turned_away: float = 0.0
    sent: float = 0.0
    trouble: HostOutage | None = None
    unread: FailedPolls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a run was told to keep to.

    Attributes:
        max_in_flight: Rows that hold a slot at once.
        start_rate: Rows begun a second; None for no bound.
    """

    max_in_flight: int = 500
    start_rate: float | None = None


def bottleneck(now: BottleneckInputs, bounds: Bounds, limits: Limits) -> str:  # noqa: PLR0911 - a table
    """What limits a batch, as it is shown; empty when nothing can be named.

    Args:
        now: What is seen.
        bounds: Of the run.
        limits: Of the client.
    """
    if now.trouble is not None:
        return str(now.trouble)
    if now.unread is not None:
        return str(now.unread)
    if now.turned_away >= _MANY_TURNED_AWAY:
        return "the platform's rate limit (429)"
    if limits.api_rate is not None and now.requests >= _NEARLY * limits.api_rate:
        return f"--rate {limits.api_rate:g}/s"
    if not now.in_flight:
        return _persons(now.waiting) if not now.planned else ""
    if now.preparing > now.at_work and _uploads_are_full(now, limits):
        return _uploads(now, limits)
    if now.in_flight >= _NEARLY * bounds.max_in_flight:
        return f"--max-in-flight {bounds.max_in_flight} ({_busy_with(now, limits)})"
    if not now.planned:
        rows = "row" if now.in_flight == 1 else f"{now.in_flight:,} rows"
        return f"the last {rows} ({_busy_with(now, limits)})"
    if bounds.start_rate is not None:
        return f"--start-rate {bounds.start_rate:g}/s"
    return _uploads(now, limits) if _uploads_are_full(now, limits) else ""


def _uploads_are_full(now: BottleneckInputs, limits: Limits) -> bool:
    return now.preparing >= limits.upload_concurrency or _line_is_full(now, limits)


def _line_is_full(now: BottleneckInputs, limits: Limits) -> bool:
    return limits.upload_bandwidth is not None and now.sent >= _NEARLY * limits.upload_bandwidth


def _uploads(now: BottleneckInputs, limits: Limits) -> str:
    if limits.upload_bandwidth is not None and _line_is_full(now, limits):
        return f"--bandwidth {_bytes(limits.upload_bandwidth)}/s"
    return f"uploads (--upload-concurrency {limits.upload_concurrency})"


def _busy_with(now: BottleneckInputs, limits: Limits) -> str:
    """What most of the rows in flight wait for."""
    calling = now.in_flight - now.at_work - now.preparing
    if now.at_work >= max(calling, now.preparing):
        return "the platform is at work"
    return (
        "files are on the way" if now.preparing >= calling else f"{limits.api_concurrency} requests at once"
    )


def _persons(waiting: int) -> str:
    if not waiting:
        return ""
    return "1 row waits for a person" if waiting == 1 else f"{waiting:,} rows wait for a person"


def _bytes(rate: float) -> str:
    return f"{rate / _MEGA:g} MB" if rate >= _MEGA else f"{rate / _KILO:g} kB"
