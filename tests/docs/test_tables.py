"""README promises two commands; the tables of the documentation are held to the code."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import opus_async
from opus_async import Limits, OpusClient, RetryPolicy, Timeouts

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
REFERENCE = ROOT / "docs" / "reference"


def test_readme_has_one_line_commands_for_demo_and_tests():
    commands = re.findall(r"```\n(python3 -m venv .*?)\n```", README)
    assert len(commands) == 2
    demo, tests = commands
    assert demo.endswith("opus-async demo")
    assert "-m pytest" in tests
    assert all("\n" not in command and command.count(" && ") == 2 for command in commands)


def test_settings_page_matches_defaults():
    page = (REFERENCE / "settings.md").read_text("utf-8")
    for kind in (Limits, Timeouts, RetryPolicy):
        shown = re.search(rf"{kind.__name__}\(([^()]*)\)", page)[1]
        stated = {name: ast.literal_eval(value) for name, value in re.findall(r"(\w+)=([^,\s]+)", shown)}
        assert stated == kind().model_dump()
    parameters = inspect.signature(OpusClient).parameters
    settings = page.partition("OpusClient(\n")[2].partition("\n)")[0]
    assert set(parameters) <= set(re.findall(r"(\w+)=", settings))


def test_errors_page_names_each_error_class():
    page = (REFERENCE / "errors.md").read_text("utf-8")
    table = page.partition("| error | means |")[2].partition("\n\n")[0]
    errors = {
        name
        for name in opus_async.__all__
        if inspect.isclass(value := getattr(opus_async, name)) and issubclass(value, opus_async.OpusError)
    }
    assert set(re.findall(r"`([A-Z]\w+)`", table)) == errors - {"OpusError", "APIError"}
    tree = (REFERENCE / "api" / "errors.md").read_text("utf-8")
    assert set(re.findall(r"^::: opus_async\.(\w+)$", tree, re.MULTILINE)) >= errors


def test_classes_pages_have_every_public_name():
    shown = {
        name
        for page in (REFERENCE / "api").glob("*.md")
        for name in re.findall(r"^::: opus_async\.(\w+)$", page.read_text("utf-8"), re.MULTILINE)
    }
    assert set(opus_async.__all__) - shown == {"Stream", "__version__"}


def test_events_page_names_each_event():
    page = (REFERENCE / "events.md").read_text("utf-8")
    named = set(re.findall(r"^\| `(\w+)` \| ", page.partition("## Stages")[0], re.MULTILINE))
    assert named == {kind.__name__ for kind in opus_async.Event.__args__}


def test_variants_page_matches_simulator_traits():
    from opus_async.simulator.traits import TRAITS

    page = (REFERENCE / "variants.md").read_text("utf-8")
    rows = re.findall(r"^\| \w+ \| (.+?) \| (.+?) \| (.+?) \| `(\w+)` \|$", page, re.MULTILINE)
    assert {trait: said.replace("\\|", "|") for said, _, _, trait in rows} == TRAITS
    assert len(rows) == len(TRAITS)
    claims = {claim for _, v0, v1, _ in rows for claim in (v0, v1)}
    assert claims == {"yes", "clear error", "-"}
    assert all(v0 != "-" for _, v0, _, _ in rows)
