"""The event loop of a command: uvloop where it is installed, asyncio's elsewhere; both do what is needed."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest
from batch_command import TEXT, beginning, going_on, heard, texts
from command_line import HOME, SECONDS, leading_to
from operativus_command import script

from opus_async.cli.event_loop import drive
from opus_async.cli.on_pause import words_of
from opus_async.cli.pause_command import MOST_BYTES, PauseCommand
from opus_async.exits import Exit
from opus_async.simulator import SimulatorConfig, SimulatorProcess

pytest.importorskip("uvloop")


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request, monkeypatch):
    """The loop of commands in this process."""
    if request.param == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    return request.param


async def _running():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_event_loop_is_of_uvloop_where_that_is_installed(loop):
    assert drive(_running()) == loop


def test_event_loop_of_uvloop_is_told_by_doctor(opus, to):
    assert ", uvloop " in opus("doctor", env=to).out


@pytest.mark.parametrize(
    ("source", "text", "why"),
    [
        ("import sys; print(sys.stdin.read())", '{"id": "run-1"}', None),
        ("import sys; sys.exit(3)", None, "failed (exit code 3)"),
        ("import os; os.kill(os.getpid(), 9)", None, "failed (SIGKILL)"),
        (f"print('x' * {MOST_BYTES + 1})", None, f"wrote more than {MOST_BYTES:,} bytes"),
        ("import time; time.sleep(600)", None, "took longer than 1 s"),
    ],
)
def test_event_loop_runs_programs_and_buries_them(loop, tmp_path, source, text, why):
    told = []
    patience = 1 if "sleep" in source else SECONDS
    asking = PauseCommand(words_of(script(tmp_path, source)), timeout=patience, say=told.append)
    assert drive(_answer(asking)) == text
    assert told == ([] if why is None else [f"run run-1 stays paused: the command of --on-pause {why}"])


async def _answer(asking):
    return await asking.answer({"id": "run-1"})


@pytest.mark.parametrize("name", ["uvloop", "asyncio"])
def test_event_loop_hears_signals(tmp_path, name):
    env = {}
    if name == "asyncio":
        (tmp_path / "none").mkdir()
        (tmp_path / "none" / "uvloop.py").write_text("raise ImportError\n")
        env = {"PYTHONPATH": f"{tmp_path / 'none'}:{HOME}"}
    texts(tmp_path, 3)
    with (
        SimulatorProcess(SimulatorConfig(run_time=600)) as endless,
        beginning(tmp_path, "texts.csv", TEXT, env=leading_to(endless) | env) as process,
    ):
        going_on(process, tmp_path)
        process.send_signal(signal.SIGINT)
        heard(process, "Ctrl-C again")
        process.send_signal(signal.SIGTERM)
        heard(process, "Leaving.")
        assert process.wait(SECONDS) == Exit.INTERRUPTED
