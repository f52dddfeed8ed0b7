"""``opus-async load run``: runs a load, measures it, and judges it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from opus_async.cli import argument_types
from opus_async.cli.errors import print_hint
from opus_async.cli.load import confirming, load_options, running
from opus_async.cli.load.load_options import LoadOptions
from opus_async.load.choices import MAX_JOBS

if TYPE_CHECKING:
    from opus_async.load import LoadObserver, LoadResult
    from opus_async.load.report.live import LiveReport

_EPILOG = """\
A load is open (--rate, --stages: jobs come when they come) or closed (--concurrency: so many users, each with
one job at a time). It ends after --duration, which begins after the warm-up, or after --jobs.

stdout gets the summary, stderr the progress; DIR gets summary.json, samples.jsonl (a line for each job),
latency.hgrm and report.html. The first Ctrl-C starts no more jobs and waits --drain for those that are
ordered; the second leaves at once. Either way the results are written, INVALID.

examples:
  opus-async load run --workflow B9uGJfZ3CFwOdMKH --inputs invoices.csv --rate 20/s --duration 5m \\
      --warm-up 30s --slo 'e2e.p95 < 90s' --slo 'error_rate < 1%' --price 0.12 --out load-1
  opus-async load run --workflow B9uGJfZ3CFwOdMKH --inputs 'scans/*.pdf' --stages 0..5/s:2m,5/s:5m \\
      --out ramp
  opus-async load run --workflow B9uGJfZ3CFwOdMKH --file-size lognormal:200KB --concurrency 50 --think 2s \\
      --jobs 500 --out closed
"""


@dataclass(frozen=True, kw_only=True)
class LoadRunOptions(LoadOptions):
    """Options of ``load run``.

    Attributes:
        rate: Jobs a second.
        stages: Rates over time.
        concurrency: Users of a closed model.
        think: Seconds that each of them thinks.
        duration: Seconds.
        jobs: Jobs in all.
        warm_up: Seconds.
        abort_on_breach: Whether it ends as soon as an objective cannot be met any more.
    """

    rate: float | None
    stages: str | None
    concurrency: int | None
    think: float
    duration: float | None
    jobs: int | None
    warm_up: float
    abort_on_breach: bool


OPTIONS = LoadRunOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    load_options.add_inputs(parser)
    group = parser.add_argument_group("the load")
    how = group.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=argument_types.rate, metavar="N/s", help="jobs a second: 20/s, 600/m")
    how.add_argument("--stages", metavar="STAGES", help="rates over time: 0..50/s:2m,50/s:5m")
    how.add_argument("--concurrency", type=argument_types.count, metavar="N", help="so many users")
    add = group.add_argument
    add(
        "--think",
        type=argument_types.duration_from_zero,
        default=0.0,
        metavar="TIME",
        help="how long each user waits between two jobs (0)",
    )
    until = group.add_mutually_exclusive_group()
    until.add_argument(
        "--duration", type=argument_types.duration, metavar="TIME", help="of the load, after the warm-up"
    )
    until.add_argument("--jobs", type=argument_types.count, metavar="N", help="jobs in all, warm-up included")
    add(
        "--warm-up",
        type=argument_types.duration_from_zero,
        default=0.0,
        metavar="TIME",
        help="time at the beginning that is left out of all latency figures (0)",
    )
    parser.add_argument(
        "--abort-on-breach",
        action="store_true",
        help="end, INVALID, as soon as an objective cannot be met any more: it saves the rest of the jobs",
    )
    load_options.add_rest(parser, max_jobs=MAX_JOBS, slo_required=False)


def run(options: LoadRunOptions) -> int:
    """Run the load."""
    from opus_async.load import api
    from opus_async.load.spec import planned

    options = load_options.checked(options)
    load = {
        **load_options.spec_of(options),
        "rate": options.rate,
        "stages": options.stages,
        "concurrency": options.concurrency,
        "think": options.think,
        "duration": options.duration,
        "jobs": options.jobs,
        "warm_up": options.warm_up,
    }
    inputs = load_options.inputs_of(options)
    spec = api.spec_of(workflow_id=options.workflow, seed=options.seed, **load)
    plan = planned(spec, max_jobs=options.max_jobs)
    confirming.check_place(options)
    confirming.confirm(options, plan.jobs, exact=plan.exact)

    async def begin(connect: running.Connect, observer: LoadObserver) -> LoadResult:
        async with connect() as client:
            return await api.run_load(
                client,
                options.inputs,
                **inputs,
                **load,
                seed=spec.seed,
                abort_on_breach=options.abort_on_breach,
                watching=observer,
            )

    return _told(running.work(options, begin, partial(_live, options)), options)


def _live(options: LoadRunOptions) -> LiveReport:
    from opus_async.load.report.live import LiveLoad

    return LiveLoad(options.out, options.price)


def _told(result: LoadResult, options: LoadRunOptions) -> int:
    """Print the summary; returns the exit code."""
    from opus_async.load.terminal import run_text

    running.tell(result.summary, options, run_text)
    print_hint(f"{result.directory / 'report.html'} shows it over time.")
    return result.exit_code
