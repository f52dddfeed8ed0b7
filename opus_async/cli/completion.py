"""``--print-completion SHELL``: a script with which a shell completes commands, options and files.

The script is made by shtab, of the extra ``completion``; a press of the tab key then starts no Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from opus_async.cli import program

SHELLS = ("bash", "zsh", "tcsh")
_FILE = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
_FOLDER = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "tcsh": "d"}


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--print-completion``."""
    parser.add_argument(
        "--print-completion",
        choices=SHELLS,
        metavar="SHELL",
        help=f"print a script that completes commands and options in {', '.join(SHELLS)}",
    )


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Make the script of a shell.

    Args:
        parser: Of the whole command line.
        shell: One of ``SHELLS``.

    Raises:
        WrongUse: shtab is not installed.
    """
    from opus_async.cli.errors import WrongUse

    try:
        shtab = import_module("shtab")  # by name: an extra, which type checkers need not have
    except ImportError:
        raise WrongUse("--print-completion takes pip install 'opus-async[completion]'") from None
    for action in _actions(parser):
        if action.type is Path or action.metavar in {"DIR", "FILE", "PATH", "MANIFEST"}:
            action.complete = _FOLDER if action.metavar == "DIR" else _FILE  # type: ignore[attr-defined]
    made: str = shtab.complete(parser, shell=shell, root_prefix=program.NAME.replace("-", "_"))
    return made


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments, those of commands and verbs, too."""
    for action in parser._actions:  # noqa: SLF001 - argparse tells them in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - nor this
            for below in action.choices.values():
                yield from _actions(below)
        else:
            yield action
