"""What an error about a manifest tells to type is typed, in a shell: it works, and harms no file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from batch_command import DOCUMENT, TEXT
from command_line import SECONDS, Said, called, environment

_WORD = r"""(?:'[^']*'|"[^"]*"|[^\s'",;()]+)+"""
_OPTION = re.compile(
    rf"--(?:map|set)[ =](?=\S*=|'[^']*=){_WORD}|--(?:encoding|delimiter|sheet) (?!\(){_WORD}"
    r"|--(?:pad-short-rows|skip-invalid|allow-outside|accept-second-bill)"
)
_COMMAND = re.compile(r"(?:opus-async|python3?|pip|mv|cp|sh|sed|jq|iconv) .*$", re.MULTILINE)
_PLACEHOLDERS = ("COLUMN=", "=INPUT")
"""Stand where only the person knows what is meant; the columns to choose from are named beside them."""

MANIFESTS = {
    "line break in header": ("m.csv", '"Te\nxt"\na\n', TEXT, 3),
    "tabs and spaces in header": ("m.csv", '"Te \t xt"\na\n', TEXT, 3),
    "typing error": ("m.csv", "Txet\na\n", TEXT, 3),
    "quote in header": ("m.csv", "Text's\na\n", TEXT, 3),
    "equals sign in header": ("m.csv", "Te=xt\na\n", TEXT, 3),
    "header like an option": ("m.csv", "-Text\na\n", TEXT, 3),
    "header like a command": ("m.csv", '"$(rm *.csv) `rm m.csv`; rm m.csv"\na\n', TEXT, 3),
    "header of another language": ("m.csv", "Größe „x“\na\n", TEXT, 3),
    "field with a line break": ("m.jsonl", '{"Te\\n xt": "a"}\n', TEXT, 3),
    "two columns for one input": ("m.csv", "Text,text\na,b\n", TEXT, 2),
    "short rows": ("m.csv", "Text,Junk\na,b\nc\n", TEXT, 3),
    "long rows": ("m.csv", "Text,Junk\na,b\nc,d,e\n", TEXT, 2),
    "header again": ("m.csv", "Text,Junk\na,b\nText,Junk\n", TEXT, 2),
    "unclosed quote": ("m.csv", 'Text,Junk\na,b\n"c,d\ne,f\n', TEXT, 2),
    "no JSON": ("m.jsonl", '{"Text": "a"}\n{"Text": NaN}\n{"Text": "b"},\n', TEXT, 2),
    "array that holds no JSON": ("m.json", '[{"Text": "a"}, {"Text": NaN}]', TEXT, 2),
    "two delimiters": ("m.csv", "Text;b, c\n1;2, 3\n", TEXT, 2),
    "no input": ("m.csv", "hello,world\na,b\n", TEXT, 2),
    "empty cell": ("m.csv", "Text,Junk\na,b\n,d\n", TEXT, 3),
    "file outside": ("m.csv", "Document\n../outside.txt\n", DOCUMENT, 2),
    "pattern without a match": ("m.csv", "Document\n*.txt\nm.csv\n", DOCUMENT, 2),
}


class Shell:
    """A shell in a folder of its own. What it hands to ``opus-async`` is run in this process.

    Attributes:
        home: The folder.
    """

    def __init__(self, folder: Path, to: dict[str, str]) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self._to = to
        self._handed = folder / "words"
        program = folder / "bin" / "opus-async"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > '{self._handed}'\n")
        program.chmod(0o755)
        self._env = environment()
        self._env["PATH"] = f"{program.parent}:{Path(sys.executable).parent}:{self._env['PATH']}"

    def types(self, line: str) -> Said:
        """What a line says."""
        self._handed.write_text("")
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.home,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        words = self._handed.read_text().split("\0")[:-1]
        if not words:
            return Said(done.returncode, done.stdout, done.stderr)
        return called(*words, cwd=self.home, env=self._to)


@pytest.fixture
def shell(tmp_path, to):
    return Shell(tmp_path, to)


def told(said: str) -> set[str]:
    """What is wrong, without what varies."""
    return {line for line in said.splitlines() if line.startswith(("error", "opus-async:"))}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("case", MANIFESTS)
def test_advice_of_manifest_errors_works_as_it_is_pasted(shell, case):
    name, content, workflow, least = MANIFESTS[case]
    (shell.home / name).write_text(content, encoding="utf-8")
    (shell.home.parent / "outside.txt").write_text("x")
    inputs = contents(shell.home)
    command = f"opus-async batch run {name} --workflow {workflow}"
    refused = shell.types(f"{command} --out b")
    assert refused.code == 2, refused.err
    advice = [found[0] for found in _OPTION.finditer(refused.err)]
    advice = [one for one in dict.fromkeys(advice) if not any(mark in one for mark in _PLACEHOLDERS)]
    commands = _COMMAND.findall(refused.err)
    assert len(advice) + len(commands) >= least - 1, refused.err
    for number, option in enumerate(advice):
        said = shell.types(f"{command} --out b{number} {option}")
        assert "unrecognized arguments" not in said.err
        assert said.code in (0, 1) or told(said.err) != told(refused.err), (option, said.err)
    for line in commands:
        said = shell.types(line)
        assert said.code in (0, 1, 2), (line, said.err)
        assert "usage:" not in said.err
    after = contents(shell.home)
    assert {name: after.get(name) for name in inputs} == inputs, "advice has changed an input file"
