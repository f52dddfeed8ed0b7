"""The arguments that change no result: how much at once, when to stop, how long to wait."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opus_async.cli import connection
from opus_async.cli.batch import argument_types
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.outcomes import seconds

if TYPE_CHECKING:
    from opus_async.config import Limits, RetryPolicy
    from opus_async.jobs.halt import Halt

OUTAGE = 600.0
"""Seconds that a batch waits for a host that is gone: a restart passes, a dropped VPN is put up again."""

_LIMITS = {"upload_concurrency": "upload_concurrency", "rate": "api_rate", "bandwidth": "upload_bandwidth"}
_RETRY = {"on_ambiguous": "on_ambiguous", "outage": "outage"}
_SETTINGS = {
    "max_in_flight": "max_in_flight",
    "start_rate": "start_rate",
    "halt": "halt",
    "timeout": "timeout",
    "download_outputs": "download_outputs",
    "drain": "drain_seconds",
}
"""Option -> field. What is not given is None, and stays what it was."""


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """How much happens at once; None leaves each as it was, or at its default.

    Attributes:
        max_in_flight: Rows at work at once.
        upload_concurrency: Files on the wire at once.
        rate: API requests a second.
        start_rate: Rows begun a second.
        bandwidth: Of uploads, in bytes a second.
    """

    max_in_flight: int | None
    upload_concurrency: int | None
    rate: float | None
    start_rate: float | None
    bandwidth: float | None


@dataclass(frozen=True, kw_only=True)
class PaceOptions(ConnectionOptions, LimitOptions):
    """How a session of a batch is run; None leaves each as it was, or at its default.

    Attributes:
        halt: When so much fails that it makes no sense to go on.
        timeout: Seconds for one row.
        outage: Seconds for which a host may be silent.
        drain: Seconds that Ctrl-C waits for jobs near their end.
        on_ambiguous: What follows a start whose answer was lost.
        download_outputs: Whether result files are fetched.
        json: Whether to print the summary as JSON.
    """

    halt: Halt | None
    timeout: float | None
    outage: float | None
    drain: float | None
    on_ambiguous: str | None
    download_outputs: bool | None
    json: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Add them. None has a default, so that a resume goes on with what the batch had."""
    add_limits(parser)
    group = parser.add_argument_group("when to stop, and how long to wait")
    add = group.add_argument
    add(
        "--halt",
        type=argument_types.halt,
        metavar="POLICY",
        help="now,fail=N: leave at once after N failures; soon,fail=N%%: begin no more rows; never (default)",
    )
    add(
        "--timeout",
        type=seconds,
        metavar="S",
        help="for one row, until its outcome counts as unknown (no limit)",
    )
    add(
        "--outage",
        type=seconds,
        metavar="S",
        help=f"how long a host that has answered may be silent, or answer 429 alone ({OUTAGE:g})",
    )
    add(
        "--drain",
        type=argument_types.patience,
        metavar="S",
        help="how long Ctrl-C waits for jobs near their end (30)",
    )
    add(
        "--on-ambiguous",
        choices=("resend", "resend_once", "stop"),
        help="when the answer to an order was lost and nothing shows that it was obeyed: order that job "
        "again, up to twice (resend, the default) or once (resend_once), or leave the row unknown (stop)",
    )
    parser.add_argument(
        "--download-outputs",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="fetch result files into DIR/outputs/<key>/",
    )
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object on stdout")
    connection.configure(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add how much happens at once."""
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


def settings_of(options: PaceOptions) -> dict[str, Any]:
    """What was given of :class:`opus_async.batch.options.RunSettings`, and nothing else."""
    return _given(options, _SETTINGS)


def limits_of(options: LimitOptions, before: Mapping[str, Any] | None = None) -> Limits:
    """How much the client does at once.

    Args:
        options: Of the command.
        before: What it was when the batch was last worked on.
    """
    from opus_async.config import Limits

    return Limits(**{**_known(before or {}, Limits), **_given(options, _LIMITS)})


def retry_of(options: PaceOptions, before: Mapping[str, Any] | None = None) -> RetryPolicy:
    """What the client does when a request fails; arguments as in :func:`limits_of`."""
    from opus_async.config import RetryPolicy

    return RetryPolicy(**{"outage": OUTAGE, **_known(before or {}, RetryPolicy), **_given(options, _RETRY)})


def _given(options: LimitOptions, fields: Mapping[str, str]) -> dict[str, Any]:
    named = ((field, getattr(options, option)) for option, field in fields.items())
    return {field: value for field, value in named if value is not None}


def _known(values: Mapping[str, Any], kind: type[Limits | RetryPolicy]) -> dict[str, Any]:
    """Without what another version of this package has written, and what was not set."""
    return {name: value for name, value in values.items() if name in kind.model_fields and value is not None}
