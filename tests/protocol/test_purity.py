"""The protocol is pure: it imports no I/O, no clock and nothing of ours above the ground floor."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from opus_async import wire
from opus_async.operativus import protocol as operativus_protocol
from opus_async.opus import protocol as opus_protocol
from opus_async.opus.protocol.api_versions import api_versions

HOMES = [Path(package.__file__).parent for package in (wire, opus_protocol, operativus_protocol)]
OURS = (
    "opus_async.cheap_dataclass",
    "opus_async.error_codes",
    "opus_async.errors",
    "opus_async.gaps",
    "opus_async.input_names",
    "opus_async.input_problems",
    "opus_async.models",
    "opus_async.operativus.models",
    "opus_async.operativus.protocol",
    "opus_async.opus.errors",
    "opus_async.opus.protocol",
    "opus_async.redaction",
    "opus_async.remote_urls",
    "opus_async.text",
    "opus_async.wire",
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
        "itertools",
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


@pytest.mark.parametrize("home", HOMES, ids=lambda home: f"{home.parent.name}.{home.name}")
def test_protocol_imports_only_pure_modules(home):
    for file in home.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for module in modules:
                assert module.startswith(OURS) or module.split(".")[0] in PURE, f"{file.name}: {module}"


@pytest.mark.parametrize("home", HOMES, ids=lambda home: f"{home.parent.name}.{home.name}")
def test_protocol_calls_no_disk_or_clock_functions(home):
    for file in home.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                assert name not in IMPURE_NAMES, f"{file.name}:{node.lineno} calls {name}"


@pytest.mark.parametrize("api", ["v0", "v1"])
def test_api_version_has_name_and_has_jobs(api):
    (version,) = api_versions(api, callback_url=None, plain_http=False)
    assert (version.name, version.has_jobs) == (api, api == "v0")
    calls = [
        version.workflow("W", version=None, version_id=None),
        *(ask("7") for ask in (version.status, version.results, version.audit)),
    ]
    assert [call.method for call in calls] == ["GET"] * 4
    assert len({call.path for call in calls}) == 4
