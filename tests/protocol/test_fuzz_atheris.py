"""The same rules under a fuzzer that is led by coverage, where one is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "support" / "fuzz_atheris.py"
RUNS = 200_000


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed")
def test_response_readers_survive_coverage_guided_fuzzing_with_atheris(tmp_path, record_property):
    options = [f"-runs={RUNS}", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    command = [sys.executable, str(PROGRAM), str(tmp_path / "found"), *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    (runs,) = re.findall(r"Done ([0-9]+) runs", done.stderr)
    assert int(runs) >= RUNS
    record_property("runs", runs)
