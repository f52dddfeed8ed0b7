"""``opus-async batch validate``: checks a manifest against the workflow and the disk."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.cli import host_trouble, platforms
from opus_async.cli.argument_types import STDOUT, output_file
from opus_async.cli.batch import run_options, spec_options, validation_text
from opus_async.cli.batch.run_options import LimitOptions
from opus_async.cli.batch.spec_options import ManifestOptions
from opus_async.cli.errors import Exit, WrongUse
from opus_async.cli.event_loop import drive
from opus_async.cli.streams import SafeStream, controls
from opus_async.cli.tables import terminal_width
from opus_async.errors import ConfigurationError
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.manifests.problem import Problem
    from opus_async.manifests.validation.result import Validation

_EPILOG = """\
Every row is checked: columns and types, missing files, their types and sizes, keys that come twice. Files
are looked at and not read, and nothing is sent but the question for the workflow. stdout gets which column
fills which input, the problems by kind, and what the rest will take; --json gets every single problem. The
exit code is 2 when a row cannot be run.

examples:
  opus-async batch validate invoices.csv --workflow B9uGJfZ3CFwOdMKH
  opus-async batch validate invoices.csv --workflow B9uGJfZ3CFwOdMKH --json - |
      jq '.problems[].where'
"""


@dataclass(frozen=True, kw_only=True)
class ValidateOptions(ManifestOptions, LimitOptions):
    """Options of ``batch validate``.

    Attributes:
        json: The file that gets every problem as JSON, ``-`` for stdout; None for none.
    """

    json: Path | None


OPTIONS = ValidateOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    spec_options.add_manifest(parser)
    add = parser.add_argument
    add(
        "--json",
        type=output_file,
        metavar="FILE",
        help="every problem, and the rest, as one JSON object; - for stdout",
    )
    add(
        "--accept-second-bill",
        action="store_true",
        help="rows that may have been billed are no problem",
    )
    spec_options.add_outside(parser)
    spec_options.add_order(parser)
    spec_options.add_reading(parser)
    run_options.add_limits(parser)
    platforms.configure(parser, choose=True)


def run(options: ValidateOptions) -> int:
    """Check the manifest, and print what was found."""
    options = spec_options.checked(options)
    manifest = spec_options.manifest_of(options)
    with _opened(options.json, manifest) as writer:
        validation = drive(_validated(options, manifest, writer))
        writer.end(validation)
    if options.json != STDOUT:
        print(validation_text.table(validation, terminal_width()))
    return Exit.OK if validation.ok else Exit.WRONG_USE


async def _validated(options: ValidateOptions, manifest: str, writer: ProblemWriter) -> Validation:
    from opus_async.batch.options import BatchSpec, ManifestPolicy, ManifestSource
    from opus_async.batch.planning.open_batch import validate_manifest
    from opus_async.manifests.validation.estimate import ThroughputAssumptions
    from opus_async.metrics.progress import Progress
    from opus_async.progress import display

    limits = run_options.limits_of(options)
    progress = Progress()
    progress.preparing = "reading the workflow"

    def tell(rows: int) -> None:
        progress.preparing = f"{counted(rows, 'row')} checked"

    board = display.make(
        progress, "validate", plain=options.debug, guard=SafeStream, controls=controls(sys.stderr)
    )
    listeners = [host_trouble.listener(board.say, progress)]
    async with (
        platforms.connect(options, limits=limits, listeners=listeners) as client,
        display.DisplayTask(board),
    ):
        return await validate_manifest(
            client,
            BatchSpec(workflow_id=options.workflow, **spec_options.order_of(options)),
            ManifestSource.of(manifest, **spec_options.reading_of(options)),
            rules=ManifestPolicy(
                accept_second_bill=options.accept_second_bill,
                allow_outside=options.allow_outside,
                allow_queries=options.allow_queries,
            ),
            pace=ThroughputAssumptions(
                max_in_flight=options.max_in_flight or ThroughputAssumptions().max_in_flight,
                rate=limits.api_rate,
            ),
            price=options.price,
            on_problem=writer.add,
            on_progress=tell,
        )


class ProblemWriter:
    """Writes a validation as one JSON object: each problem on a line when it is found, then the rest.

    Args:
        write: Called with the text, piece by piece.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._count = 0

    def add(self, problem: Problem) -> None:
        """Write one problem."""
        self._write(f"{self._before()}{_as_json(problem.as_json())}")
        self._count += 1

    def end(self, validation: Validation) -> None:
        """Write everything but the problems, and end the object."""
        rest = {
            name: value for name, value in validation.as_json().items() if name not in {"errors", "warnings"}
        }
        begun = "\n" if self._count else self._before()
        self._write(f"{begun}], {_as_json(rest)[1:]}\n")

    def _before(self) -> str:
        return ",\n" if self._count else '{"problems": [\n'


@contextmanager
def _opened(destination: Path | None, manifest: str) -> Iterator[ProblemWriter]:
    """Open what ``--json`` names: stdout, or a file that is written whole or not at all; None for nowhere.

    Raises:
        WrongUse: The file cannot be written, or is the manifest or a batch's.
    """
    if destination is None or destination == STDOUT:
        yield ProblemWriter(sys.stdout.write if destination else lambda _: None)
        return
    from opus_async.batch.outputs import destinations
    from opus_async.disk import atomic_write

    try:
        destinations.check(destination, [Path(manifest)])
    except ConfigurationError as error:
        raise WrongUse(f"--json: {error.message}") from None
    try:
        with atomic_write(destination, private=False) as file:
            yield ProblemWriter(lambda text: file.write(text.encode(errors="replace")))
    except OSError as error:
        raise WrongUse(f"--json: {destination} cannot be written ({error.strerror})") from None


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
