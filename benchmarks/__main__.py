"""``python -m benchmarks [NAME ...]``: runs benchmarks, and prints their figures as a Markdown table."""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

from benchmarks.harness import machine, report
from benchmarks.harness.comparison import progress
from benchmarks.harness.figures import Figure, Settings

BENCHMARKS = (
    "start",
    "job",
    "events",
    "load",
    "upload",
    "growth",
    "watch",
    "throttle",
    "polls",
    "validate",
    "batch",
    "ledger",
)


def main() -> None:
    """Run what was asked for; everything where nothing was."""
    arguments = _parser().parse_args()
    settings = Settings(
        rounds=arguments.rounds or (1 if arguments.smallest else 3),
        long_rounds=arguments.rounds or 1,
        smallest=arguments.smallest,
        instructions=arguments.instructions,
        only=arguments.only,
    )
    earlier = report.read(arguments.against) if arguments.against else None
    described, began = machine.described(), time.monotonic()
    print("\n".join([*report.machine_lines(described), "", *report.head(earlier)]), flush=True)
    figures: list[Figure] = []
    with machine.bytecode():
        for name in arguments.names or BENCHMARKS:
            for figure in importlib.import_module(f"benchmarks.{name}").run(settings):
                figures.append(figure)
                print(report.line(figure, earlier), flush=True)
    if arguments.json:
        report.save(arguments.json, described, figures)
    progress(f"{len(figures)} figures in {time.monotonic() - began:.0f} s")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help=", ".join(BENCHMARKS)
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help="how often the sides take turns; default: 3, and 1 where it takes a minute each time",
    )
    parser.add_argument(
        "--smallest", action="store_true", help="as little of everything as gives figures, one round"
    )
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="count instructions, too, by valgrind: slow, and repeatable",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="conditions whose name has these: 'text, asyncio, 64'",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as JSON")
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="compare with the JSON of an earlier run"
    )
    return parser


if __name__ == "__main__":
    main()
