"""The types of the installed wheel, as the type checker of a program sees them that uses it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from type_checkers import pyright_program

PROGRAM = """
from pathlib import Path

from opus_async import JobOutcome, JobRequest, OpusClient
from opus_async.batch import BatchResult, run_batch
from opus_async.operativus import OperativusClient
from opus_async.typed import InputFile, TypedWorkflow


async def use(opus: OpusClient, operativus: OperativusClient) -> str:
    file: InputFile = Path("a.pdf")
    outcome: JobOutcome = await opus.run("w", {"Document": file}, timeout=9)
    async for each in opus.run_many("w", [JobRequest({"Document": file})]):
        print(each.index + 1)
    result: BatchResult = await run_batch(opus, "m.csv", workflow_id="w", out=Path("out"))
    print(result.exit_code + 1, (await operativus.run("w", "text")).ok, TypedWorkflow)
    return outcome.status or ""


async def misuse(opus: OpusClient) -> int:
    return await opus.run("w", {}, timout=9)  # wrong
"""
[WRONG_LINE] = [n for n, line in enumerate(PROGRAM.splitlines(), 1) if "# wrong" in line]


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_mypy_finds_the_types_of_the_wheel(installed, program):
    words = ["--strict", "--config-file", "", "--cache-dir", program / "cache", "program.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", installed, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=program,
        env={},
    )
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert errors, done.stderr
    assert all(line.startswith(f"program.py:{WRONG_LINE}: ") for line in errors), done.stdout


def test_pyright_finds_the_types_of_the_wheel(installed, program):
    pyright = pyright_program()
    (program / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    done = subprocess.run(
        [pyright, "--pythonpath", installed, "--outputjson", "program.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=program,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    assert found
    assert {each["range"]["start"]["line"] + 1 for each in found} == {WRONG_LINE}, found
