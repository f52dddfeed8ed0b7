"""The page on logging: it names each logger and its levels, and its JSON lines are as it says."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import opus_async
from opus_async.simulator import SimulatorConfig, SimulatorProcess

PACKAGE = Path(opus_async.__file__).parent
PAGE = (PACKAGE.parent / "docs/how-to/logging.md").read_text()
METHODS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR"}
LEVELS = {*METHODS.values()}
OF_OTHERS = {"dotenv", "fsspec", "fsspec.http", "fsspec.cached"}
"""Loggers of other libraries, which are silenced or freed of secrets."""


def documented() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(opus_async\.\w+)` \|.*\| ([A-Z, ]+) \|$", PAGE, re.MULTILINE)
    return {name: set(levels.split(", ")) for name, levels in rows}


def used() -> dict[str, set[str]]:
    """Logger -> the levels of the calls in the modules that have it."""
    found = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ]
        names = [ast.literal_eval(call.args[0]) for call in calls if call.func.attr == "getLogger"]
        if not names or names == ["opus_async"] or set(names) <= OF_OTHERS:
            continue
        [name] = names
        found[name] |= {
            METHODS[call.func.attr]
            for call in calls
            if call.func.attr in METHODS and ast.unparse(call.func.value) in {"log", "_LOGGER"}
        }
        found[name] |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and ast.unparse(node.value) == "logging"
            and node.attr in LEVELS
        }
    return {name: levels for name, levels in found.items() if levels}


def test_page_names_each_logger_and_its_levels():
    assert used() == documented()


def test_structlog_program_of_the_page_logs_rows_and_no_secret(tmp_path):
    _, program, _ = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with SimulatorProcess(SimulatorConfig(run_time=0.05)) as simulator:
        env = os.environ | {
            "OPUS_SERVICE_KEY": simulator.service_key,
            "OPUS_BASE_URL": simulator.base_url,
            "PYTHONPATH": str(PACKAGE.parent),
        }
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    ended = [line for line in lines if line["event"] == "ended"]
    assert sorted(line["row"] for line in ended) == [0, 1, 2]
    assert {line["status"] for line in ended} == {"COMPLETED"}
    requests = [line for line in lines if line["logger"] == "opus_async.transport"]
    assert {"debug"} == {line["level"] for line in requests}
    assert {0, 1, 2} <= {line.get("row") for line in requests}
    assert simulator.service_key not in done.stdout + done.stderr
