"""The argument parser, and which module is behind each command.

Every command module has ``configure(parser)`` and ``run(options) -> exit code``. It is imported when its
command is chosen, and is cheap to import: what it works with it imports inside ``run``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from opus_async.cli import completion, platforms, program
from opus_async.cli.argument_parser import ArgumentParser
from opus_async.exits import Exit

if TYPE_CHECKING:
    from opus_async.cli.options import CommandOptions

SIMULATE = "simulate"
_DEBUG, _ENV_FILE = "--debug", "--env-file"

COMMANDS = {
    "demo": "see it work: 200 real documents through an embedded Opus; needs no key and no network",
    SIMULATE: "serve an embedded Opus on this machine, to develop and test against",
    "doctor": "check key, network, certificate, clock, API and limits; say how to fix what is wrong",
    "workflow": "look at a workflow: show ID",
    "run": "run one job and print its outputs as JSON",
    "wait": "wait for a job, whoever started it, and print its outputs as JSON",
    "audit": "see what a job did, node by node, and what failed",
    "operativus": "the second platform: workflows, run, runs, resume, apply and more",
    "batch": "a job for every row of a manifest, durable: validate, run, resume, status, export ...",
    "load": "load tests whose unit is the job: run, find-max, compare, report",
}
"""Command -> what it does, in the order of the help. Its module, or package, has the same name."""

_EPILOG = """\
first steps:
  opus-async demo                      see it work, without a key
  opus-async doctor                    is this machine ready for the real one?
  opus-async workflow show ID          what does a workflow want?
  opus-async run ID --file Document=invoice.pdf    run one job
  opus-async wait JOB                  go on waiting, print what it gave
  opus-async batch run invoices.csv --workflow ID --out invoices-batch
                                       run thousands

environment (also read from .env in the current directory, or --env-file FILE; the environment wins):
"""
_EXIT_CODES_FOLLOW = """
exit codes:
"""
_EXIT_CODES = {
    Exit.OK: "all well",
    Exit.FAILED: "some jobs failed, or it could not be done",
    Exit.WRONG_USE: "wrong use, bad inputs, or a manifest that cannot be run",
    Exit.HALTED: "a batch was halted by --halt, an outage or a full disk",
    Exit.NOT_ALLOWED: "key, permission, quota or configuration, or the host is out of reach",
    Exit.UNKNOWN: "an outcome is unknown and needs a decision",
    Exit.SLO_FAILED: "a load test did not meet an objective, or a comparison failed",
    Exit.INVALID_LOAD: "the figures of a load test are worth nothing: INVALID",
    Exit.INTERRUPTED: "interrupted",
}
"""Exit code -> what it means, in the help; docs/reference/exit-codes.md has the same."""

_ELSEWHERE = {
    **dict.fromkeys(("help", "?"), f"{program.NAME} --help"),
    "version": f"{program.NAME} --version",
    "show": f"{program.NAME} workflow show",
    **{verb: f"{program.NAME} batch {verb}" for verb in ("validate", "resume", "retry", "resolve", "status")},
    **{verb: f"{program.NAME} batch {verb}" for verb in ("export", "report")},
    **{verb: f"{program.NAME} load {verb}" for verb in ("find-max", "compare")},
}
"""Word that is no command -> what its user may have meant."""


class Command(Protocol):
    """The interface of a command module; one with verbs of its own has ``configure`` alone."""

    OPTIONS: type[CommandOptions]

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments."""

    def run(self, options: Any) -> int:
        """Run the command; returns the exit code, or raises what :func:`error_report.report` explains.

        Args:
            options: An instance of ``OPTIONS``.
        """


def delegated(argv: Sequence[str]) -> list[str] | None:
    """The arguments of ``simulate``, which has a parser of its own; None for any other command."""
    words = iter(argv)
    for word in words:
        if word == SIMULATE:
            return list(words)
        if word == _ENV_FILE:
            next(words, None)
        elif word != _DEBUG and not word.startswith(f"{_ENV_FILE}="):
            return None
    return None


def build(*, whole: bool = False) -> ArgumentParser:
    """Make the parser of the command line.

    Args:
        whole: Whether all commands have their arguments, those of ``simulate`` included, which that command
            parses itself; else each gets them when it is chosen.
    """
    from opus_async import __version__

    parser = ArgumentParser(
        prog=program.NAME,
        description="Run Opus workflow jobs from the command line.",
        epilog=_EPILOG + _environment() + _EXIT_CODES_FOLLOW + _exit_codes(),
        elsewhere=_ELSEWHERE,
    )
    parser.add_argument("-V", "--version", action="version", version=f"{program.NAME} {__version__}")
    completion.add_option(parser)
    _add_debug(parser, default=False)
    _add_env_file(parser, default=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for word, summary in COMMANDS.items():
        if word == SIMULATE:  # listed here, parsed there
            commands.add_parser(word, help=summary, description=_sentence(summary), later=_simulate)
        else:
            add_command(commands, word, summary, f"{__package__}.{word}", shown=True)
    if whole:
        parser.add_all_arguments()
    return parser


def add_command(
    commands: argparse._SubParsersAction[Any],
    word: str,
    summary: str,
    module: str,
    *,
    shown: bool = False,
) -> None:
    """Add a command, or a verb of one; its module is imported when it is chosen, and adds its arguments then.

    Args:
        commands: Where it is added.
        word: Its name.
        summary: What it does.
        module: The full name of its module, a :class:`Command`.
        shown: Whether its help shows the options that every command has.
    """

    def later(parser: ArgumentParser) -> None:
        command = cast("Command", import_module(module))
        parser.set_defaults(module=command)
        command.configure(parser)
        add_everywhere(parser, shown=shown)

    commands.add_parser(word, help=summary, description=_sentence(summary), later=later)


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _simulate(parser: argparse.ArgumentParser) -> None:
    from opus_async.simulator.cli import add_arguments

    add_arguments(parser)


def _environment() -> str:
    """The variables of all platforms, a line each."""
    named = [line for entry in platforms.entries() for line in entry.help]
    width = max(len(name) for name, _ in named)
    return "".join(f"  {name:<{width}}  {meaning}\n" for name, meaning in named)


def _exit_codes() -> str:
    return "".join(f"  {code:<4} {meaning}\n" for code, meaning in _EXIT_CODES.items())


def add_everywhere(parser: argparse.ArgumentParser, *, shown: bool = True) -> None:
    """Add ``--debug`` and ``--env-file`` without defaults, which would undo those given before the command.

    Args:
        parser: The parser of a command or a verb.
        shown: Whether its help shows them.
    """
    _add_debug(parser, default=argparse.SUPPRESS, shown=shown)
    _add_env_file(parser, default=argparse.SUPPRESS, shown=shown)


def _add_debug(parser: argparse.ArgumentParser, *, default: bool | str, shown: bool = True) -> None:
    parser.add_argument(
        _DEBUG,
        action="store_true",
        default=default,
        help="log every step on stderr, and show tracebacks" if shown else argparse.SUPPRESS,
    )


def _add_env_file(parser: argparse.ArgumentParser, *, default: str | None, shown: bool = True) -> None:
    meaning = "read settings from this file instead of .env; its hosts may get the key"
    parser.add_argument(
        _ENV_FILE,
        type=Path,
        metavar="FILE",
        default=default,
        help=meaning if shown else argparse.SUPPRESS,
    )
