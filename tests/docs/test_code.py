"""Every code block of README and the documentation runs, or says in the page's source why it does not."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from pages import ANY, ROOT, Block, blocks, pages

from opus_async.simulator import OperativusConfig, SimulatorConfig, SimulatorProcess

RUN = {"python", "bash"}
SHOWN = {"text", "csv", "json", "jsonl", "toml", "yaml", "ini", "docker", "sql"}
SET_UP = "python3 -m venv .venv && "
"""How the two commands of README begin: .ci/run runs them."""
NOT_RUN = {
    "docs/how-to/cloud-documents.md": 5,
    "docs/how-to/containers.md": 1,
    "docs/how-to/load-testing.md": 1,
    "docs/how-to/operativus.md": 1,
    "docs/how-to/proxies.md": 2,
    "docs/how-to/scheduling.md": 1,
    "docs/tutorial/first-batch.md": 1,
    "docs/tutorial/first-job.md": 2,
    "docs/tutorial/first-load-test.md": 1,
}
"""Page -> how many of its blocks are not run; each says why, in the page's source."""

ALL = {page.relative_to(ROOT).as_posix(): blocks(page) for page in pages()}


def _runs(block: Block) -> bool:
    if block.not_run is not None or block.title or block.file:
        return False
    return block.language in RUN


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """What a reader has who has followed the first page: our command, a key and a host."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "opus-async"  # of this checkout, also where another one is installed
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m opus_async "$@"\n')
    command.chmod(0o755)
    operativus = OperativusConfig(queue_jobs=50, queue_tick=0.1, rate_limit=None, login_limit=None)
    config = SimulatorConfig(run_time=0.1, queue_time=0.01, operativus=operativus)
    with SimulatorProcess(config) as simulator:
        path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith(("COV_", "OPUS_"))},
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "CI": "true",
            "OPUS_SERVICE_KEY": simulator.service_key,
            "OPUS_BASE_URL": simulator.base_url,
            "OPERATIVUS_BASE_URL": simulator.operativus.base_url,
            "OPERATIVUS_TOKEN": simulator.operativus.token,
        }


class Reader:
    """Follows a page from its top to its end, in a folder of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self._cells: subprocess.Popen[str] | None = None

    def close(self) -> None:
        if self._cells is not None:
            self._cells.communicate(timeout=30)

    def run(self, block: Block) -> str | None:
        """Run a block; returns what it printed, and None where that says nothing on this machine."""
        if block.language == "bash":
            code, out, err = self._process("bash", "-euo", "pipefail", "-c", block.code)
        elif _is_cell(block):
            code, out, err = self._cell(block)
        else:
            code, out, err = self._process(sys.executable, "-W", "error", "-c", block.code)
        assert block.exits in {code, ANY}, f"{block.where} exited with {code}\n{block.code}\n{out}\n{err}"
        return None if code and block.exits == ANY else out

    def _process(self, *words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def _cell(self, block: Block) -> tuple[int, str, str]:
        if self._cells is None:
            self._cells = subprocess.Popen(
                [sys.executable, "-W", "error", ROOT / "tests" / "support" / "page_process.py"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._cells.stdin
        assert self._cells.stdout
        print(json.dumps({"where": block.where, "code": block.code}), file=self._cells.stdin, flush=True)
        code, out, err = json.loads(self._cells.stdout.readline())
        return code, out, err


def _is_cell(block: Block) -> bool:
    """Whether it has an ``await`` outside of a function, as a cell of a notebook may have."""
    compiled = compile(block.code, block.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return bool(compiled.co_flags & inspect.CO_COROUTINE)


def _alike(line: str) -> str:
    """A line without what differs from run to run: numbers, digests, and space around them."""
    line = re.sub(r"\b[0-9a-f]{8,}\b", "0", line)
    line = re.sub(r"\d[\d,.]*", "0", line)
    return " ".join(re.sub(r"\b0 (?:ms|s|min|kB|MB)\b", "0 s", line).split())


def _holds(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed; ``...`` is anything, and as a line any lines."""
    lines = [re.escape(_alike(line)).replace(r"\.\.\.", ".*") for line in shown.strip().splitlines()]
    pattern = "\n".join("[\\s\\S]*?" if line == ".*" else line for line in lines)
    return re.fullmatch(pattern, "\n".join(map(_alike, printed.strip().splitlines()))) is not None


@pytest.mark.parametrize("name", [name for name, found in ALL.items() if any(map(_runs, found))])
def test_code_of_page_runs(environment, tmp_path, name):
    reader = Reader(tmp_path, environment)
    printed: str | None = ""
    try:
        for block in ALL[name]:
            if block.title and not block.not_run and not block.file:
                (tmp_path / block.title).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / block.title).write_text(block.code, "utf-8")
            elif block.is_output:
                assert printed is None or _holds(block.code, printed), (
                    f"{block.where}: printed was\n{printed}"
                )
            elif _runs(block):
                printed = reader.run(block)
    finally:
        reader.close()


def test_blocks_that_are_not_run_are_few_and_say_why():
    found = Counter(block.page for found in ALL.values() for block in found if block.not_run is not None)
    for found_blocks in ALL.values():
        for block in found_blocks:
            if block.not_run is not None:
                assert len(block.not_run) > 10, f"{block.where}: say why"
    assert dict(found) == NOT_RUN


def test_blocks_are_of_known_languages_and_read_as_what_they_say():
    for block in (block for found in ALL.values() for block in found):
        assert block.language in RUN | SHOWN or block.code.startswith(SET_UP), block.where
        if block.file:
            old = f"{block.where}: run tests/support/shown_files.py"
            assert block.code == (ROOT / block.file).read_text("utf-8"), old
        elif block.language == "python":
            compile(block.code, block.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        elif block.language == "toml":
            tomllib.loads(block.code)
        elif block.language == "yaml":
            yaml.safe_load(block.code)
        elif block.language == "json":
            json.loads(block.code)


def test_a_page_that_shows_an_example_shows_one_that_is_run():
    run = (ROOT / "tests" / "test_examples.py").read_text("utf-8")
    shown = {Path(block.file).name for found in ALL.values() for block in found if block.file}
    assert [name for name in shown if f'"{name}"' not in run] == []
