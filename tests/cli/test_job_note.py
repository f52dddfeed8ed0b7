"""The id of a job that is paid for can be found, whatever becomes of stdout and stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import environment, leading_to
from simulator_thread import SimulatorThread
from stream_commands import CLOSED, FILE, FULL, GONE, Call, StreamCommands

from opus_async.cli import job_note
from opus_async.cli.job_note import JobNote
from opus_async.cli.platforms.opus import ENTRY
from opus_async.cli.target import Target
from opus_async.events import JobStageChanged
from opus_async.simulator import SimulatorConfig

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")

RUN = ("run", "T3xtOnlyWorkfl0w", "--input", "Text=a")
LOST = (CLOSED, FULL, GONE)


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    with StreamCommands(tmp_path_factory.mktemp("said"), environment()) as server:
        yield server


def notes(folder):
    return sorted(folder.glob("opus-async-job-*"))


def id_in(note):
    job_id = note.stem.removeprefix("opus-async-job-")
    assert f"opus-async wait {job_id}\n" in note.read_text()
    return job_id


@pytest.mark.parametrize("err", LOST)
@pytest.mark.parametrize("out", LOST)
def test_job_note_tells_job_where_both_streams_are_lost(commands, to, tmp_path, *, out, err):
    (ended,) = commands.run([Call(RUN, out, err, environment(**to))], cwd=tmp_path)
    assert ended.code == 0
    (note,) = notes(tmp_path)
    (found,) = commands.run([Call(("wait", id_in(note)), env=environment(**to))], cwd=tmp_path)
    assert json.loads(found.out)["Text"] == "a"


def test_job_note_is_not_needed_where_stderr_or_json_tells_id(commands, to, tmp_path):
    calls = [
        Call(RUN, FULL, FILE, environment(**to)),
        Call((*RUN, "--json"), FILE, FULL, environment(**to)),
        Call((*RUN, "--json"), FILE, CLOSED, environment(**to)),
    ]
    told, *as_json = commands.run(calls, cwd=tmp_path)
    assert b" wait " in told.err
    assert all(json.loads(each.out)["job_id"] for each in as_json)
    assert notes(tmp_path) == []


def test_job_note_stays_where_outputs_came_without_id(commands, to, tmp_path):
    (ended,) = commands.run([Call(RUN, FILE, CLOSED, environment(**to))], cwd=tmp_path)
    assert json.loads(ended.out)["Text"] == "a"
    assert len(notes(tmp_path)) == 1


def test_job_note_tells_job_that_failed(commands, tmp_path):
    with SimulatorThread(SimulatorConfig(run_time=0.05, fail_share=1)) as failing:
        env = environment(**leading_to(failing))
        (ended,) = commands.run([Call(RUN, FILE, CLOSED, env)], cwd=tmp_path)
    assert (ended.code, ended.out) == (1, b"")
    id_in(*notes(tmp_path))


def test_job_note_tells_job_that_goes_on(commands, tmp_path):
    with SimulatorThread(SimulatorConfig(run_time=600)) as slow:
        env = environment(**leading_to(slow))
        (ended,) = commands.run([Call((*RUN, "--timeout", "0.5"), FILE, FULL, env)], cwd=tmp_path)
    assert (ended.code, ended.out) == (5, b"")
    id_in(*notes(tmp_path))


def test_job_note_goes_to_temporary_folder_where_current_one_takes_none(tmp_path, monkeypatch):
    current, other = tmp_path / "current", tmp_path / "other"
    current.write_text("no folder")
    other.mkdir()
    monkeypatch.setattr(job_note, "stderr_is_lost", lambda: True)
    monkeypatch.setattr(job_note, "_folders", lambda: iter([current, other]))
    note = JobNote(Target(ENTRY))
    for job_id in ("25/14", "25/14", "2515"):
        note(JobStageChanged(index=0, key=None, job_id=job_id, stage="execute"))
        assert notes(other) == [note.path]
    assert note.path.name == "opus-async-job-2515.txt"
    note.remove()
    assert notes(other) == []
