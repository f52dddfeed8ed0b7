"""``progress=True``: plain lines, a terminal, a notebook; and what is left of it afterwards."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from client_tools import settings

from opus_async import OpusClient
from opus_async.batch import BatchObserver, resume_batch, retry_batch, run_batch
from opus_async.simulator import SimulatorConfig, SimulatorProcess
from opus_async.testing import quick_polls

TEXT = "T3xtOnlyWorkfl0w"


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(SimulatorConfig(run_time=0.05, queue_time=0)) as apart:
        yield apart


@pytest.fixture
async def opus(simulator):
    with quick_polls():
        async with OpusClient(simulator.service_key, base_url=simulator.base_url, **settings()) as client:
            yield client


async def test_progress_of_run_many_is_a_line_at_the_start_and_one_at_the_end(opus, capsys):
    rows = [*({"Text": str(number)} for number in range(5)), {"Txt": "wrong"}]
    outcomes = [outcome async for outcome in opus.run_many(TEXT, rows, progress=True)]
    assert sum(outcome.ok for outcome in outcomes) == 5
    captured = capsys.readouterr()
    first, *_, last = captured.err.splitlines()
    assert first.startswith(f"{TEXT}: 0 s: 0/6 done")
    assert "6/6 done, 1 failed, 0 in flight" in last
    assert captured.out == ""


async def test_progress_of_two_streams_counts_each_its_own(opus, capsys):
    one = opus.run_many(TEXT, [{"Text": "a"}] * 3, progress=True)
    two = opus.run_many(TEXT, ({"Text": "b"} for _ in range(4)), progress=True)
    async with one, two:
        assert len([outcome async for outcome in two]) == 4
        assert len([outcome async for outcome in one]) == 3
    said = capsys.readouterr().err
    assert "3/3 done" in said
    assert "4 done" in said
    assert "7" not in {word for line in said.splitlines() for word in line.split() if word.endswith("done")}


async def test_progress_leaves_no_task_when_a_stream_is_left(opus, capsys):
    async for _ in opus.run_many(TEXT, [{"Text": "a"}] * 20, max_in_flight=2, progress=True):
        break
    await opus.close()
    assert "/20 done" in capsys.readouterr().err


async def test_without_progress_nothing_is_printed(opus, capsys):
    assert [outcome.ok async for outcome in opus.run_many(TEXT, [{"Text": "a"}])] == [True]
    assert capsys.readouterr() == ("", "")


async def test_progress_of_batches_that_are_run_resumed_and_retried(opus, capsys, tmp_path):
    manifest = tmp_path / "rows.csv"
    manifest.write_text("Text\na\nb\nc\n")
    planned = []
    watching = BatchObserver(planning=lambda what, rows: planned.append((what, rows)))
    out = tmp_path / "invoices"
    await run_batch(opus, manifest, workflow_id=TEXT, out=out, watching=watching, progress=True)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("invoices: 0 s: reading the workflow")
    assert "3/3 done, 0 failed" in said[-1]
    assert planned, "the caller's own observer is told, too"
    await resume_batch(opus, out, progress=True)  # nothing is left to run
    assert capsys.readouterr().err == "invoices: 0 s: reading the workflow\n"
    await retry_batch(opus, out, progress=True)
    assert "3/3 done, 0 failed" in capsys.readouterr().err


PROGRAM = """
import asyncio, sys
from opus_async import OpusClient
from opus_async.testing import quick_polls

{before}

async def main():
    async with OpusClient(sys.argv[1], base_url=sys.argv[2]) as opus:
        rows = [{{"Text": str(number)}} for number in range(12)]
        async for outcome in opus.run_many("T3xtOnlyWorkfl0w", rows, max_in_flight=3, progress=True):
            print("row", outcome.index, outcome.ok)

