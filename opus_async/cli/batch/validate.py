"""``opus-async batch validate``: a manifest, held against the workflow and the disk."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from opus_async.cli import connection
from opus_async.cli.batch import ordering, pacing, problems
from opus_async.cli.errors import Exit, WrongUse
from opus_async.cli.tables import terminal_width

if TYPE_CHECKING:
    from opus_async.batch.problems import Problem
    from opus_async.batch.validate import Validation

_EPILOG = """\
Every row is checked: columns and types, missing files, their types and sizes, keys that come twice. Files are
looked at and not read, and nothing is sent but the question for the workflow. stdout gets which column fills
which input, the problems by kind, and what the rest will take; --json gets every single problem. Exit code 2 when
any row cannot be run.

examples:
  opus-async batch validate invoices.csv --workflow B9uGJfZ3CFwOdMKH
  opus-async batch validate invoices.csv --workflow B9uGJfZ3CFwOdMKH --json - | jq '.problems[].where'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    ordering.add_manifest(parser)
    add = parser.add_argument
    add("--json", type=Path, metavar="FILE", help="every problem, and the rest, as one JSON object; - is stdout")
    add("--accept-second-bill", action="store_true", help="as in run: rows of a failures.jsonl are no problem then")
    ordering.add_order(parser)
    ordering.add_reading(parser)
    pacing.add_limits(parser)
    connection.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Check it."""
    manifest = ordering.manifest_of(options)
    with _told(options.json) as told:
        validation = connection.drive(_validated(options, manifest, told))
        told.end(validation)
    if options.json != STDOUT:
        print(problems.table(validation, terminal_width()))
    return Exit.OK if validation.ok else Exit.WRONG_USE


async def _validated(options: argparse.Namespace, manifest: str, told: Problems) -> Validation:
    from opus_async.batch.estimate import Pace
    from opus_async.batch.opening import examine
    from opus_async.batch.options import Order, Source
    from opus_async.batch.progress import Progress
    from opus_async.cli import display

    limits = pacing.limits_of(options)
    progress = Progress()
    progress.preparing = "reading the workflow"

    def tell(rows: int) -> None:
        progress.preparing = f"{rows:,} rows checked"

    board = display.make(progress, "validate", plain=options.debug)
    async with connection.connect(options, limits=limits) as opus, display.Showing(board):
        return await examine(
            opus,
            Order(workflow_id=options.workflow, **ordering.order_of(options)),
            Source.of(manifest, **ordering.reading_of(options)),
            accept_second_bill=options.accept_second_bill,
            pace=Pace(max_in_flight=options.max_in_flight or Pace().max_in_flight, rate=limits.api_rate),
            on_problem=told.add,
            on_progress=tell,
        )
