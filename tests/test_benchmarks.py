"""Each benchmark runs in its smallest form: its figures have to be there, whatever their size."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALLEST = {
    "batch": ("--rows", "10", "--rounds", "1"),
    "detect_lag": ("simulated", "--jobs", "100"),
    "job_cost": ("--jobs", "10", "--rounds", "1"),
    "ledger": ("--rows", "100", "--in-flight", "10"),
    "validate": ("--rows", "20"),
}
FIGURES = {
    "batch": (r"batch / run_many: \d+\.\d\d", r"the ledger's thread: \d+\.\d%", r"peak memory \d+ MB"),
    "detect_lag": (r"100 jobs of 20-60 s.*median +\d+\.\d", r"500 jobs, log-normal 1\.0.*polls"),
    "job_cost": (r"median : bare +\d+ us/job +opus_async +\d+ us/job +ratio \d+\.\d\d",),
    "ledger": (
        r"plan, and bring to the disk .*us/row",
        r"all steps of a row.*us/row",
        r"memory at most: \d+ MB",
    ),
    "validate": (r"text +20 rows.*us CPU a row", r"files +20 rows", r"patterns +20 rows"),
}


def test_benchmarks_are_all_run_here():
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == set(SMALLEST) == set(FIGURES)


@pytest.mark.parametrize("name", SMALLEST)
def test_benchmark_prints_its_figures(name):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", *SMALLEST[name]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for figure in FIGURES[name]:
        assert re.search(figure, done.stdout), (figure, done.stdout)
