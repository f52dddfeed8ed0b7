"""The command line ``opus-async``: parses arguments, calls the library, prints. README.md names the modules.

Nothing of the library imports it. aiohttp, pydantic and rich are imported when a command needs them, so that
``--help`` answers at once. stdout carries data, stderr progress.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments without the program's name; None for those of the process.

    Returns:
        The exit code, see :mod:`opus_async.cli.errors`.
    """
    from opus_async.cli.errors import READER_GONE
    from opus_async.cli.streams import safe_streams

    with safe_streams():
        try:
            code = _run(list(sys.argv[1:] if argv is None else argv))
            sys.stdout.flush()
        except BrokenPipeError:
            with suppress(OSError, ValueError):  # the interpreter flushes once more when it ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return READER_GONE
        return code


def _run(argv: list[str]) -> int:
    from opus_async.cli import debug_log, error_report, errors, parser
    from opus_async.cli.options import ConnectionOptions, from_namespace

    delegated = parser.delegated(argv)
    if delegated is not None:
        from opus_async.cli import simulate

        return simulate.run(delegated)
    try:
        found = parser.build().parse_args(argv)
    except SystemExit as ended:  # argparse has said why
        return int(ended.code or 0)
    if found.command is None:
        parser.build().print_help(sys.stderr)
        return errors.Exit.WRONG_USE
    command: parser.Command = found.module
    options = from_namespace(command.OPTIONS, found)
    debug_log.start_logging(debug=options.debug)
    try:
        return command.run(options)
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, BrokenPipeError):
            raise
        return error_report.report(
            error, debug=options.debug, api=options.api if isinstance(options, ConnectionOptions) else None
        )
