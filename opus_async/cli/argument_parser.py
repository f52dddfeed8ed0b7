"""Argparse with what that of Python 3.11 lacks: help that fits the terminal, suggestions for misspelt words.

Texts of descriptions and epilogs: paragraphs are filled to the width; indented lines stay as they are, but a
line of two columns (two blanks between them) has its second column folded below itself.
"""

from __future__ import annotations

import argparse
import itertools
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from opus_async.cli.streams import symbols

_COLUMNS = re.compile(r"( +\S(?:.*?\S)?  +)(\S.*)")
_NARROWEST = 20
_USAGE = 2
"""The exit code of wrong use, as argparse has it."""
_REQUIRED = "the following arguments are required: "
_ONE_REQUIRED = re.compile(r"one of the arguments (.+) is required")
"""How argparse says what is missing; what it would say otherwise is printed as it is."""
_FEWEST = 3
"""Letters of a word before another that begins with it is taken for what was meant."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Fits descriptions and epilogs to the width of the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = _filled(text.splitlines(), max(width, _NARROWEST))
        return "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)


def _filled(lines: Iterable[str], width: int) -> Iterator[str]:
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        yield from textwrap.wrap(" ".join(paragraph), width, break_long_words=False, break_on_hyphens=False)
        paragraph = []
        columns = _COLUMNS.fullmatch(line)
        if columns and len(line) > width > len(columns[1]) + _NARROWEST:
            fold = textwrap.TextWrapper(
                width,
                initial_indent=columns[1],
                subsequent_indent=" " * len(columns[1]),
                break_long_words=False,
                break_on_hyphens=False,
            )
            yield from fold.wrap(columns[2])
        else:
            yield line


class ArgumentParser(argparse.ArgumentParser):
    """A parser of a command; its verbs get parsers of this class, too.

    Args:
        later: Adds the arguments when the command is chosen, so that the module of no other one is imported.
        elsewhere: Word -> the command line that somebody who typed it in place of a command may have meant.
        **settings: Of argparse.
    """

    def __init__(
        self,
        *,
        later: Callable[[ArgumentParser], None] | None = None,
        elsewhere: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**{"formatter_class": HelpFormatter, **settings})
        self._later = later
        self._elsewhere = dict(elsewhere or {})

    def add_all_arguments(self) -> None:
        """Add the arguments of all commands, chosen or not, for whoever reads the parser as a whole."""
        self._add_arguments()
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other name for it
                for below in action.choices.values():
                    below.add_all_arguments()

    def parse_known_args(  # type: ignore[override]  # argparse has it overloaded for namespaces of callers
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and refuse what is not known here, where the names of options are."""
        self._add_arguments()
        if args is not None and self._subparsers is None:
            self._refuse(self._misspelt(args))  # before argparse misses what was misspelt
        found, unknown = super().parse_known_args(args, namespace)
        self._refuse(unknown)
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, or what is missing with an example, without the usage; exit with 2."""
        missing = self._missing(message)
        told = [*missing, *self._example()] if missing else [f"{self.prog}: error: {message}"]
        self.exit(_USAGE, "\n".join([*told, f"All options: {self.prog} --help"]) + "\n")

    def _missing(self, message: str) -> list[str]:
        """A sentence for each argument that argparse says is missing; empty where it says something else."""
        names = message.removeprefix(_REQUIRED).split(", ") if message.startswith(_REQUIRED) else []
        if one := _ONE_REQUIRED.fullmatch(message):
            names = one[1].split(" ")
        found = [self._named(name) for name in names]
        if not found or not all(found):
            return []
        actions = [action for action in found if action]
        if isinstance(actions[0], argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other name for it
            return [f"{self.prog}: a command is missing: {', '.join(actions[0].choices)}"]
        if one:
            ways = [f"{_invocation(action)} ({_help_of(action)})" for action in actions]
            return [f"{self.prog}: one of these is missing: {'; '.join(ways)}"]
        return [f"{self.prog}: {_invocation(action)} is missing: {_help_of(action)}" for action in actions]

    def _named(self, name: str) -> argparse.Action | None:
        """The argument that argparse names so in messages; None for none."""
        for action in self._actions:
            names = [*action.option_strings, "/".join(action.option_strings), action.metavar, action.dest]
            if name in names and action.help != argparse.SUPPRESS:
                return action
        return None

    def _example(self) -> list[str]:
        """The first example of the epilog, all its lines; empty for none."""
        lines = iter((self.epilog or "").splitlines())
        if not any(line in {"example:", "examples:"} for line in lines):
            return []
        first = [next(lines, "")]
        while first[-1].endswith("\\"):
            first.append(next(lines, ""))
        return ["For example:", *first] if first[0] else []

    def _add_arguments(self) -> None:
        """Add those that waited for this moment, once."""
        later, self._later = self._later, None
        if later is not None:
            later(self)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        words = list(map(str, action.choices))
        if not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other name for it
            raise argparse.ArgumentError(
                action,
                f"invalid choice: {value!r}{did_you_mean(value, words)} (choose from {', '.join(words)})",
            )
        lines = {word: f"{self.prog} {word}" for word in words} | self._elsewhere
        meant = did_you_mean(value, lines, lines)
        raise argparse.ArgumentError(
            None, f"there is no command {value!r}{meant} (choose from {', '.join(words)})"
        )

    def _misspelt(self, args: Sequence[str]) -> list[str]:
        """Long options that are none of this parser's, nor the beginning of one."""
        given = [word.partition("=")[0] for word in itertools.takewhile(lambda word: word != "--", args)]
        options = tuple(self._option_string_actions)
        return [
            word
            for word in given
            if word.startswith("--") and not any(option.startswith(word) for option in options)
        ]

    def _refuse(self, unknown: Sequence[str]) -> None:
        if not unknown:
            return
        options = [option for option in self._option_string_actions if option.startswith("--")]
        words = (word.partition("=")[0] for word in unknown if word.startswith("-"))
        meant = next(filter(None, (did_you_mean(word, options) for word in words)), "")
        self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(symbols(message), file)


def _invocation(action: argparse.Action) -> str:
    """How an argument is typed: ``--slo EXPR``, ``MANIFEST``."""
    value = action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper()
    shown = value if isinstance(value, str) else value[0]
    return f"{action.option_strings[0]} {shown}" if action.option_strings else shown


def _help_of(action: argparse.Action) -> str:
    return (action.help or "") % {"default": action.default}


def did_you_mean(word: str, words: Iterable[str], lines: Mapping[str, str] | None = None) -> str:
    """``; did you mean 'validate'?`` for the word that is nearest; empty where none is near.

    Args:
        word: What was typed.
        words: What there is.
        lines: Word -> the command line that is named for it; None to name the word.
    """
    from difflib import get_close_matches

    there = list(words)
    near = get_close_matches(word.lower(), there, n=1, cutoff=0.6)
    if not near and len(word.lstrip("-")) >= _FEWEST:
        near = [other for other in there if other.startswith(word)][:1]
    return f"; did you mean '{(lines or {}).get(near[0], near[0])}'?" if near else ""
