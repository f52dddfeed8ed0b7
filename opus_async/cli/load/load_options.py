"""Arguments of every command that runs a load: the workflow, its inputs, the bounds, what it may cost."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from opus_async.cli import argument_types, connection, metrics, platforms, web
from opus_async.cli.errors import WrongUse
from opus_async.cli.metrics import MetricsOptions
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.web import WebOptions
from opus_async.load.choices import DRAIN_SECONDS, MAX_IN_FLIGHT

if TYPE_CHECKING:
    from opus_async.config import Limits


@dataclass(frozen=True, kw_only=True)
class LoadOptions(ConnectionOptions, MetricsOptions, WebOptions):
    """Options of every command that runs a load.

    Attributes:
        workflow: The workflow.
        inputs: The manifest; None for jobs that take constants and made documents alone.
        out: The directory of the results.
        slo: The objectives.
        arrival: How arrivals are spread.
        seed: Of all draws; None draws one.
        pick: How rows are taken.
        file_size: The size of documents that are made; None for none.
        reuse_uploads: Whether the same content is uploaded once.
        map: ``COLUMN=INPUT``.
        set: ``INPUT=VALUE``.
        title: A template for titles.
        version_number: The pinned version by number.
        version_id: The pinned version by UUID.
        allow_outside: Whether cells may name files outside of the manifest's folder.
        max_jobs: Jobs at most.
        max_in_flight: Jobs in flight at most.
        timeout: Seconds for one job.
        drain: Seconds that Ctrl-C waits for jobs that were ordered.
        price: Of one job that completes.
        yes: Whether nobody is asked to confirm.
        production: Whether it may run at a host of the vendor's.
        detect_lag: How late ends are noticed on average, as a share of the run time; None for the default.
        poll_rate: Polls a second at most; None for the default.
        json: Whether to print the summary as JSON.
    """

    workflow: str
    inputs: str | None
    out: Path
    slo: Sequence[str]
    arrival: str
    seed: int | None
    pick: str
    file_size: str | None
    reuse_uploads: bool
    map: Sequence[str]
    set: Sequence[str]
    title: str | None
    version_number: int | None
    version_id: str | None
    allow_outside: bool
    max_jobs: int
    max_in_flight: int
    timeout: float | None
    drain: float
    price: float | None
    yes: bool
    production: bool
    detect_lag: float | None
    poll_rate: float | None
    json: bool

    @property
    def about_workflow(self) -> str:
        """The workflow, as it was typed."""
        return self.workflow


OptionsT = TypeVar("OptionsT", bound=LoadOptions)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the workflow, its inputs and the directory of the results."""
    kinds = "; ".join(f"{entry.title}: {entry.workflow_help}" for entry in platforms.entries())
    add = parser.add_argument
    add("--workflow", required=True, metavar="ID", help=f"whose jobs are run. {kinds}")
    add(
        "--inputs",
        metavar="MANIFEST",
        help="CSV, JSONL, XLSX or Parquet, a folder or a quoted glob: rows are used again as often as needed",
    )
    add(
        "--out",
        type=argument_types.folder_on_disk,
        required=True,
        metavar="DIR",
        help="the folder for the results; must not hold a run",
    )


def add_rest(parser: argparse.ArgumentParser, *, max_jobs: int, slo_required: bool) -> None:
    """Add everything else that all loads have."""
    what = "what has to hold at the rate that is searched for" if slo_required else "an objective"
    add = parser.add_argument
    add(
        "--slo",
        action="append",
        default=[],
        required=slo_required,
        metavar="EXPR",
        help=f"{what}: 'e2e.p95 < 90s', 'queue_run.p50 < 30s', 'error_rate < 1%%'",
    )
    add(
        "--arrival",
        choices=("poisson", "uniform"),
        default="poisson",
        help="how arrivals are spread (poisson)",
    )
    add("--seed", type=int, metavar="N", help="of all draws; drawn and told where it is not given")
    _add_documents(parser)
    _add_money(parser, max_jobs)
    _add_bounds(parser)
    metrics.configure(parser)
    web.configure(parser)
    add("--json", action="store_true", help="the summary as one JSON object on stdout")
    platforms.configure(parser, choose=True)


