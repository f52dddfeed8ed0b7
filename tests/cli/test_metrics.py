"""``--prometheus``: metrics of a batch and of a load test, served while they run."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import urllib.request

import pytest
from command_line import SECONDS, command, environment, leading_to

from opus_async.simulator import SimulatorConfig, SimulatorProcess

pytest.importorskip("prometheus_client")

TEXT = "T3xtOnlyWorkfl0w"


@pytest.fixture(scope="module")
def endless():
    """Jobs that never end while a test looks."""
    with SimulatorProcess(SimulatorConfig(run_time=600)) as process:
        yield process


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "texts.csv").write_text("Text\nHello\nWorld\n")
    return "texts.csv"


COMMANDS = {
    "batch": ("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "out"),
    "load": (
        *("load", "run", "--workflow", TEXT, "--inputs", "texts.csv", "--out", "out"),
        *("--rate", "20/s", "--jobs", "2", "--yes"),
    ),
}

AT_WORK = (
    'opus_async_jobs_in_stage{stage="watch"} 2.0',
    'opus_async_requests_total{kind="api",operation="execute",status="201"} 2.0',
)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_metrics_are_served_while_it_runs(endless, tmp_path, texts, words):
    running = subprocess.Popen(
        command(*words, "--prometheus", 0),
        cwd=tmp_path,
        env=environment(**leading_to(endless)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with running:
        try:
            line = next(line for line in running.stderr if "metrics: " in line)
            (url,) = re.findall(r"http://127\.0\.0\.1:[0-9]+/metrics", line)
            found = ""
            while not all(metric in found for metric in AT_WORK):
                assert running.poll() is None, found
                found = urllib.request.urlopen(url, timeout=SECONDS).read().decode()
        finally:
            running.send_signal(signal.SIGINT)
            running.send_signal(signal.SIGINT)
            running.kill()


@pytest.mark.parametrize("port", ["-1", "65536", "http", "9.5"])
def test_what_is_no_port_is_refused(opus, texts, port):
    said = opus(*COMMANDS["batch"], f"--prometheus={port}")
    assert said.code == 2
    assert "is no port" in said.err


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_port_that_is_taken_is_told_and_nothing_runs(opus, to, texts, words, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = opus(*words, "--prometheus", taken.getsockname()[1], env=to)
    assert said.code == 2
    assert "Address already in use" in said.err
    assert not (tmp_path / "out" / "summary.json").exists()
