"""Makes docs/reference/command-line.md out of the parsers of the commands.

PYTHONPATH=. python tests/support/command_reference.py
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from opus_async.cli import parser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"
_INTRODUCTION = """\
<!-- Made by tests/support/command_reference.py out of the parsers of the commands. Do not edit. -->
# Command line

`opus-async` and `python -m opus_async` are the same program. It needs the extra `cli`:
`pip install 'opus-async[cli]'`. stdout is data, stderr is progress, so `| jq` and `> file` see data alone.

Times are seconds, or have a unit: `90`, `90s`, `5m`, `1h30m`. Options may be shortened as long as they stay
unambiguous. `opus-async COMMAND --help` prints what stands here. What the exit codes mean:
[Exit codes](exit-codes.md).

With the extra `completion`, `source <(opus-async --print-completion bash)` (`zsh`, `tcsh`) completes
commands, options and files in a shell. With the extra `speed` the commands run on uvloop, a faster event
loop; a program of yours chooses its loop itself (`uvloop.run(main())`).

"""


def text() -> str:
    """The page."""
    top = parser.build(whole=True)
    return _INTRODUCTION + "\n\n".join(_sections(top, 2)).rstrip() + "\n"


def _sections(command: argparse.ArgumentParser, level: int) -> Iterator[str]:
    verbs = _verbs(command)
    yield from _described(command, level)
    for verb in verbs:
        yield from _sections(verb, level + (level == 2 and command.prog != "opus-async"))


def _verbs(command: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            return list(action.choices.values())
    return []


def _described(command: argparse.ArgumentParser, level: int) -> Iterator[str]:
    yield f"{'#' * level} {command.prog}"
    verbs = _verbs(command)
    if not verbs:
        yield f"```text\n{_usage(command)}\n```"
    yield _prose(command.description or "")
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            rows = [(choice.dest, choice.help or "") for choice in action._choices_actions]
            links = [
                (f"[`{command.prog} {word}`](#{_anchor(f'{command.prog} {word}')})", what)
                for word, what in rows
            ]
            yield _table("command", links)
    for group in command._action_groups:
        rows = [
            (_names(action), _help(command, action))
            for action in group._group_actions
            if action.help is not argparse.SUPPRESS
            and not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
        ]
        if rows:
            known = {"positional arguments": "argument", "options": "option"}
            if group.title not in known:
                yield f"**{group.title}**"
            yield _table(known.get(group.title or "", "option"), rows)
    if command.epilog:
        yield from _epilog(command.epilog)


def _anchor(title: str) -> str:
    return title.replace(" ", "-")


def _usage(command: argparse.ArgumentParser) -> str:
    if command.usage:
        return command.usage % {"prog": command.prog}
    needed = [
        f"{action.option_strings[0]} {_metavar(action)}"
        for action in command._actions
        if action.option_strings and action.required
    ]
    given = [_metavar(action) for action in command._actions if not action.option_strings]
    runs = ["[-- COMMAND ...]"] if command.prog == "opus-async simulate" else []  # it parses that itself
    return " ".join([command.prog, *given, *needed, "[options]", *runs])


def _metavar(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    name = action.metavar if isinstance(action.metavar, str) else None
    if name is None:
        name = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    match action.nargs:
        case "+":
            return f"{name} [{name} ...]"
        case "*":
            return f"[{name} ...]"
        case "?":
            return f"[{name}]"
    return name


def _names(action: argparse.Action) -> str:
    metavar = _metavar(action)
    if not action.option_strings:
        return f"`{metavar}`"
    return ", ".join(f"`{f'{name} {metavar}'.strip()}`" for name in action.option_strings)


def _help(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    return command._get_formatter()._expand_help(action) if action.help else ""


def _table(first: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {_cell(name)} | {_cell(_plain(what))} |" for name, what in rows]
    return "\n".join([f"| {first} | |", "|---|---|", *lines])


def _cell(written: str) -> str:
    return " ".join(written.split()).replace("|", "\\|")


def _plain(written: str) -> str:
    return written.replace("<", "&lt;").replace("*", "\\*")


def _prose(written: str) -> str:
    return _plain(" ".join(written.split()))


def _epilog(written: str) -> Iterator[str]:
    """Paragraphs as they are, and what is indented as a block."""
    for indented, lines in itertools.groupby(written.splitlines(), lambda line: line.startswith(" ")):
        part = "\n".join(lines).strip("\n")
        if indented:
            yield "```text\n" + re.sub(r"^  ", "", part, flags=re.MULTILINE) + "\n```"
        else:
            yield from (_prose(paragraph) for paragraph in part.split("\n\n") if paragraph.strip())


if __name__ == "__main__":
    PAGE.write_text(text(), "utf-8")
