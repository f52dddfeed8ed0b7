"""``opus-async batch status``: prints how a batch stands, while it runs or after its process died."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.cli import platforms, web
from opus_async.cli.batch import existing_batch, status_text
from opus_async.cli.errors import Exit, print_hint
from opus_async.cli.event_loop import drive
from opus_async.cli.options import CommandOptions
from opus_async.cli.program import command_line
from opus_async.cli.streams import controls, lost
from opus_async.cli.web import WebOptions

if TYPE_CHECKING:
    from opus_async.batch.outputs.status import Status
    from opus_async.live_page.source import Source

_EVERY = 2.0
"""Seconds between two readings of the ledger with ``--watch``, of the lock with ``--web``."""
_CLEAR = "\x1b[H\x1b[J"

_EPILOG = """\
It only reads, and disturbs nobody. Times left are a range, as far as the last minutes tell.

examples:
  opus-async batch status invoices-batch
  opus-async batch status invoices-batch --watch
  opus-async batch status invoices-batch --web
  opus-async batch status invoices-batch --json | jq .completed
"""


@dataclass(frozen=True, kw_only=True)
class StatusOptions(CommandOptions, WebOptions):
    """Options of ``batch status``.

    Attributes:
        directory: The batch directory.
        json: Whether to print JSON.
        watch: Whether to print again every two seconds until no process works on the batch.
    """

    directory: Path
    json: bool
    watch: bool


OPTIONS = StatusOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("directory", type=Path, metavar="DIR", help="the batch directory")
    parser.add_argument("--json", action="store_true", help="one JSON object; with --watch one a line")
    following = parser.add_mutually_exclusive_group()
    following.add_argument(
        "--watch", action="store_true", help="look again every 2 s until nobody works on it"
    )
    web.configure(following, "until nobody works on it")


def run(options: StatusOptions) -> int:
    """Print the state of the batch, once or until no process works on it."""
    from opus_async.batch.outputs.status import read_status
    from opus_async.progress.display import is_live

    existing_batch.read_meta(options.directory)
    if options.web is not None:
        drive(_serve(options))
    redraw = options.watch and not options.json and is_live(sys.stdout, os.environ)
    while True:
        status = read_status(options.directory)
        over = not options.watch or status.process is None
        _show(status, options, redraw=redraw, whole=over)
        if over or lost() is not None:
            return Exit.OK
        time.sleep(_EVERY)


async def _serve(options: StatusOptions) -> None:
    """Serve the live page until no process works on the batch."""
    import asyncio

    from opus_async.batch.ledger.lock import holder

    if holder(options.directory) is None:
        report = command_line("batch", "report", str(options.directory), "--open")
        print_hint(f"Nobody works on it, so there is nothing to follow. Its report: {report}")
        return
    async with web.live_page(options, lambda: _live_batch(options.directory), _tell):
        while holder(options.directory) is not None:  # noqa: ASYNC110 - that process tells nobody of its end
            await asyncio.sleep(_EVERY)


def _live_batch(directory: Path) -> Source:
    from opus_async.batch.report.live import LiveBatch

    return LiveBatch(directory)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(status: Status, options: StatusOptions, *, redraw: bool, whole: bool) -> None:
    from opus_async.batch.outputs.status import as_json

    if options.json:
        answer = platforms.entry(status.platform).answer_words
        print(
            json.dumps(as_json(status, answer), indent=None if options.watch else 2, ensure_ascii=False),
            flush=True,
        )
        return
    text = status_text.as_text(status)
    if redraw:
        controls(sys.stdout).write(_CLEAR)
        text = text if whole else _cut(text, shutil.get_terminal_size().lines - 1)
    print(text, flush=True)


def _cut(text: str, most: int) -> str:
    """The first lines of a text, so that its beginning stays on the screen."""
    lines = text.splitlines()
    return text if len(lines) <= most else "\n".join([*lines[: most - 1], "..."])
