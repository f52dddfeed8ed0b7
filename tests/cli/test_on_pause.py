"""``--on-pause``: a program of the user's answers paused runs; real programs, no shell, nothing left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from batch_tools import until
from operativus_command import script

from opus_async.cli import on_pause, pause_command
from opus_async.cli.errors import WrongUse
from opus_async.cli.pause_command import AT_ONCE, MOST_BYTES, PauseCommand

RUN = {"id": "run-1", "status": "PAUSED", "output": "näher"}


@pytest.fixture
def told():
    return []


@pytest.fixture
def answering(told):
    """Makes a command of a line, as the option does."""

    def make(line, timeout=30.0):
        return PauseCommand(on_pause.words_of(line), timeout=timeout, say=told.append)

    return make


def alive(pid):
    """Whether a process runs; a zombie, which somebody else has to bury, does not."""
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_on_pause_command_gets_run_as_json_and_gives_text_without_line_end(answering, tmp_path, told):
    echo = script(
        tmp_path,
        "import json, sys\nrun = json.load(sys.stdin)\nprint(run['id'], run['output'])\nprint('b')\n\n",
    )
    assert await answering(echo).answer(RUN) == "run-1 näher\nb"
    assert told == []


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import sys; print('no'); sys.exit(3)", "failed (exit code 3)"),
        ("import sys; sys.exit('out of\\x1b[31m office')", "failed (exit code 1): out of [31m office"),
        ("import os; print('yes', flush=True); os.kill(os.getpid(), 9)", "failed (SIGKILL)"),
        ("", "printed no text"),
        ("print(' \\n ')", "printed no text"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "printed what is not UTF-8"),
        (f"print('x' * {MOST_BYTES + 1})", f"wrote more than {MOST_BYTES:,} bytes"),
        ("import sys\nwhile True: sys.stderr.write('x' * 9999)", f"wrote more than {MOST_BYTES:,} bytes"),
    ],
    ids=lambda value: value.split(" (")[0] if isinstance(value, str) and "import" not in value else None,
)
async def test_on_pause_command_that_gives_no_text_leaves_run_paused_and_says_why(
    answering, tmp_path, told, source, why
):
    assert await answering(script(tmp_path, source)).answer(RUN) is None
    (said,) = told
    assert said.replace("\x1b", " ") == f"run run-1 stays paused: the command of --on-pause {why}"


async def test_on_pause_command_need_not_read_its_input(answering, tmp_path):
    deaf = script(tmp_path, "import os; os.close(0); print('yes')")
    assert await answering(deaf).answer({**RUN, "output": "x" * 1_000_000}) == "yes"


async def test_on_pause_command_past_its_time_is_killed_with_all_it_has_started(answering, tmp_path, told):
    slow = script(
        tmp_path,
        "import os, subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "child.wait()\n".replace("'pids'", repr(str(tmp_path / "pids"))),
    )
    assert await answering(slow, timeout=2).answer(RUN) is None
    assert told == ["run run-1 stays paused: the command of --on-pause took longer than 2 s"]
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    await until(lambda: not any(map(alive, pids)))


async def test_on_pause_command_that_is_killed_leaves_its_exit_code_to_asyncio(answering, tmp_path, caplog):
    """Who takes it from asyncio makes it complain on stderr of an unknown child."""
    noisy = script(tmp_path, "while True: print('y' * 9999)")
    assert await answering(noisy).answer(RUN) is None
    assert not caplog.records


async def test_on_pause_command_whose_child_keeps_stdout_open_ends_with_its_time(answering, tmp_path, told):
    leaves = script(
        tmp_path,
        "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\nprint('yes')\n",
    )
    assert await answering(leaves, timeout=2).answer(RUN) is None
    assert "took longer" in told[0]
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not alive(pid))


async def test_on_pause_command_is_killed_if_its_row_is_given_up(answering, tmp_path):
    os.mkfifo(tmp_path / "begun")
    slow = script(
        tmp_path,
        f"import os, time\nopen({str(tmp_path / 'begun')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n",
    )
    task = asyncio.ensure_future(answering(slow).answer(RUN))
    pid = int(await asyncio.to_thread((tmp_path / "begun").read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


async def test_on_pause_commands_run_some_at_once_and_no_more(answering, tmp_path):
    (tmp_path / "running").mkdir()
    counting = script(
        tmp_path,
        "import os, sys, time\n"
        f"folder = {str(tmp_path / 'running')!r}\n"
        "name = os.path.join(folder, str(os.getpid()))\n"
        "open(name, 'w').close()\n"
        "seen = len(os.listdir(folder))\n"
        "time.sleep(0.05)\n"
        "seen = max(seen, len(os.listdir(folder)))\n"
        "os.unlink(name)\n"
        "print(seen)\n",
    )
    command = answering(counting)
    seen = [int(text) for text in await asyncio.gather(*(command.answer(RUN) for _ in range(3 * AT_ONCE)))]
    assert 1 < max(seen) <= AT_ONCE


@pytest.mark.parametrize(
    "poison",
    ["$(touch owned)", "`touch owned`", "; touch owned", "| touch owned", "\n touch owned\n", "' \""],
)
async def test_on_pause_command_takes_nothing_of_a_run_for_a_command(
    answering, tmp_path, monkeypatch, poison
):
    monkeypatch.chdir(tmp_path)
    run = dict.fromkeys(("id", "session_id", "status", "key", "output"), poison)
    echo = script(tmp_path, "import json, sys\nprint(json.dumps([sys.argv[1:], json.load(sys.stdin)['id']]))")
    said = await answering(f"{echo} $HOME '$(touch owned)' *").answer(run)
    assert json.loads(said) == [["$HOME", "$(touch owned)", "*"], poison]
    assert not (tmp_path / "owned").exists()


async def test_on_pause_command_that_cannot_be_run_any_more_leaves_run_paused(answering, tmp_path, told):
    program = tmp_path / "answer"
    program.write_text("#!/bin/sh\necho yes\n")
    program.chmod(0o700)
    command = answering(str(program))
    assert await command.answer(RUN) == "yes"
    program.unlink()
    assert await command.answer(RUN) is None
    assert "cannot be run: No such file or directory" in told[0]


async def test_on_pause_command_that_never_answers_is_not_told_each_time(answering, told):
    command = answering("false")
    for _ in range(10):
        assert await command.answer(RUN) is None
    assert len(told) == 6
    assert told[-1].endswith("failed (exit code 1); that is the 10th time that no text came")


def test_on_pause_command_is_split_into_words_once_and_refused_before_anything_is_sent():
    assert on_pause.words_of("python -c 'print(1)'") == ["python", "-c", "print(1)"]
    for line, why in {
        "": "give a command",
        "cat 'a": "open quotes|No closing",
        "nope-x": "no program",
    }.items():
        with pytest.raises(WrongUse, match=why):
            on_pause.words_of(line)


def test_on_pause_command_names_signals():
    assert pause_command._ending(-signal.SIGTERM) == "SIGTERM"
    assert pause_command._ending(-200) == "signal 200"
