"""Ctrl-C and SIGTERM while a batch is worked on, in real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time

import pytest
from batch_command import TEXT, batch, beginning, going_on, heard, texts
from command_line import SECONDS, Terminal, at, leading_to, serving

from opus_async.batch import ShutdownControl
from opus_async.cli import main
from opus_async.cli.interrupts import NoticePrinter, interruptible
from opus_async.config import Limits
from opus_async.exits import Exit
from opus_async.jobs.shutdown import ShutdownMode
from opus_async.metrics.bottleneck import Bounds
from opus_async.metrics.counts import Counts
from opus_async.metrics.progress import Progress
from opus_async.simulator import SimulatorConfig, SimulatorProcess


@pytest.fixture(scope="module")
def slow():
    """Jobs of two seconds."""
    with SimulatorProcess(SimulatorConfig(run_time=2)) as process:
        yield process


@pytest.fixture(scope="module")
def endless():
    with SimulatorProcess(SimulatorConfig(run_time=600)) as process:
        yield process


def ended(process):
    """The code, stdout and the rest of stderr."""
    said = process.stderr.read()
    out = process.stdout.read()
    return process.wait(SECONDS), out, said


def finished(opus, slow, count):
    """Resume, and see that every row has one result and no job ran twice."""
    said = opus("batch", "resume", "b", "--json", env=leading_to(slow))
    assert (said.code, said.json["completed"], said.json["total"]) == (0, count, count), said.err
    assert slow.state(jobs="0")["counters"]["executed_twice"] == []


def keys(path):
    return [json.loads(line)["key"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_first_drains_batch_and_resume_completes_it(opus, slow, tmp_path, number):
    texts(tmp_path, 12)
    with beginning(tmp_path, "texts.csv", TEXT, "--max-in-flight", 4, env=leading_to(slow)) as process:
        going_on(process, tmp_path)
        process.send_signal(number)
        said = heard(process, "near the end")
        assert "Waiting at most 30 s for" in said
        assert said.rstrip().endswith("Ctrl-C again leaves at once.")
        code, out, rest = ended(process)
    assert code == Exit.INTERRUPTED
    assert out.startswith("b: interrupted")
    assert "      opus-async batch resume b\n" in out
    assert "Traceback" not in rest
    completed = keys(tmp_path / "b" / "results.jsonl")
    assert len(completed) < 12
    finished(opus, slow, 12)
    assert keys(tmp_path / "b" / "results.jsonl")[: len(completed)] == completed


def test_signal_second_leaves_batch_at_once(opus, endless, tmp_path):
    texts(tmp_path, 3)
    with beginning(tmp_path, "texts.csv", TEXT, env=leading_to(endless)) as process:
        going_on(process, tmp_path)
        process.send_signal(signal.SIGINT)
        heard(process, "Ctrl-C again")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, out, said = ended(process)
    assert time.monotonic() - began < 10  # of the 30 that draining may take
    assert code == Exit.INTERRUPTED
    assert out.startswith("b: interrupted")
    assert "Leaving." in said
    assert json.loads((tmp_path / "b" / "summary.json").read_text())["exit_code"] == Exit.INTERRUPTED
    status = opus("batch", "status", "b", "--json").json
    assert status["in_flight"] + status["planned"] == 3
    assert status["process"] is None


def test_status_shows_interrupt_while_it_is_under_way(opus, endless, tmp_path):
    texts(tmp_path, 3)
    with beginning(tmp_path, "texts.csv", TEXT, env=leading_to(endless)) as process:
        going_on(process, tmp_path)
        assert opus("batch", "status", "b", "--json").json["ending"] is None
        process.send_signal(signal.SIGINT)
        heard(process, "Ctrl-C again")
        until = time.monotonic() + SECONDS
        while (status := opus("batch", "status", "b", "--json").json)["ending"] is None:
            assert time.monotonic() < until
        assert status["ending"] == {"kind": "interrupted", "mode": "drain"}
        told = opus("batch", "status", "b").out.splitlines()[0]
        assert told.endswith("interrupted; waiting for those near the end")


def test_drain_option_limits_wait_after_signal(endless, tmp_path):
    texts(tmp_path, 3)
    with beginning(tmp_path, "texts.csv", TEXT, "--drain", "0.2", env=leading_to(endless)) as process:
        going_on(process, tmp_path)
        process.send_signal(signal.SIGTERM)
        heard(process, "at most 0.2 s")
        code, _, _ = ended(process)
    assert code == Exit.INTERRUPTED


@pytest.fixture
def silent():
    """A server that takes a question and gives no answer until the test has ended."""
    asked, over = threading.Event(), threading.Event()

    def answer(_):
        asked.set()
        over.wait(SECONDS)
        return 500, b""

    with serving(answer) as port:
        yield at(port), asked
        over.set()


def test_signal_before_first_row_exits_at_once_without_ledger(silent, tmp_path):
    env, asked = silent
    texts(tmp_path, 3)
    with beginning(tmp_path, "texts.csv", TEXT, env=env) as process:
        assert asked.wait(SECONDS)
        process.send_signal(signal.SIGINT)
        code, out, said = ended(process)
    assert (code, out) == (Exit.INTERRUPTED, "")
    assert "interrupted; no row was begun, and nothing is there to resume" in said
    assert "Traceback" not in said
    assert not [path.name for path in (tmp_path / "b").glob("ledger*")]


def test_signal_before_resumed_row_exits_and_names_resume(opus, endless, silent, tmp_path):
    texts(tmp_path, 1)
    words = ("--workflow", TEXT, "--out", "b", "--timeout", 1)
    assert opus("batch", "run", "texts.csv", *words, env=leading_to(endless)).code == Exit.UNKNOWN
    env, asked = silent
    with batch(tmp_path, "resume", "b", env=env) as process:
        assert asked.wait(SECONDS)
        process.send_signal(signal.SIGINT)
        code, out, said = ended(process)
    assert (code, out) == (Exit.INTERRUPTED, "")
    assert "no row was begun by this command; 'opus-async batch resume b' goes on" in said


def test_signal_restores_terminal_cursor(endless, tmp_path):
    texts(tmp_path, 3)
    words = ("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", "--drain", 0)
    terminal = Terminal(*words, cwd=tmp_path, **leading_to(endless))
    drawn = ""
    while "bottleneck" not in drawn:
        drawn += os.read(terminal.parent, 65536).decode()
    terminal.process.send_signal(signal.SIGINT)
    rest, code = terminal.read()
    drawn += rest
    assert code == Exit.INTERRUPTED
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") > 0
    assert "opus-async batch resume b" in rest.rpartition("\x1b")[2]


async def test_signal_third_goes_to_previous_handler():
    control, progress, said, others = ShutdownControl(), Progress(), [], []
    progress.attach(
        stages=(), counts=Counts, admitting=lambda: control.admitting, bounds=Bounds(), limits=Limits()
    )
    before = signal.signal(signal.SIGTERM, lambda *_: others.append("third"))
    try:
        voice = NoticePrinter(said.append)
        with interruptible(control, progress, voice) as interrupted:
            os.kill(os.getpid(), signal.SIGTERM)
            await interrupted.wait()
            assert (control.mode, others) == (ShutdownMode.DRAIN, [])
            voice("Interrupted: so it is.")
            os.kill(os.getpid(), signal.SIGTERM)
            await control.changed()
            assert (control.mode, others) == (ShutdownMode.CANCEL, [])
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
            assert others == ["third"]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert said == ["Interrupted: so it is. Ctrl-C again leaves at once.", "Leaving."]


def test_batch_run_works_outside_of_main_thread(simulator, tmp_path, monkeypatch):
    texts(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    for name, value in leading_to(simulator).items():
        monkeypatch.setenv(name, value)
    codes = []
    words = ["batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b"]
    thread = threading.Thread(target=lambda: codes.append(main(words)))
    thread.start()
    thread.join(SECONDS)
    assert codes == [Exit.OK]
