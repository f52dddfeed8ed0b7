"""The package on other Pythons: its wheel where .ci/wheel installed one, else where its dependencies are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOLD = dict(os.environ)
"""``OPUS_ASYNC_TEST_PYTHON314``, say, is the path of a Python with the wheel; no test sees these names."""
JOB = """
import asyncio, pathlib, sys, tempfile
import opus_async
from opus_async import OpusClient
from opus_async.batch import run_batch
from opus_async.simulator import Simulator, SimulatorConfig
from opus_async.testing import quick_polls
from opus_async.typed import python_module

async def main():
    heard = []
    async def listener(event):
        heard.append(event)
    workflow = "T3xtOnlyWorkfl0w"
    async with Simulator(SimulatorConfig(run_time=0, queue_time=0)) as simulator:
        host, key = simulator.base_url, simulator.service_key
        async with OpusClient(key, base_url=host, listeners=[listener]) as opus:
            assert (await opus.run(workflow, {"Text": "x"}, timeout=20)).ok
            module = {"__name__": "__main__"}
            exec(python_module(await opus.workflows.get(workflow)), module)
            typed = module["TEXT_ONLY"]
            assert typed.outputs(await typed.run(opus, {"Text": "x"}, timeout=20))["Text"] == "x"
            with tempfile.TemporaryDirectory() as folder:
                manifest = pathlib.Path(folder, "m.csv")
                manifest.write_text("Text\\nx\\ny\\n")
                out = pathlib.Path(folder, "out")
                result = await run_batch(opus, str(manifest), workflow_id=workflow, out=out)
                assert result.exit_code == 0
    assert heard

with quick_polls(0.01):
    asyncio.run(main())
import opus_async.cli, opus_async.opus.callbacks
print(opus_async.__file__, "done")
"""
NEEDED = "import aiohttp, aiofiles, backoff, pydantic"


def _interpreter(version: str) -> str:
    """A Python of this version that has what we depend on, and not the package."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"no Python {version} is installed")
    ready = subprocess.run([found, "-c", NEEDED], check=False, capture_output=True)
    if ready.returncode:
        pytest.skip(f"Python {version} is installed without our dependencies")
    return found


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_python_version_runs_job_and_batch_without_deprecation_warning(version, monkeypatch, tmp_path):
    wheel = TOLD.get(f"OPUS_ASYNC_TEST_PYTHON{version.replace('.', '')}")
    python = wheel or _interpreter(version)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if wheel is None:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
    strict = ["-W", "error::DeprecationWarning", "-W", "error::PendingDeprecationWarning"]
    done = subprocess.run(
        [python, *strict, "-c", JOB], check=False, capture_output=True, text=True, timeout=100, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    home, said = done.stdout.split()
    assert said == "done"
    assert (Path(home).parents[1] == ROOT) is (wheel is None)


def test_dependency_backoff_comes_from_one_distribution():
    from importlib.metadata import packages_distributions

    assert packages_distributions()["backoff"] == ["backoff"]
