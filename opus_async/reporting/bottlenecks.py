"""Bottlenecks and outages in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opus_async.metrics.bottleneck import Activity, Bottleneck, BottleneckKind
from opus_async.metrics.outages import HostOutage
from opus_async.reporting.option_names import as_option
from opus_async.text import size_as_given


def bottleneck_text(limit: Bottleneck, most: Bottleneck | None = None) -> str:
    """A bottleneck in a few words.

    Args:
        limit: The bottleneck.
        most: The same with larger numbers: then numbers are given as ranges, ``the last 2-5 rows``.
    """
    return _Text(limit, most or limit).of_kind()


def outage_text(outage: HostOutage) -> str:
    """An outage in a few words."""
    return f"{outage.host} has not answered for {outage.seconds:.0f} s"


class _Text:
    """Writes a bottleneck, with a range for each number that differs between ``least`` and ``most``."""

    def __init__(self, least: Bottleneck, most: Bottleneck) -> None:
        self._kind = least.kind
        self._least = least.values
        self._most = most.values

    def of_kind(self) -> str:  # noqa: C901, PLR0911 - a table
        match self._kind:
            case BottleneckKind.HOST_DOWN:
                return f"{self._least['host']} has not answered for {self._range('seconds')} s"
            case BottleneckKind.FAILED_POLLS:
                one = self._most["number"] == 1
                polls = "1 look at a job is" if one else f"{self._range('number')} looks at jobs are"
                return f"{polls} answered with HTTP {self._least['status']}"
            case BottleneckKind.PLATFORM_RATE:
                return "the platform's rate limit (429)"
            case BottleneckKind.API_RATE:
                return as_option("api_rate", f"{self._range('rate', _general)}/s")
            case BottleneckKind.POLL_RATE:
                return f"poll_rate={self._range('rate', _general)}: looks at jobs a second"
            case BottleneckKind.PEOPLE:
                one = self._most["rows"] == 1
                return f"{'1 row waits' if one else self._range('rows') + ' rows wait'} for a person"
            case BottleneckKind.UPLOAD_BANDWIDTH:
                return as_option("upload_bandwidth", f"{self._range('rate', size_as_given)}/s")
            case BottleneckKind.UPLOAD_CONCURRENCY:
                return f"uploads ({as_option('upload_concurrency', self._range('limit', _plain))})"
            case BottleneckKind.MAX_IN_FLIGHT:
                return f"{as_option('max_in_flight', self._range('limit', _plain))} ({self._busy_with()})"
            case BottleneckKind.LAST_ROWS:
                rows = "row" if self._most["rows"] == 1 else f"{self._range('rows')} rows"
                return f"the last {rows} ({self._busy_with()})"
            case BottleneckKind.START_RATE:
                return as_option("start_rate", f"{self._range('rate', _general)}/s")
            case BottleneckKind.TEXT:
                return str(self._least["text"])

    def _busy_with(self) -> str:
        match Activity(self._least["busy_with"]):
            case Activity.PLATFORM:
                return "the platform is at work"
            case Activity.UPLOADS:
                return "files are on the way"
            case Activity.REQUESTS:
                return f"{self._range('api_concurrency', _plain)} requests at once"
            case Activity.ANSWERS:
                return "requests and retries are under way"

    def _range(self, name: str, shown: Callable[[Any], str] = "{:,}".format) -> str:
        least, most = shown(self._least[name]), shown(self._most[name])
        return least if least == most else f"{least}-{most}"


def _plain(number: float) -> str:
    return str(number)


def _general(number: float) -> str:
    return f"{number:g}"
