"""``opus-async batch report``: writes the reports of a batch from its ledger."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from opus_async.cli.batch import existing_batch
from opus_async.cli.errors import Exit, WrongUse
from opus_async.cli.options import CommandOptions

_EPILOG = """\
report.html is one file that needs no network. Each run of a batch writes it in the end; this writes it now,
while the batch runs, or after the process died.

example:
  opus-async batch report invoices-batch --open
"""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(CommandOptions):
    """Options of ``batch report``.

    Attributes:
        directory: The batch directory.
        open: Whether to show the report in the browser.
    """

    directory: Path
    open: bool


OPTIONS = ReportOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("directory", type=Path, metavar="DIR", help="the batch directory")
    parser.add_argument("--open", action="store_true", help="show it in the browser")


def run(options: ReportOptions) -> int:
    """Write all reports, and print the path of the HTML one."""
    from opus_async.batch import report
    from opus_async.batch.outputs import failures, summary
    from opus_async.layout import REPORT

    existing_batch.read_meta(options.directory)
    for write in (failures.write, summary.write, report.write):
        write(options.directory)
    path = options.directory / REPORT
    print(path)
    if options.open:
        _show(path)
    return Exit.OK


def _show(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.absolute().as_uri()):
        raise WrongUse(f"there is no browser to show it in: open {path} yourself")
