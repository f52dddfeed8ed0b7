"""The name by which this program was called, for commands that are printed to be typed again."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "opus-async"


def program_name() -> str:
    """The program as it has to be typed: its path where a shell does not find it by its name."""
    script = Path(sys.argv[0])
    if script.name != NAME:  # python -m, or a program that calls main()
        return NAME
    found = shutil.which(NAME)
    if found is not None and Path(found).resolve() == script.resolve():
        return NAME
    return shlex.quote(sys.argv[0])


def command_line(*words: str, api: str | None = None) -> str:
    """A command of this program, quoted for a shell; with ``--api`` where that was given."""
    more = ("--api", api) if api else ()
    return " ".join((program_name(), *map(shlex.quote, (*words, *more))))
