"""Every example runs without a key, as its first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opus_async.simulator import OperativusConfig, SimulatorConfig, SimulatorProcess

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "quickstart.py": ["SHA-256: ", "Lines: 2", "Verdict: "],
    "folder.py": ['"document": "note-029.txt"'],
    "web_service.py": ["200 {", "422 {", "left before the answer"],
    "limits_and_listeners.py": ["jobs     {<COMPLETED>: 40}"],
    "batch.py": ["finished: 30 of 30 rows completed", "R-29 ", "report.html"],
    "operativus_run_many.py": [
        "NVDA: [writer_agent] [finance_agent] How is NVDA doing?",
        "MU: [writer_agent]",
    ],
    "operativus_approval.py": [
        "done: [writer_agent] approved by rule: [research_agent] 40 pens, 31 EUR",
        "2 wait for a person",
        "COMPLETED: [writer_agent] approved: [research_agent] 2 desks, 1,150 EUR",
    ],
    "load_test.py": ["of 100 jobs completed", "upload ", "report.html"],
    "load_find_max.py": ["jobs/s", "hold; limited by"],
    "load_compare.py": ["e2e_intended.p50", "conditions failed"],
    "callbacks.py": ["callbacks off: 100 completed", "callbacks on : 100 completed", "accepted=100"],
}


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **env},
    )


@pytest.fixture(scope="module")
def simulator():
    operativus = OperativusConfig(queue_jobs=50, queue_tick=0.1)
    with SimulatorProcess(SimulatorConfig(run_time=0.1, operativus=operativus)) as process:
        yield process


@pytest.mark.parametrize("name", SAYS)
def test_example_runs_on_simulator(simulator, name):
    env = {
        "OPUS_SERVICE_KEY": simulator.service_key,
        "OPUS_BASE_URL": simulator.base_url,
        "OPERATIVUS_BASE_URL": simulator.operativus.base_url,
        "OPERATIVUS_TOKEN": simulator.operativus.token,
    }
    done = run(str(EXAMPLES / name), **env)
    assert done.returncode == 0, done.stderr
    for text in SAYS[name]:
        assert text in done.stdout


def test_example_of_pytest_plugin_passes_in_separate_project(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    example = (EXAMPLES / "test_with_the_plugin.py").read_text()
    (tmp_path / "test_with_the_plugin.py").write_text(example)
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_examples_are_all_run_by_these_tests():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SAYS, "test_with_the_plugin.py"}
