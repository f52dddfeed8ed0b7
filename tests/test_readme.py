"""The README promises commands and code; both are held here."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import opus_async
from opus_async import Limits, OpusClient, RetryPolicy, Timeouts

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_readme_has_one_line_commands_for_demo_and_tests():
    commands = re.findall(r"```\n(python3 -m venv .*?)\n```", README)
    assert len(commands) == 2
    demo, tests = commands
    assert demo.endswith("opus-async demo")
    assert "-m pytest" in tests
    assert all("\n" not in command and command.count(" && ") == 2 for command in commands)


def test_readme_python_blocks_parse():
    pieces = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(pieces) >= 3
    for piece in pieces:
        ast.parse(piece)


def test_readme_settings_match_defaults():
    for kind in (Limits, Timeouts, RetryPolicy):
        shown = re.search(rf"{kind.__name__}\(([^()]*)\)", README.partition("## Settings")[2])[1]
        stated = {name: ast.literal_eval(value) for name, value in re.findall(r"(\w+)=([^,\s]+)", shown)}
        assert stated == kind().model_dump()
    parameters = inspect.signature(OpusClient).parameters
    settings = README.partition("OpusClient(\n")[2].partition("\n)")[0]
    assert set(parameters) <= set(re.findall(r"(\w+)=", settings))


def test_readme_error_table_matches_error_classes():
    table = README.partition("## Errors")[2].partition("## Settings")[0]
    named = set(re.findall(r"`([A-Z]\w+)`", table.partition("`run` returns")[0])) - {
        "OpusError",
        "ValueError",
    }
    errors = {
        name
        for name in opus_async.__all__
        if inspect.isclass(value := getattr(opus_async, name)) and issubclass(value, opus_async.OpusError)
    }
    assert named - {"Limits"} == errors - {"OpusError", "APIError"}


def test_readme_links_point_to_existing_files():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_readme_variant_table_matches_simulator_traits():
    from opus_async.simulator.traits import TRAITS

    rows = re.findall(r"^\| \w+ \| (.+?) \| (.+?) \| (.+?) \| `(\w+)` \|$", README, re.MULTILINE)
    assert {trait: said.replace("\\|", "|") for said, _, _, trait in rows} == TRAITS
    assert len(rows) == len(TRAITS)
    claims = {claim for _, v0, v1, _ in rows for claim in (v0, v1)}
    assert claims == {"yes", "clear error", "-"}
    assert all(v0 != "-" for _, v0, _, _ in rows)
