"""Nothing above the platforms asks which one it is: it asks the entry or the interface of the one at hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import opus_async
from opus_async.cli import platforms

ROOT = Path(opus_async.__file__).parent
ABOVE = (
    "batch",
    "cli",
    "clients",
    "jobs",
    "load",
    "manifests",
    "metrics",
    "progress",
    "reporting",
    "transport",
)
ENTRIES = "cli/platforms/"
OWN = {
    "opus": ("cli/run.py", "cli/wait.py", "cli/audit.py", "cli/workflow.py", "cli/downloads.py", "cli/demo/"),
    "operativus": ("cli/operativus/",),
}
"""Platform -> the commands of the command line that are its own."""
WORDS = {*platforms.NAMES, *(entry.title for entry in platforms.entries())}


def files():
    for folder in ABOVE:
        yield from sorted((ROOT / folder).rglob("*.py"))


def parsed(path):
    return ast.parse(path.read_text("utf-8"))


def asks_which_platform(node):
    """Whether a node compares something with a platform's name, or chooses by it."""
    if isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
        if any(isinstance(part, ast.Constant) and part.value is None for part in parts):
            return False
        return any(names_platform(part) for part in parts)
    if isinstance(node, ast.MatchValue):
        return names_platform(node.value)
    return isinstance(node, ast.Subscript) and names_platform(node.slice)


def names_platform(node):
    """Whether an expression is, or holds, a platform's name."""
    if isinstance(node, ast.Attribute) and node.attr == "platform":
        return not (isinstance(node.value, ast.Name) and node.value.id == "sys")
    return any(isinstance(each, ast.Constant) and each.value in WORDS for each in ast.walk(node))


def imported(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(
    "line",
    [
        'platform == "opus"',
        'if name in ("opus", "operativus"): pass',
        'match name:\n    case "opus": pass',
        '{"opus": 1}["opus"]',
        "status.platform != other",
        'entry.title == "Opus"',
    ],
)
def test_search_for_questions_which_platform_it_is_finds_them(line):
    assert any(asks_which_platform(node) for node in ast.walk(ast.parse(line)))


def test_no_module_above_platforms_asks_which_platform_it_is():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files()
        for node in ast.walk(parsed(path))
        if asks_which_platform(node)
    ]
    assert found == []


def test_platforms_are_imported_by_their_entries_and_their_own_commands_alone():
    found = []
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        for module in imported(path):
            for platform, own in OWN.items():
                if module.startswith(f"opus_async.{platform}.") and not name.startswith(
                    (f"{ENTRIES}{platform}/", *own)
                ):
                    found.append(f"{name}: {module}")
    assert found == []


@pytest.mark.parametrize("name", platforms.NAMES)
def test_platform_entry_has_name_by_which_it_is_found(name):
    entry = platforms.entry(name)
    assert entry.name == name
    assert entry.variables.base_url in entry.variables.destinations
    assert {variable for variable, _ in entry.help} == set(entry.variables.names)
