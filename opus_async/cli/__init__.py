"""The command line ``opus-async``: parses arguments, calls the library, prints. README.md names the modules.

Nothing of the library imports it. aiohttp, pydantic and rich are imported when a command needs them, so that
``--help`` answers at once. stdout carries data, stderr progress.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments without the program's name; None for those of the process.

    Returns:
        The exit code, see :mod:`opus_async.cli.errors`.
    """
    from opus_async.cli.streams import safe_streams
    from opus_async.cli.unfailing import OutputLost, hold_descriptors

    hold_descriptors()
    with safe_streams():
        try:
            code = _run(list(sys.argv[1:] if argv is None else argv))
        except OutputLost:
            code = 0
        return _honest(code)


def _complete(shell: str) -> int:
    """Print the script with which a shell completes."""
    from opus_async.cli import completion, errors, parser
    from opus_async.cli.errors import Exit, WrongUse

    try:
        print(completion.script(parser.build(whole=True), shell))
    except WrongUse as error:
        errors.print_error(str(error))
        return Exit.WRONG_USE
    return Exit.OK


def _honest(code: int) -> int:
    """The exit code of a command: not 0 when what it printed was lost, and nobody has told of it."""
    from opus_async.cli.streams import lost

    loss = lost()
    if loss is None:
        return code
    from opus_async.cli import errors

    if loss.reader_gone:
        return code or errors.READER_GONE
    errors.print_error(f"stdout cannot be written: {loss.reason}; what it was to get is lost")
    return code or errors.Exit.FAILED


def _run(argv: list[str]) -> int:
    from opus_async.cli import parser
    from opus_async.exits import Exit

    delegated = parser.delegated(argv)
    if delegated is not None:
        from opus_async.cli import simulate

        return simulate.run(delegated)
    try:
        found = parser.build().parse_args(argv)
    except SystemExit as ended:  # argparse has said why
        return int(ended.code or 0)
    if found.print_completion is not None:
        return _complete(found.print_completion)
    if found.command is None:
        parser.build().print_help(sys.stderr)
        return Exit.WRONG_USE
    from opus_async.cli import debug_log, error_report, platforms
    from opus_async.cli.options import from_namespace

    command: parser.Command = found.module
    options = from_namespace(command.OPTIONS, found)
    debug_log.start_logging(debug=options.debug)
    return error_report.explaining(
        partial(command.run, options), debug=options.debug, target=platforms.target_of(options)
    )
