"""How this program was called: the commands that we tell people to type have to work as they stand."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "opus-async"


def program_name() -> str:
    """The program as its user typed it: by its path where a shell would find none of its name, or another."""
    script = Path(sys.argv[0])
    if script.name != NAME:  # python -m, or a program that calls main()
        return NAME
    found = shutil.which(NAME)
    if found is not None and Path(found).resolve() == script.resolve():
        return NAME
    return shlex.quote(sys.argv[0])


def command_line(*words: str, api: str | None = None) -> str:
    """A command of ours, to be typed; with ``--api`` where that was given."""
    more = ("--api", api) if api else ()
    return " ".join((program_name(), *map(shlex.quote, (*words, *more))))
