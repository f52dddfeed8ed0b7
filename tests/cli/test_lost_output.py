"""Whatever becomes of its streams, a command keeps its exit code, and names the job that was paid for."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Terminal, command, environment, leading_to
from simulator_thread import SimulatorThread
from stream_commands import CLOSED, FILE, FULL, GONE, Call, StreamCommands

from opus_async.cli.errors import READER_GONE
from opus_async.simulator import SimulatorConfig

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")

TEXT = "T3xtOnlyWorkfl0w"
LETTER = "Prüfung №"
ASCII = "ascii"
STREAMS = {
    "as usual": (FILE, FILE),
    "stdout closed": (CLOSED, FILE),
    "stdout full": (FULL, FILE),
    "nobody reads stdout": (GONE, FILE),
    "stderr closed": (FILE, CLOSED),
    "stderr full": (FILE, FULL),
    "nobody reads stderr": (FILE, GONE),
    "both closed": (CLOSED, CLOSED),
    "both full": (FULL, FULL),
    ASCII: (FILE, FILE),
}
FEW = ("stdout closed", "stdout full", "nobody reads stdout")
"""Kinds that each command is tried with; all others run with ``-m long``."""
MANY = [FEW, pytest.param(tuple(STREAMS), marks=pytest.mark.long)]
AS_WITH_FULL = {"stderr closed", "nobody reads stderr"}
"""Kinds that no command that only prints can tell from a full disk: they are tried with paid ones."""
PAID = {
    "run": ("run", TEXT, "--input", f"Text={LETTER}"),
    "run --json": ("run", TEXT, "--input", f"Text={LETTER}", "--json"),
    "wait": ("wait", "{job}"),
    "wait --json": ("wait", "{job}", "--json"),
    "batch run": ("batch", "run", "rows.csv", "--workflow", TEXT, "--out", "{number}-run"),
    "batch run --json": ("batch", "run", "rows.csv", "--workflow", TEXT, "--out", "{number}-json", "--json"),
    "batch resume": ("batch", "resume", "batch-{number}"),
    "batch retry": ("batch", "retry", "batch-{number}"),
    "demo": ("demo", "--jobs", "1", "--out", "demo-{number}"),
}
"""Commands whose exit code tells how jobs ended, whether or not it could be printed."""
ASKED = {
    "audit": ("audit", "{job}"),
    "audit --json": ("audit", "{job}", "--json"),
    "workflow show": ("workflow", "show", TEXT),
    "workflow show --json": ("workflow", "show", TEXT, "--json"),
    "batch status": ("batch", "status", "batch-0"),
    "batch status --json": ("batch", "status", "batch-0", "--json"),
    "batch export csv": ("batch", "export", "batch-0", "--format", "csv", "--output", "-"),
    "batch export jsonl": ("batch", "export", "batch-0", "--format", "jsonl", "--output", "-"),
    "batch export to a file": (
        *("batch", "export", "batch-0", "--format", "csv"),
        *("--output", "export-{number}.csv"),
    ),
    "batch report": ("batch", "report", "batch-{number}"),
    "batch validate": ("batch", "validate", "rows.csv", "--workflow", TEXT),
    "batch validate --json": ("batch", "validate", "rows.csv", "--workflow", TEXT, "--json", "-"),
    "batch validate, bad": ("batch", "validate", "bad.csv", "--workflow", "D0cumentWorkfl0w", "--json", "-"),
    "doctor": ("doctor",),
    "doctor --json": ("doctor", "--json"),
    "simulate": ("simulate", "--", "true"),
    "simulate, failing": ("simulate", "--", "false"),
    "help": ("--help",),
    "help of doctor": ("doctor", "--help"),
    "misspelt": ("fly",),
    "no such batch": ("batch", "status", "nowhere"),
}
"""Commands that give nothing but what they print."""
NORMAL = {"batch validate, bad": 2, "simulate, failing": 1, "misspelt": 2, "no such batch": 2}
SILENT = {"simulate", "misspelt", "no such batch", "simulate, failing"}
"""Commands that print nothing on stdout."""


@pytest.fixture(scope="module")
def platform():
    with SimulatorThread(SimulatorConfig(run_time=0.05)) as process:
        yield leading_to(process)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    (folder / "rows.csv").write_text(f"Text\n{LETTER}\n", encoding="utf-8")
    (folder / "bad.csv").write_text("Document\n" + "nowhere.pdf\n" * 3)
    return folder


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    with StreamCommands(tmp_path_factory.mktemp("said"), environment()) as server:
        yield server


@pytest.fixture(scope="module")
def job(commands, platform, home):
    """The id of a job that has ended, and a batch for each kind of streams."""
    env = environment(**platform)
    words = ("batch", "run", "rows.csv", "--workflow", TEXT)
    calls = [Call([*words, "--out", f"batch-{number}"], env=env) for number in range(len(STREAMS) + len(FEW))]
    first, *batches = commands.run([Call(PAID["run --json"], env=env), *calls], cwd=home)
    assert {ended.code for ended in batches} == {0}
    return json.loads(first.out)["job_id"]


def filled(words, job):
    return [word.replace("{job}", job) for word in words]


def ended_with_each(commands, platform, home, words, streams=STREAMS):
    """Kind of streams -> how the command ended with them."""
    calls = []
    first = len(STREAMS) if len(streams) <= len(FEW) else 0  # files of the few are not those of all
    for number, (name, (out, err)) in enumerate(streams.items(), first):
        env = environment(**platform) | ({"PYTHONIOENCODING": "ascii"} if name == ASCII else {})
        calls.append(Call([word.replace("{number}", str(number)) for word in words], out, err, env))
    return dict(zip(streams, commands.run(calls, cwd=home), strict=True))


def assert_no_trace(ended):
    for name, each in ended.items():
        for said in (each.out, each.err):
            assert b"Traceback" not in said, (name, said.decode())
            assert b"Exception ignored" not in said, (name, said.decode())
            assert b"is a bug" not in said, (name, said.decode())


@pytest.mark.parametrize("kinds", MANY, ids=["few", "all"])
@pytest.mark.parametrize("name", PAID)
def test_lost_output_keeps_exit_code_of_paid_command_and_says_where_result_is(
    commands, platform, home, job, *, name, kinds
):
    streams = {kind: STREAMS[kind] for kind in kinds}
    ended = ended_with_each(commands, platform, home, filled(PAID[name], job), streams)
    assert_no_trace(ended)
    assert {each: how.code for each, how in ended.items()} == dict.fromkeys(streams, 0)
    for lost in ("stdout closed", "stdout full", "nobody reads stdout"):
        told = ended[lost].err.decode()
        assert "stdout cannot be written: " in told
        kind = name.split()[0]
        assert {"run": " wait ", "wait": f" wait {job}", "batch": " batch status ", "demo": "demo-"}[
            kind
        ] in told


@pytest.mark.parametrize("kinds", MANY, ids=["few", "all"])
@pytest.mark.parametrize("name", ASKED)
def test_lost_output_of_command_that_only_prints_is_no_success(commands, platform, home, job, *, name, kinds):
    streams = {kind: STREAMS[kind] for kind in kinds if kind not in AS_WITH_FULL}
    ended = ended_with_each(commands, platform, home, filled(ASKED[name], job), streams)
    assert_no_trace(ended)
    usual = NORMAL.get(name, 0)
    expected = dict.fromkeys(streams, usual)
    if name not in SILENT:
        gone = READER_GONE
        lost = {"stdout full": usual or 1, "both full": usual or 1, "nobody reads stdout": usual or gone}
        expected |= {kind: code for kind, code in lost.items() if kind in streams}
        assert b"stdout cannot be written: No space left" in ended["stdout full"].err
    assert {each: how.code for each, how in ended.items()} == expected


@pytest.mark.parametrize("name", [name for name in {**PAID, **ASKED} if "json" in name])
def test_json_on_ascii_stdout_means_the_same(commands, platform, home, job, name):
    words = {**PAID, **ASKED}[name]
    env = environment(**platform)
    calls = [
        Call([word.format(job=job, number=number) for word in words], env=env | more)
        for number, more in ((20, {}), (21, {"PYTHONIOENCODING": "ascii"}))
    ]
    whole, plain = commands.run(calls, cwd=home)
    assert plain.out.isascii()
    assert (whole.code, whole.err == b"") == (plain.code, plain.err == b"")
    values = [json.loads(each.out) for each in (whole, plain)]
    if name in {"audit --json", "workflow show --json", "batch status --json", "batch export jsonl"}:
        assert values[0] == values[1]
    if name in {"run --json", "wait --json"}:
        assert values[1]["outputs"]["Text"] == LETTER
        assert not whole.out.isascii()


def test_text_on_ascii_stdout_has_plain_symbols(commands, platform, home):
    env = environment(**platform) | {"PYTHONIOENCODING": "ascii"}
    table, helped = commands.run([Call(["doctor"], env=env), Call(["doctor", "--help"], env=env)], cwd=home)
    assert table.out.startswith(b"+  versions")
    assert b"+ good " in helped.out
    assert b"\\u" not in table.out + helped.out


def test_export_to_reader_that_leaves_ends_early_and_quietly(platform, home, tmp_path):
    (tmp_path / "rows.csv").write_text("Text\n" + "".join(f"{LETTER * 200}{n}\n" for n in range(200)))
    env = environment(**platform)
    words = ("batch", "run", "rows.csv", "--workflow", TEXT, "--out", "b")
    subprocess.run(command(*words), cwd=tmp_path, env=env, check=True, capture_output=True)
    for kind in ("csv", "jsonl"):
        words = ("batch", "export", "b", "--format", kind, "--output", "-")
        with subprocess.Popen(
            command(*words), cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout.readline()
            process.stdout.close()
            said = process.stderr.read()
        assert (process.returncode, said) == (READER_GONE, b"")


def test_output_waits_for_slow_reader_of_nonblocking_pipe(platform, home, job):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    words = command("batch", "validate", "bad.csv", "--workflow", "D0cumentWorkfl0w", "--json", "-")
    with os.fdopen(reader, "rb") as out:
        process = subprocess.Popen(words, cwd=home, env=environment(**platform), stdout=writer)
        os.close(writer)
        assert json.loads(out.read())["problems"]
    assert process.wait() == 2


def test_closed_streams_are_not_taken_by_files_of_the_command(platform, home, tmp_path):
    program = (
        "import os, sys; from opus_async.cli import main; code = main(['fly']);"
        "number = os.open('/dev/null', os.O_RDONLY); sys.exit(number if number > 2 else 99)"
    )
    shell = f'{sys.executable} -c "{program}" <&- >&- 2>&-'
    done = subprocess.run(shell, shell=True, env=environment(), check=False)
    assert done.returncode == 3


def test_closed_stdin_of_run_is_named():
    shell = f"{sys.executable} -m opus_async run {TEXT} --inputs - <&-"
    done = subprocess.run(shell, shell=True, env=environment(), check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "stdin is closed" in done.stderr


# Terminals


def test_narrow_terminal_shows_the_whole_job_id(platform, home):
    words = ("run", TEXT, "--input", "Text=a")
    for columns in ("1", "12", "20"):
        drawn, code = Terminal(*words, cwd=home, **platform, COLUMNS=columns).read()
        assert code == 0
        assert re.search(r"job \d{4,}\r\n", drawn), drawn


@pytest.mark.parametrize("name", ["run --json", "batch run --json"])
def test_terminal_that_goes_away_ends_no_command(platform, home, name):
    parent, child = pty.openpty()
    words = [word.replace("{number}", "gone") for word in PAID[name]]
    process = subprocess.Popen(
        ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *command(*words)],  # as under nohup
        cwd=home,
        env=environment(**platform) | {"TERM": "xterm-256color"},
        stdout=subprocess.PIPE,
        stderr=child,
        start_new_session=True,
    )
    os.close(child)
    assert os.read(parent, 1)  # it has begun to draw
    os.close(parent)
    with process.stdout:
        said = process.stdout.read()
    assert process.wait() == 0
    assert json.loads(said)