def _add_documents(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("from a row to a job")
    add = group.add_argument
    add("--pick", choices=("cycle", "random"), default="cycle", help="rows in turn, or drawn (cycle)")
    add(
        "--file-size",
        metavar="SIZE",
        help="make a document for each input that is a file: 200KB, 10KB-2MB, lognormal:200KB",
    )
    add("--reuse-uploads", action="store_true", help="upload the same content once, and not for each job")
    add(
        "--map", action="append", default=[], metavar="COLUMN=INPUT", help="a column that fills another input"
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="INPUT=VALUE",
        help="for every job that has no own value",
    )
    add("--title", metavar="TEMPLATE", help="of the jobs, with columns in braces; the id of the run is added")
    add("--allow-outside", action="store_true", help="let cells name files outside of the manifest's folder")
    connection.add_version(parser, "pin the workflow version by number")
    add("--version-id", metavar="UUID", help="pin it by UUID")


def _add_money(parser: argparse.ArgumentParser, max_jobs: int) -> None:
    add = parser.add_argument_group("what it may cost").add_argument
    add(
        "--max-jobs",
        type=argument_types.count,
        default=max_jobs,
        metavar="N",
        help=f"jobs at most: each costs money ({max_jobs:,})",
    )
    add("--price", type=argument_types.price, metavar="P", help="what one job costs, as a plain number")
    add("--yes", action="store_true", help="ask nobody to confirm")
    add("--production", action="store_true", help="allow the vendor's own host, where jobs are real")


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("bounds").add_argument
    add(
        "--max-in-flight",
        type=argument_types.count,
        default=MAX_IN_FLIGHT,
        metavar="N",
        help=f"jobs in flight at most: an arrival beyond them is dropped, and counted ({MAX_IN_FLIGHT:,})",
    )
    add(
        "--timeout",
        type=argument_types.duration,
        metavar="TIME",
        help="for one job, until its outcome counts as unknown (no limit)",
    )
    add(
        "--drain",
        type=argument_types.duration_from_zero,
        default=DRAIN_SECONDS,
        metavar="TIME",
        help=f"how long Ctrl-C waits for jobs that are ordered ({DRAIN_SECONDS:g}s)",
    )
    add(
        "--detect-lag",
        type=argument_types.share,
        metavar="SHARE",
        help="how late the end of a job is noticed on average, as a share of its run time (0.0025)",
    )
    add("--poll-rate", type=argument_types.rate, metavar="N/s", help="polls a second at most (250/s)")


def checked(options: OptionsT) -> OptionsT:
    """The options with the id of the workflow, which may have been the link of a page.

    Raises:
        WrongUse: That names no workflow, or nothing says what the jobs get.
    """
    target = platforms.target_of(options)
    if options.inputs is None and options.file_size is None and not options.set:
        raise WrongUse(
            "nothing says what the jobs get: --inputs MANIFEST (a table, a folder or a quoted glob), "
            "--set INPUT=VALUE (the same for every job) or --file-size SIZE (a document is made for each "
            "input that is a file)"
        )
    return replace(options, workflow=platforms.checked_workflow(target, options.workflow))


def inputs_of(options: LoadOptions) -> dict[str, Any]:
    """What the functions of :mod:`opus_async.load` are given besides the load itself, by name.

    Raises:
        WrongUse: An argument cannot be read.
    """
    from opus_async.cli.batch.spec_options import pairs

    return {
        "workflow_id": options.workflow,
        "out": options.out,
        "slo": options.slo,
        "columns": pairs(options.map, "--map", "COLUMN=INPUT"),
        "constants": pairs(options.set, "--set", "INPUT=VALUE"),
        "title": options.title,
        "version_number": options.version_number,
        "version_id": options.version_id,
        "allow_outside": options.allow_outside,
        "max_jobs": options.max_jobs,
        "timeout": options.timeout,
        "price": options.price,
        "production": options.production,
    }


def spec_of(options: LoadOptions) -> dict[str, Any]:
    """What the load itself is given, as far as every command has it."""
    return {
        "arrival": options.arrival,
        "pick": options.pick,
        "file_size": options.file_size,
        "reuse_uploads": options.reuse_uploads,
        "max_in_flight": options.max_in_flight,
    }


def limits_of(options: LoadOptions) -> Limits:
    """The limits of the client."""
    from opus_async.load import LIMITS

    given = {"detect_lag": options.detect_lag or None, "poll_rate": options.poll_rate}
    return LIMITS.model_copy(update={name: value for name, value in given.items() if value is not None})
