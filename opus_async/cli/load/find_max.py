"""``opus-async load find-max``: finds the highest rate at which the objectives hold."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from opus_async.cli import argument_types
from opus_async.cli.errors import print_hint
from opus_async.cli.load import confirming, load_options, running
from opus_async.cli.load.load_options import LoadOptions
from opus_async.load.choices import MAX_SEARCH_JOBS, START_RATE, WINDOW

if TYPE_CHECKING:
    from opus_async.load import LoadObserver, SearchResult
    from opus_async.load.report.live import LiveReport

_EPILOG = """\
The rate is doubled until an objective is not met or a backlog grows, then narrowed down, then confirmed in a
window three times as long. All jobs of a step are waited for before the next one. Where the platform turns
requests away (429), its rate limit is named as what limits.

example:
  opus-async load find-max --workflow B9uGJfZ3CFwOdMKH --inputs invoices.csv --slo 'e2e.p95 < 90s' \\
      --start-rate 1/s --window 60s --price 0.12 --out max-1
"""


@dataclass(frozen=True, kw_only=True)
class FindMaxOptions(LoadOptions):
    """Options of ``load find-max``.

    Attributes:
        start_rate: Jobs a second of the first step.
        window: Seconds that are measured in each step.
    """

    start_rate: float
    window: float


OPTIONS = FindMaxOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    load_options.add_inputs(parser)
    add = parser.add_argument_group("the search").add_argument
    add(
        "--start-rate",
        type=argument_types.rate,
        default=START_RATE,
        metavar="R/s",
        help=f"jobs a second of the first step ({START_RATE:g}/s)",
    )
    add(
        "--window",
        type=argument_types.duration,
        default=WINDOW,
        metavar="TIME",
        help=f"how long each step is measured ({WINDOW:g}s)",
    )
    load_options.add_rest(parser, max_jobs=MAX_SEARCH_JOBS, slo_required=True)


def run(options: FindMaxOptions) -> int:
    """Search."""
    options = load_options.checked(options)
    inputs = load_options.inputs_of(options)
    confirming.check_place(options)
    confirming.confirm(options, options.max_jobs, exact=False)

    async def begin(connect: running.Connect, observer: LoadObserver) -> SearchResult:
        from opus_async.load import find_max

        return await find_max(
            connect,
            options.inputs,
            **inputs,
            **load_options.spec_of(options),
            start_rate=options.start_rate,
            window=options.window,
            seed=options.seed,
            watching=observer,
        )

    return _told(running.work(options, begin, partial(_live, options)), options)


def _live(options: FindMaxOptions) -> LiveReport:
    from opus_async.load.report.live_search import LiveSearch
    from opus_async.load.search import SearchPlan

    plan = SearchPlan(start_rate=options.start_rate, window=options.window, max_jobs=options.max_jobs)
    return LiveSearch(options.out, plan, slo=options.slo, price=options.price)


def _told(result: SearchResult, options: FindMaxOptions) -> int:
    """Print what was found; returns the exit code."""
    from opus_async.load.terminal import search_text

    running.tell(result.summary, options, search_text)
    print_hint(f"{result.directory / 'report.html'} shows its steps.")
    return result.exit_code