with quick_polls():
    asyncio.run(main())
{after}
"""


def program(before="", after=""):
    return PROGRAM.format(before=textwrap.dedent(before), after=textwrap.dedent(after))


def test_progress_on_a_terminal_redraws_and_leaves_prints_and_a_last_line(simulator):
    leader, follower = pty.openpty()
    words = [sys.executable, "-c", program(), simulator.service_key, simulator.base_url]
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    process = subprocess.Popen(
        words, stdin=follower, stdout=follower, stderr=follower, env={**env, "TERM": "xterm-256color"}
    )
    os.close(follower)
    said = b""
    try:
        while piece := os.read(leader, 65536):
            said += piece
    except OSError:  # the end of a terminal
        pass
    finally:
        os.close(leader)
    assert process.wait() == 0, said
    text = said.decode()
    assert "\x1b[2K" in text or "\x1b[1A" in text, "nothing was redrawn"
    assert text.count("True") == 12
    assert "12/12 done, 0 failed" in "".join(text.splitlines()[-3:]), "the last frame is erased, a line stays"


WRITES_FILE = """
    import builtins, functools
    lines = open(sys.argv[3], "w")
    print = functools.partial(builtins.print, file=lines)
"""


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-", "2>/dev/full", ">&- 2>/dev/full"])
def test_progress_that_nobody_sees_loses_no_outcome(simulator, tmp_path, streams):
    if "full" in streams and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    said = tmp_path / "said"
    words = [sys.executable, "-c", program(WRITES_FILE), simulator.service_key, simulator.base_url, str(said)]
    done = subprocess.run(["sh", "-c", f"exec {shlex.join(words)} {streams}"], check=False)
    assert done.returncode == 0
    assert said.read_text().count("True") == 12


def test_progress_on_a_terminal_that_goes_away_loses_no_outcome(simulator, tmp_path):
    leader, follower = pty.openpty()
    said = tmp_path / "said"
    words = [sys.executable, "-c", program(WRITES_FILE), simulator.service_key, simulator.base_url, str(said)]
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' HUP; exec {shlex.join(words)}"],  # as under nohup
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env={**env, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(follower)
    assert os.read(leader, 1)  # it has begun to draw
    os.close(leader)
    assert process.wait() == 0
    assert said.read_text().count("True") == 12


def test_progress_on_a_terminal_leaves_redirected_stdout_alone(simulator, tmp_path):
    leader, follower = pty.openpty()
    words = [sys.executable, "-c", program(), simulator.service_key, simulator.base_url]
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    with (tmp_path / "out.txt").open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=follower, env={**env, "TERM": "xterm"})
        os.close(follower)
        try:
            while os.read(leader, 65536):
                pass
        except OSError:  # the end of a terminal
            pass
        finally:
            os.close(leader)
        assert process.wait() == 0
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert len(lines) == 12
    assert all(line.startswith("row ") and line.endswith("True") for line in lines)


def test_progress_in_a_notebook_updates_one_output(simulator):
    pytest.importorskip("IPython")
    before = """
        from IPython.core.interactiveshell import InteractiveShell

        shell = InteractiveShell.instance()
        shell.kernel = object()
        sent = []

        class Kept(type(shell.display_pub)):
            def publish(self, data, metadata=None, source="", *, transient=None, update=False, **more):
                sent.append([data.get("text/html", ""), (transient or {}).get("display_id"), update])

        shell.display_pub = Kept(parent=shell)
        """
    after = """
        import json
        print(json.dumps(sent), file=sys.stderr)
        """
    words = [sys.executable, "-c", program(before, after), simulator.service_key, simulator.base_url]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    sent = json.loads(done.stderr)
    assert sent[0][2] is False
    assert all(update for _, _, update in sent[1:])
    assert len({display_id for _, display_id, _ in sent}) == 1
    assert '<progress max="12" value="12">' in sent[-1][0]
    assert "12/12 done" in sent[-1][0]


def test_progress_is_not_loaded_by_a_program_that_does_not_ask_for_it():
    code = "import sys, opus_async.opus.client, opus_async.batch.api; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "opus_async.progress" not in loaded
    assert "rich" not in loaded.split()
    assert "IPython" not in loaded.split()
