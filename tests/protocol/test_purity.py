"""The protocol is pure: it imports no I/O, no clock and nothing of ours above the ground floor."""

from __future__ import annotations

import ast
from pathlib import Path

from opus_async.opus import protocol

HOME = Path(protocol.__file__).parent
OURS = (
    "opus_async.error_codes",
    "opus_async.errors",
    "opus_async.gaps",
    "opus_async.input_names",
    "opus_async.input_problems",
    "opus_async.models",
    "opus_async.opus.protocol",
    "opus_async.redaction",
)
PURE = {
    *(
        "__future__",
        "abc",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "email",
        "enum",
        "functools",
    ),
    *(
        "html",
        "http",
        "ipaddress",
        "json",
        "math",
        "numbers",
        "os",
        "pathlib",
        "pydantic",
        "pydantic_core",
        "re",
    ),
    *("types", "typing", "unicodedata", "urllib", "uuid"),
}
IMPURE_NAMES = {"open", "print", "input", "now", "today", "utcnow", "time_ns", "stat", "exists", "read_bytes"}


def test_only_pure_modules_are_imported():
    for file in HOME.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for module in modules:
                assert module.startswith(OURS) or module.split(".")[0] in PURE, f"{file.name}: {module}"


def test_nothing_touches_disk_or_clock():
    for file in HOME.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                assert name not in IMPURE_NAMES, f"{file.name}:{node.lineno} calls {name}"


def test_v0_answers_everything_a_dialect_must():
    from opus_async.opus.protocol.api_version import ApiVersion
    from opus_async.opus.protocol.v0 import V0

    dialect: ApiVersion = V0()
    assert dialect.name == "v0"
    for name in dir(ApiVersion):
        if not name.startswith("_"):
            assert hasattr(dialect, name), name
