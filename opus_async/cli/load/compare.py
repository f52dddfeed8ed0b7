"""``opus-async load compare``: compares two runs of the same workload."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opus_async.cli.errors import print_error
from opus_async.cli.options import CommandOptions
from opus_async.cli.streams import deliver

_EPILOG = """\
Both must have run the same workload. Each figure gets a confidence interval (99 %, by bootstrap over blocks
of time, because jobs of a run are not independent); a change below 5 % either way, or within the noise, is
"unchanged". Without --fail-if it exits 0 whatever it found.

examples:
  opus-async load compare main branch
  opus-async load compare main branch --fail-if 'e2e.p95 > 10%' --fail-if 'error_rate > 1%' --json
"""


@dataclass(frozen=True, kw_only=True)
class CompareOptions(CommandOptions):
    """Options of ``load compare``.

    Attributes:
        base: The run that is compared with.
        new: The other one.
        fail_if: Conditions under which it fails.
        json: Whether to print JSON.
    """

    base: Path
    new: Path
    fail_if: Sequence[str]
    json: bool


OPTIONS = CompareOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("base", type=Path, metavar="BASE", help="the directory of the run to compare with")
    parser.add_argument("new", type=Path, metavar="NEW", help="the directory of the new run")
    parser.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="EXPR",
        help="exit 6 if so: 'e2e.p95 > 10%%', 'e2e.p95 worse', 'worse', 'error_rate > 1%%'",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: CompareOptions) -> int:
    """Compare, and print what was found."""
    import asyncio

    from opus_async.load.comparing import compare
    from opus_async.load.terminal import comparison_text

    result = asyncio.run(compare(options.base, options.new, fail_if=options.fail_if))
    found = result.comparison
    text = found.model_dump_json(indent=2) if options.json else comparison_text(found)
    if (loss := deliver(text)) is not None:
        print_error(f"stdout cannot be written: {loss.reason}")
    for breach in result.breaches:
        print_error(f"--fail-if {breach}")
    return result.exit_code
