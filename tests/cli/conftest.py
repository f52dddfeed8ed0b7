"""The command line as its user has it: a real simulator, a real terminal, real processes where it matters."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import operativus_command
import pytest
from command_line import SECONDS, Said, called, command, environment, leading_to

from opus_async.simulator import SimulatorConfig, SimulatorProcess


@pytest.fixture
def opus(tmp_path: Path) -> Callable[..., Said]:
    """``opus("run", "ID", stdin="...", env={...})`` in an empty directory, in this process."""

    def call(*words: object, env: dict[str, str] | None = None, stdin: str = "") -> Said:
        return called(*words, cwd=tmp_path, env=env or {}, stdin=stdin)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Said]:
    """The same in a process of its own: for what concerns interpreters, signals, descriptors and limits."""

    def call(*words: object, env: dict[str, str] | None = None, stdin: str = "") -> Said:
        done = subprocess.run(
            command(*words),
            capture_output=True,
            check=False,
            cwd=tmp_path,
            encoding="utf-8",
            env=environment(**(env or {})),
            input=stdin,
            timeout=SECONDS,
        )
        assert "Traceback" not in done.stderr or "--debug" in words, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorProcess]:
    """One simulator for all tests that only talk to it."""
    with SimulatorProcess(SimulatorConfig(run_time=0.1)) as process:
        yield process


@pytest.fixture(scope="session")
def operativus_server() -> Iterator[SimulatorProcess]:
    """One Operativus for all tests that only talk to it."""
    with SimulatorProcess(operativus_command.config()) as process:
        yield process


@pytest.fixture
def agents(operativus_server: SimulatorProcess) -> dict[str, str]:
    """The environment that leads to the Operativus."""
    return operativus_command.leading_to_operativus(operativus_server)


@pytest.fixture
def to(simulator: SimulatorProcess) -> dict[str, str]:
    """The environment that leads to the simulator."""
    return leading_to(simulator)
