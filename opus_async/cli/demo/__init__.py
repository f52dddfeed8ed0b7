"""``opus-async demo``: runs a batch of real documents on an embedded simulator, and checks every answer.

documents, contents, pdf, png   make documents of several types that programs can open
folder                          the output folder
running                         runs the batch
findings                        compares every answer with its file on disk
summary                         what came of it, as text and JSON
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from opus_async.cli import argument_types
from opus_async.cli.errors import Failed, Interrupted, print_error
from opus_async.cli.event_loop import drive
from opus_async.cli.options import CommandOptions
from opus_async.cli.streams import deliver

JOBS, IN_FLIGHT, OUT = 200, 64, "opus-demo"

_EPILOG = """\
The simulator is a process of its own on this machine: no key is needed, no request leaves it. The documents
are real text, CSV, JSON, HTML, XML, PNG and PDF files; the simulator reads the bytes it receives, and every
digest, size and type it reports is compared with the file on disk.

examples:
  opus-async demo
  opus-async demo --faults flaky                  lost answers, broken uploads, 429s: nothing runs twice
  opus-async demo --jobs 1000 --max-in-flight 300
"""


@dataclass(frozen=True, kw_only=True)
class DemoOptions(CommandOptions):
    """Options of ``demo``.

    Attributes:
        jobs: Documents, one job each.
        out: The folder for everything made.
        faults: What goes wrong on the way, one of ``PROFILES``.
        seed: What documents, run times and faults depend on.
        max_in_flight: Jobs at once.
        fail_share: Share of runs that fail, 0 to 1.
        json: Whether to print the summary as JSON.
    """

    jobs: int
    out: Path
    faults: str
    seed: int
    max_in_flight: int
    fail_share: float
    json: bool


OPTIONS = DemoOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    from opus_async.simulator import PROFILES

    parser.epilog = _EPILOG
    add = parser.add_argument
    add(
        "--jobs",
        type=argument_types.count,
        default=JOBS,
        metavar="N",
        help="documents, one job each (%(default)s)",
    )
    add(
        "--out",
        type=Path,
        default=Path(OUT),
        metavar="DIR",
        help="folder for everything made (%(default)s); DIR-2 where an earlier demo is there",
    )
    add("--faults", choices=tuple(PROFILES), default="none", help="what goes wrong on the way (%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="what documents, run times and faults depend on (0)")
    add(
        "--max-in-flight",
        type=argument_types.count,
        default=IN_FLIGHT,
        metavar="N",
        help="jobs at once (%(default)s)",
    )
    add(
        "--fail-share",
        type=argument_types.share,
        default=0.0,
        metavar="SHARE",
        help="share of runs that fail, 0 to 1 (0)",
    )
    add("--json", action="store_true", help="the summary as one JSON object on stdout")


def run(options: DemoOptions) -> int:
    """Run the demo, and print its summary."""
    from opus_async.cli.demo import documents, folder, running, summary

    out = folder.prepare(options.out)
    if out != options.out:
        print(
            f"demo: {options.out} holds an earlier demo and stays as it is: this one is in {out}",
            file=sys.stderr,
        )
    made = list(documents.make(out / folder.DOCUMENTS, options.jobs, options.seed))
    print(f"demo: {summary.described(made)} in {out / folder.DOCUMENTS}", file=sys.stderr)
    demo = running.Demo(
        made,
        out,
        faults=options.faults,
        seed=options.seed,
        max_in_flight=options.max_in_flight,
        fail_share=options.fail_share,
        plain=options.debug,
    )
    try:
        findings = drive(demo.run())
    except KeyboardInterrupt:
        raise Interrupted(
            f"{demo.progress.done} of {options.jobs} jobs had ended. The simulator is gone, and the other "
            f"jobs with it; what was done is in {out}."
        ) from None
    except running.SimulatorStartError as error:
        raise Failed(str(error)) from None
    text = json.dumps(summary.as_json(findings), indent=2) if options.json else summary.as_text(findings, out)
    if (loss := deliver(text)) is not None:
        print_error(f"stdout cannot be written: {loss.reason}; everything made is in {out}")
    return findings.exit_code
