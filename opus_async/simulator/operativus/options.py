"""The options of ``opus-async simulate`` that are about Operativus; the rarer settings share one of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final, get_args

from opus_async.simulator.durations import Duration
from opus_async.simulator.operativus.config import Form, OperativusConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTINGS: Final[dict[str, str]] = {
    "restart-after": "start a run again that takes longer than this (15m)",
    "restarts": "how often to do that with one run (2)",
    "running-expiry": "cancel a run that runs and is older when the server is told to restart (2h)",
    "pause-expiry": "cancel a paused run that is older (24h)",
    "token-life": "how long a token is valid (24h)",
    "rate-limit": "requests per second and user before 429; 0 for no limit (50)",
    "login-limit": "logins per minute before 429; 0 for no limit (10)",
    "agents": "agents that exist besides the built-in ones, with commas between them",
    "old-runs": "completed runs that every workflow's list begins with (0)",
}
"""What ``--operativus-set`` can set, and what each means."""
_TIMES: Final = frozenset({"restart-after", "running-expiry", "pause-expiry", "token-life"})


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the options; they have an effect together with ``--operativus-port``."""
    default, add = OperativusConfig(), group.add_argument
    add("--operativus-port", type=int, metavar="P", help="serve Operativus too; 0 takes a free port")
    add(
        "--operativus-form",
        choices=get_args(Form),
        default=default.form,
        help="answer as its source or as the vendor's page (%(default)s)",
    )
    add(
        "--operativus-queue",
        type=_jobs_per_time,
        default=(default.queue_jobs, default.queue_tick),
        metavar="N/TIME",
        help="jobs that its queue takes, how often (5/0.3s; real: 5/30s)",
    )
    add(
        "--operativus-set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another setting, see --list-traits",
    )


def configure(options: argparse.Namespace, traits: Iterable[str]) -> OperativusConfig | None:
    """Return the configuration that options say; None without a port."""
    if options.operativus_port is None:
        return None
    jobs, tick = options.operativus_queue
    return OperativusConfig(
        port=options.operativus_port,
        form=options.operativus_form,
        traits=frozenset(traits),
        queue_jobs=jobs,
        queue_tick=tick,
        **{name.replace("-", "_"): value for name, value in options.operativus_set},
    )


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name not in SETTINGS:
        raise argparse.ArgumentTypeError(f"unknown setting {name!r}: choose from {', '.join(SETTINGS)}")
    if name in _TIMES:
        return name, _seconds(value)
    if name == "agents":
        return name, tuple(value.split(","))
    try:
        number = float(value) if name == "rate-limit" else int(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} wants a number") from None
    return name, (number or None) if name.endswith("limit") else number


def _seconds(text: str) -> float:
    try:
        return Duration.parse(text).constant
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _jobs_per_time(text: str) -> tuple[int, float]:
    jobs, _, time = text.partition("/")
    if not jobs.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not like 5/30s: jobs, and seconds between two ticks")
    return int(jobs), _seconds(time)
