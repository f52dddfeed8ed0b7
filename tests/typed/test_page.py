"""The page on typed inputs: its commands and programs run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import opus_async
from opus_async.simulator import SimulatorConfig, SimulatorProcess

ROOT = Path(opus_async.__file__).parents[1]
PAGE = (ROOT / "docs/how-to/typed-inputs.md").read_text()
SAID = [
    "PASS 2\n",
    "row 0 COMPLETED\nrow 1 COMPLETED\nrow 2 COMPLETED\n",
    "0.8 {'Document': 'invoice.pdf', 'Threshold': 0.8}\n",
    "Document check 3\n",
]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_page_runs_as_it_stands(tmp_path):
    with SimulatorProcess(SimulatorConfig(run_time=0.05)) as simulator:
        env = os.environ | {
            "OPUS_SERVICE_KEY": simulator.service_key,
            "OPUS_BASE_URL": simulator.base_url,
            "PYTHONPATH": str(ROOT),
        }
        [command] = blocks("bash")
        done = subprocess.run(
            ["bash", "-ec", command.replace("opus-async", f"{sys.executable} -m opus_async")],
            check=False,
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        for program, said in zip(blocks("python"), SAID, strict=True):
            done = subprocess.run(
                [sys.executable, "-c", program],
                check=False,
                cwd=tmp_path,
                env=env,
                capture_output=True,
                text=True,
            )
            assert sorted(done.stdout.splitlines()) == said.splitlines(), done.stderr
