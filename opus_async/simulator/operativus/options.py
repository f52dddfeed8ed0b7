"""The options of ``opus-async simulate`` that are about Operativus."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, get_args

from opus_async.simulator.durations import Duration
from opus_async.simulator.operativus.config import Form, OperativusConfig

if TYPE_CHECKING:
    from collections.abc import Iterable


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the options; they have an effect together with ``--operativus-port``."""
    default, add = OperativusConfig(), group.add_argument
    add("--operativus-port", type=int, metavar="P", help="serve Operativus too, here; 0 takes a free port")
    add(
        "--operativus-form",
        choices=get_args(Form),
        default=default.form,
        help="answer as its public source does, or as the vendor's page says (%(default)s)",
    )
    add(
        "--operativus-queue",
        type=_jobs_per_time,
        default=(default.queue_jobs, default.queue_tick),
        metavar="N/TIME",
        help="how many jobs its queue takes, and how often (5/0.3s; a real one: 5/30s)",
    )
    add(
        "--operativus-restart-after",
        type=_seconds,
        default=default.restart_after,
        metavar="TIME",
        help="start a run again that takes longer (15m)",
    )
    add(
        "--operativus-restarts",
        type=int,
        default=default.restarts,
        metavar="N",
        help="how often (%(default)s)",
    )
    add(
        "--operativus-running-expiry",
        type=_seconds,
        default=default.running_expiry,
        metavar="TIME",
        help="cancel a run that runs and is older when the server is told to restart (2h)",
    )
    add(
        "--operativus-pause-expiry",
        type=_seconds,
        default=default.pause_expiry,
        metavar="TIME",
        help="cancel a paused run that is older (24h)",
    )
    add(
        "--operativus-token-life",
        type=_seconds,
        default=default.token_life,
        metavar="TIME",
        help="validity of a token (24h)",
    )
    add(
        "--operativus-rate-limit",
        type=float,
        default=default.rate_limit,
        metavar="N",
        help="requests per second and user before 429; 0 for no limit (%(default)s)",
    )
    add(
        "--operativus-login-limit",
        type=int,
        default=default.login_limit,
        metavar="N",
        help="logins per minute before 429; 0 for no limit (%(default)s)",
    )
    add("--operativus-agent", action="append", default=[], metavar="NAME", help="an agent that exists, too")
    add(
        "--operativus-old-runs",
        type=int,
        default=default.old_runs,
        metavar="N",
        help="completed runs that every workflow's list begins with (%(default)s)",
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
        restart_after=options.operativus_restart_after,
        restarts=options.operativus_restarts,
        running_expiry=options.operativus_running_expiry,
        pause_expiry=options.operativus_pause_expiry,
        token_life=options.operativus_token_life,
        rate_limit=options.operativus_rate_limit or None,
        login_limit=options.operativus_login_limit or None,
        agents=tuple(options.operativus_agent),
        old_runs=options.operativus_old_runs,
    )


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
