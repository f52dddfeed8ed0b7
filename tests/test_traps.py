"""Every line of "Traps" in the reference of the API has tests that are named after it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parent
LINES = 36


def test_traps_each_have_a_test_named_after_them():
    found = defaultdict(list)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = re.fullmatch(r"test_trap_([0-9]+)_\w+", node.name)
                if name:
                    found[int(name[1])].append(node.name)
    assert sorted(found) == list(range(1, LINES + 1))
