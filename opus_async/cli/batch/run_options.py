"""Arguments that change no result: how much happens at once, when to stop, how long to wait."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opus_async.batch.choices import UNTIL
from opus_async.cli import argument_types, metrics, on_pause, web
from opus_async.cli.metrics import MetricsOptions
from opus_async.cli.on_pause import PauseOptions
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.web import WebOptions

if TYPE_CHECKING:
    from opus_async.batch.choices import Until
    from opus_async.config import Limits, RetryPolicy
    from opus_async.jobs.halt import Halt

OUTAGE = 600.0
"""Seconds that a batch waits for a host that is down: long enough for a restart, or a VPN to come back."""

_LIMITS = {"upload_concurrency": "upload_concurrency", "rate": "api_rate", "bandwidth": "upload_bandwidth"}
_RETRY = {"on_ambiguous": "on_ambiguous", "outage": "outage"}
_SETTINGS = {
    "max_in_flight": "max_in_flight",
    "start_rate": "start_rate",
    "halt": "halt",
    "timeout": "timeout",
    "download_outputs": "download_outputs",
    "drain": "drain_seconds",
    "price": "price",
}
"""Option -> field of Limits, RetryPolicy or RunSettings. What is not given is None, and stays what it was."""


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """How much happens at once; None leaves each as it was, or at its default.

    Attributes:
        max_in_flight: Rows at work at once.
        upload_concurrency: Files uploaded at once.
        rate: API requests per second, polls included.
        start_rate: Rows begun per second.
        bandwidth: Bytes per second of all uploads.
        price: Of one job that completes, in whatever currency.
    """

    max_in_flight: int | None
    upload_concurrency: int | None
    rate: float | None
    start_rate: float | None
    bandwidth: float | None
    price: float | None


@dataclass(frozen=True, kw_only=True)
class SessionOptions(ConnectionOptions, LimitOptions, MetricsOptions, PauseOptions, WebOptions):
    """How a session of a batch is run; None leaves each as it was, or at its default.

    Attributes:
        halt: When so much fails that it makes no sense to go on.
        timeout: Seconds for one row, until its outcome counts as unknown.
        outage: Seconds for which a host that has answered may be silent.
        drain: Seconds that Ctrl-C waits for jobs near their end.
        on_ambiguous: What follows a start whose answer was lost: ``resend``, ``resend_once`` or ``stop``.
        download_outputs: Whether result files are fetched.
        limit: Rows that are begun, at most; None for all. Never kept.
        until: ``ended`` or ``ordered``. Never kept.
        json: Whether to print the summary as JSON.
    """

    halt: Halt | None
    timeout: float | None
    outage: float | None
    drain: float | None
    on_ambiguous: str | None
    download_outputs: bool | None
    limit: int | None
    until: Until
    json: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments. None has a default, so that a resume goes on with what the batch had."""
    add_limits(parser)
    group = parser.add_argument_group("when to stop, and how long to wait")
    add = group.add_argument
    add(
        "--limit",
        type=argument_types.count,
        metavar="N",
        help="begin only the first N rows that are not begun, as a trial; 'resume' goes on with the others",
    )
    add(
        "--until",
        choices=UNTIL,
        default="ended",
        help="ordered: end when every row is ordered, and let 'resume' collect the results days later",
    )
    add(
        "--halt",
        type=argument_types.halt,
        metavar="POLICY",
        help="now,fail=N: leave at once after N failures; soon,fail=N%%: begin no more rows; never (default)",
    )
    add(
        "--timeout",
        type=argument_types.duration,
        metavar="TIME",
        help="for one row, until its outcome counts as unknown: 90, 5m, 1h30m (no limit)",
    )
    add(
        "--outage",
        type=argument_types.duration,
        metavar="TIME",
        help=f"how long a host that has answered may be silent, or answer 429 alone ({OUTAGE / 60:g}m)",
    )
    add(
        "--drain",
        type=argument_types.duration_from_zero,
        metavar="TIME",
        help="how long Ctrl-C waits for jobs near their end (30s)",
    )
    add(
        "--on-ambiguous",
        choices=("resend", "resend_once", "stop"),
        help="when the answer to an order was lost and nothing shows that it was obeyed: order that job "
        "again, up to twice (resend, the default) or once (resend_once), or leave the row unknown (stop)",
    )
    on_pause.configure(parser)
    metrics.configure(parser)
    web.configure(parser)
    parser.add_argument(
        "--download-outputs",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="fetch result files into DIR/outputs/<key>/",
    )
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object on stdout")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how much happens at once."""
    add = parser.add_argument_group("how much at once").add_argument
    add("--max-in-flight", type=argument_types.count, metavar="N", help="rows at work at once (500)")
    add("--upload-concurrency", type=argument_types.count, metavar="N", help="files on the wire at once (32)")
    add(
        "--rate",
        type=argument_types.rate,
        metavar="N/s",
        help="API requests a second, polls included: 20/s, 600/m",
    )
    add("--start-rate", type=argument_types.rate, metavar="N/s", help="rows begun a second")
    add(
        "--bandwidth",
        type=argument_types.bandwidth,
        metavar="B",
        help="of uploads, in bytes a second: 5M, 500k",
    )
    parser.add_argument(
        "--price",
        type=argument_types.price,
        metavar="P",
        help="what one job costs that completes, as a plain number: then it is told what all of them cost",
    )


def settings_of(options: SessionOptions) -> dict[str, Any]:
    """The fields of :class:`opus_async.batch.options.RunSettings` that were given, by name."""
    return _given(options, _SETTINGS)


def limits_of(options: LimitOptions, before: Mapping[str, Any] | None = None) -> Limits:
    """The limits of the client: what was given, else what held before, else the default.

    Args:
        options: Of the command.
        before: The fields of Limits as they were when the batch was last worked on; None for a new batch.
    """
    from opus_async.config import Limits

    return Limits(**{**_known(before or {}, Limits), **_given(options, _LIMITS)})


def retry_of(options: SessionOptions, before: Mapping[str, Any] | None = None) -> RetryPolicy:
    """The retry policy of the client; arguments and order as in :func:`limits_of`."""
    from opus_async.config import RetryPolicy

    return RetryPolicy(**{"outage": OUTAGE, **_known(before or {}, RetryPolicy), **_given(options, _RETRY)})


def _given(options: LimitOptions, fields: Mapping[str, str]) -> dict[str, Any]:
    named = ((field, getattr(options, option)) for option, field in fields.items())
    return {field: value for field, value in named if value is not None}


def _known(values: Mapping[str, Any], kind: type[Limits | RetryPolicy]) -> dict[str, Any]:
    """The values that are set, of fields that this version of the package knows."""
    return {name: value for name, value in values.items() if name in kind.names() and value is not None}
