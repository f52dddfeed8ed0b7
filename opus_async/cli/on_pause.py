"""``--on-pause COMMAND``: a program of the user's gives the text with which a paused run goes on.

It gets the run as one JSON object on stdin and prints the text on stdout. No shell is involved: the command
is split into words once, before anything is sent, and nothing of a run is ever among them.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
from dataclasses import dataclass

from opus_async.cli.argument_types import duration
from opus_async.cli.errors import WrongUse

TIMEOUT = 600.0
"""Seconds that a command may take: while it runs, its row holds a slot."""


@dataclass(frozen=True, kw_only=True)
class PauseOptions:
    """How paused runs are answered.

    Attributes:
        on_pause: The command; None to leave them paused.
        on_pause_timeout: Seconds that it may take.
    """

    on_pause: str | None
    on_pause_timeout: float


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    group = parser.add_argument_group("when a run waits for a person, where the platform lets it be answered")
    group.add_argument(
        "--on-pause",
        metavar="COMMAND",
        help="run this for each, without a shell: it gets the run as JSON on stdin and prints the text that "
        "it goes on with; with another exit code than 0, or no text, the run stays paused",
    )
    group.add_argument(
        "--on-pause-timeout",
        type=duration,
        default=TIMEOUT,
        metavar="TIME",
        help=f"how long that may take ({TIMEOUT / 60:g}m); then it is killed, and the run stays paused",
    )


def words_of(command: str) -> list[str]:
    """Split a command into the words of a program and its arguments, as a shell would; nothing is expanded.

    Raises:
        WrongUse: It has no words, open quotes, or a program that is not there.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise WrongUse(f"--on-pause: {command!r} cannot be split into words: {error}") from None
    if not words:
        raise WrongUse("--on-pause: give a command")
    if shutil.which(words[0]) is None:
        raise WrongUse(
            f"--on-pause: there is no program {words[0]!r}; no shell reads the command, so for pipes or "
            "variables say: sh -c '...'"
        )
    return words
