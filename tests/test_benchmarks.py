"""Each benchmark runs in its smallest form: its figures have to be there, whatever their size."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIGURES = {
    "start": ("OpusClient / the four core dependencies", "--help over python -c pass"),
    "job": (
        "document, asyncio, 64 in flight: opus_async / naive aiohttp",
        "document, asyncio, 64 in flight: opus_async / tuned aiohttp",
        "document, asyncio, 64 in flight: opus_async / raw asyncio",
    ),
    "load": ("with the recorder / with a silent one",),
    "events": ("one function / nobody listening", "one coroutine function / nobody listening"),
    "upload": (
        "10 MB, plain: opus_async / data=open()",
        "10 MB, plain: opus_async with digest / without, and hashlib alone",
        "10 MB, plain: peak memory of each upload at once, opus_async with digest",
    ),
    "growth": (
        "24 in flight: memory per job",
        "24 in flight: share of garbage collection",
        "24 in flight: longest stall of the loop",
        "24 in flight: detect lag, p95",
        "CPU per request, 24 in flight / the smallest crowd",
    ),
    "watch": ("16 jobs: lateness of polls, p99", "16 jobs: CPU per poll / per request of tuned aiohttp"),
    "throttle": (
        "200/s: share of what was allowed",
        "200/s: share of 429s",
        "200/s: detect lag, median",
        "12/s on initiate alone, burst 3, 16 jobs/s offered: time / ideal",
    ),
    "polls": (
        "log-normal 1.0: polls a job / best fixed interval as late",
        "step from 60 to 180 s: polls a job / best fixed interval as late",
        "50 jobs of 20 to 60 s, started at once: detect lag, p95",
        "jobs of 0.2 s, the smallest detect lag that can be asked for",
    ),
    "validate": ("20 rows, patterns: validation / csv.DictReader and os.stat",),
    "batch": ("10 text rows: batch / run_many", "10 text rows: its ledger alone / batch"),
    "ledger": ("200 rows, all steps: the ledger / bare sqlite3", "opening it again"),
}
OF_PACKAGE = {
    "httpx": "document, asyncio, 64 in flight: httpx / opus_async",
    "opus_aaico": "document, asyncio, 64 in flight: opus-aaico / opus_async",
    "locust": "text, asyncio, 64 in flight: opus_async / Locust FastHttpUser",
    "uvloop": "text, uvloop, 64 in flight: opus_async / tuned aiohttp",
}
"""Figures of `job` that need a package of the extra `bench`."""
MAY_BE_NONE = re.compile(r"429s|stall|memory|garbage| over ")
"""Figures that can be 0, or a difference below 0."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """All of them keep what they compile in one folder."""
    cache = str(tmp_path_factory.mktemp("bytecode"))
    return os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}


def benchmarks(*arguments, env):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def _of_packages():
    return [figure for package, figure in OF_PACKAGE.items() if importlib.util.find_spec(package)]


def test_benchmarks_are_all_run_here(environment):
    listed = re.search(r"NAME +([a-z,\s]+?)\n\n", benchmarks("--help", env=environment).stdout)
    assert listed is not None
    assert {name.strip() for name in listed[1].split(",")} == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_benchmark_gives_its_figures(name, tmp_path, environment):
    done = benchmarks(name, "--smallest", "--json", tmp_path / "run.json", env=environment)
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "run.json").read_text())
    figures = {figure["name"]: figure for figure in run["figures"]}
    assert run["machine"]["python"]
    for wanted in FIGURES[name] if name != "job" else (*FIGURES[name], *_of_packages()):
        assert any(each.endswith(wanted) for each in figures), (wanted, list(figures))
    for each, figure in figures.items():
        assert figure["benchmark"] == name
        assert all(map(math.isfinite, figure["values"])), figure
        assert MAY_BE_NONE.search(each) or min(figure["values"]) > 0, figure
        assert f"| {name}: {each} |" in done.stdout


def test_benchmark_tells_what_has_changed_since_an_earlier_run(tmp_path, environment):
    earlier = tmp_path / "earlier.json"
    name = "jobs of 0.2 s, the smallest detect lag that can be asked for"
    figures = [{"benchmark": "polls", "name": name, "median": 0.001}]
    earlier.write_text(json.dumps({"figures": figures}))
    done = benchmarks("polls", "--smallest", "--against", earlier, env=environment)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if name in line)
    before, change = line.split("|")[4:6]
    assert before.strip() == "0.00100"
    assert re.fullmatch(r"\+\d{3,}%", change.strip()), line


# What figures are reckoned by


@pytest.fixture
def importable(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)


def test_benchmarks_platform_grants_the_burst_and_then_the_rate(importable):
    from benchmarks.rate_limit import Bucket
    from benchmarks.serving import Limit

    limit = Limit(rate=20, burst=5, later=(2, 10))
    bucket = Bucket(limit)
    granted = sum(bucket.take(100 + tick / 1000) for tick in range(5000))
    assert granted == pytest.approx(5 + 2 * 20 + 3 * 10, abs=1)
    assert limit.burst + limit.granted_until(5) == 75
    assert limit.seconds_for(75) == 5
    assert limit.seconds_for(25) == 1
    assert limit.seconds_for(3) == 0


def test_benchmarks_fixed_interval_is_as_late_as_it_is_asked_to_be(importable):
    from benchmarks.polls import fixed_interval, polls_at

    run_times = [20 + 0.1 * number for number in range(1000)]
    interval = fixed_interval(run_times, 3.0)
    assert interval == pytest.approx(6.0, rel=0.05)  # on average an end lies in the middle
    assert polls_at(run_times, interval) == pytest.approx((sum(run_times) / 1000 + 3.0) / interval, rel=0.01)


def test_benchmarks_platform_tells_how_late_an_end_was_seen(importable):
    from benchmarks.answers import TEXT
    from benchmarks.serving import Config, serving

    def ask(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{server.url}{path}", data, timeout=30) as answer:
            return json.load(answer)

    with serving(Config(run_time=(0.05, 0.05))) as server:
        assert ask(f"/workflow/{TEXT}")["workflowId"] == TEXT
        job_id = ask("/job/initiate", {})["jobExecutionId"]
        began = time.monotonic()
        ask("/job/execute", {"jobExecutionId": job_id})
        polls = 1
        while ask(f"/job/{job_id}/status")["status"] != "COMPLETED":
            polls += 1
        seconds = time.monotonic() - began
        ask(f"/job/{job_id}/status")
        told = server.told()
    assert told.calls == {"workflow": 1, "initiate": 1, "execute": 1, "status": polls + 1}
    (lag,) = told.lags
    assert 0 <= lag <= seconds - 0.05
    assert 0 < told.busy <= 1.2
