"""``opus-async load report``: writes the report of a run or a search anew, and prints its summary."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from opus_async.cli.errors import Exit
from opus_async.cli.options import CommandOptions

_EPILOG = """\
report.html is one file that needs no network. With --base it shows what changed since another run, too.

example:
  opus-async load report branch --base main
"""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(CommandOptions):
    """Options of ``load report``.

    Attributes:
        directory: Of the run.
        base: Another run, to show what changed since; None for none.
        open: Whether to show the report in the browser.
    """

    directory: Path
    base: Path | None
    open: bool


OPTIONS = ReportOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("directory", type=Path, metavar="DIR", help="the directory of a run or a search")
    parser.add_argument("--base", type=Path, metavar="DIR", help="another run, to show what changed since")
    parser.add_argument("--open", action="store_true", help="show it in the browser")


def run(options: ReportOptions) -> int:
    """Write the report, and print its path."""
    from opus_async.load.report import write

    path = write(options.directory, base=options.base)
    print(path)
    if options.open:
        import webbrowser

        webbrowser.open(path.absolute().as_uri())
    return Exit.OK
