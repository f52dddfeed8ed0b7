"""Files among the outputs of a job, fetched from the real simulator."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import leading_to
from simulator_thread import SimulatorThread

from opus_async.cli import outcomes
from opus_async.cli.platforms.opus import ENTRY
from opus_async.cli.target import Target
from opus_async.errors import DownloadError
from opus_async.models import JobStatus
from opus_async.outcome import JobOutcome
from opus_async.simulator import SimulatorConfig

OPUS = Target(ENTRY)
FILE = "https://files.opus.com/media/private/generated/output_1.pdf"


@pytest.fixture
def report(opus, tmp_path):
    """Runs the workflow that gives files."""
    (tmp_path / "a.txt").write_text("one\n")

    def run(env, *more):
        words = ("--file", "Document=a.txt", "--input", "Text=https://files.opus.com/no/file")
        return opus("run", "Rep0rtWithFiles1", *words, *more, env=env)

    return run


def whole(files, folder, job_id):
    """Whether these are the three files of a report, each where the JSON says."""
    paths = [folder / path for several in files.values() for path in several]
    assert {name: len(several) for name, several in files.items()} == {"Report": 1, "Attachments": 2}
    for number, path in enumerate(paths, 1):
        assert path.read_text().startswith(f"Report {number} of job {job_id}, Report\n")
    assert len(set(paths)) == 3
    return True


def test_download_option_fetches_files_and_prints_paths_with_outputs(report, to, tmp_path):
    said = report(to, "--download", "results/of today")
    assert said.code == 0, said.err
    files = said.json.pop("files")
    assert set(said.json) == {"Summary", "Report", "Attachments", "files"}
    assert all(path.startswith("results/of today/") for path in files["Report"])
    (job_id,) = {line.split()[-1] for line in said.err.splitlines() if "execute" in line}
    assert whole(files, tmp_path, job_id)
    assert "  download  3 files into results/of today\n" in said.err
    assert "--download DIR" not in said.err


def test_download_option_with_json_prints_file_paths(report, to, tmp_path):
    said = report(to, "--download", "out", "--json")
    assert said.json["ok"] is True
    assert whole(said.json["files"], tmp_path, said.json["job_id"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        Path(path).name for several in said.json["files"].values() for path in several
    )


def test_download_option_is_suggested_if_outputs_have_files(report, to, opus, tmp_path):
    said = report(to, "--json")
    job_id = said.json["job_id"]
    told = f"Files in Report, Attachments: fetch them with opus-async wait {job_id} --download DIR\n"
    assert said.err.endswith(f"  done      COMPLETED\n{told}")
    assert "files" not in said.json
    assert opus("wait", job_id, env=to).err.endswith(told)
    later = opus("wait", job_id, "--download", "out", env=to)
    assert whole(later.json["files"], tmp_path, job_id)
    assert "files" not in opus("run", "T3xtOnlyWorkfl0w", "--input", "Text=x", env=to).err


@pytest.mark.parametrize("trait", ["download_needs_workspace", "download_refuses_workspace"])
def test_download_option_works_with_servers_that_need_or_refuse_workspace(report, opus, tmp_path, trait):
    with SimulatorThread(SimulatorConfig(run_time=0, traits=frozenset({trait}))) as process:
        env = leading_to(process)
        ran = report(env, "--download", "first", "--json")
        waited = opus("wait", ran.json["job_id"], "--download", "second", "--json", env=env)
    for said in (ran, waited):
        assert said.code == 0, said.err
        assert whole(said.json["files"], tmp_path, ran.json["job_id"])


def test_download_option_fetches_files_with_api_v1(report, opus, to, tmp_path):
    ran = report(to, "--download", "first", "--json", "--api", "v1")
    waited = opus("wait", ran.json["job_id"], "--download", "second", "--json", "--api", "v1", env=to)
    for said in (ran, waited):
        assert whole(said.json["files"], tmp_path, ran.json["job_id"])


def test_download_option_fetches_nothing_for_job_without_files(opus, to, tmp_path):
    text = ("run", "T3xtOnlyWorkfl0w", "--input", f"Text={FILE}", "--download", "out")
    said = opus(*text, env=to)
    assert (said.code, said.json["files"], said.json["Text"]) == (0, {}, FILE)
    assert not list((tmp_path / "out").iterdir())


def test_download_option_exits_2_before_any_request_if_folder_is_unusable(
    report, opus, simulator, to, tmp_path
):
    (tmp_path / "taken").write_text("")
    before = simulator.state(jobs="0")["counters"]["requests"]
    said = report(to, "--download", "taken")
    assert (said.code, said.out) == (2, "")
    assert "--download: taken" in said.err
    assert opus("wait", "2514", "--download", "taken/below", env=to).code == 2
    assert simulator.state(jobs="0")["counters"]["requests"] == before


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_download_option_exits_1_and_prints_outputs_if_files_are_unavailable(opus, to, tmp_path, more):
    (tmp_path / "a.txt").write_text("a")  # given back as an output, and its bytes are not kept
    said = opus("run", "P0stmanC0llecti0", "--file", "Files=a.txt", "--download", "out", *more, env=to)
    assert said.code == 1
    assert "bytes of this file were not kept" in said.err
    assert "[job " in said.err
    assert said.err.splitlines()[-1].endswith("--download DIR")
    outputs = said.json["outputs"] if more else said.json
    assert outputs["Files"][0].startswith("https://files.opus.com/")
    assert "files" not in said.json
    if more:
        assert (said.json["ok"], said.json["status"]) == (False, "COMPLETED")
        assert (said.json["error"]["type"], said.json["error"]["stage"]) == ("NotFound", "download")


def test_download_option_keeps_output_named_files():
    outcome = JobOutcome(job_id="1", status=JobStatus.COMPLETED, outputs={"files": "paid for"})
    ending = outcomes.JobEnd(outcome, {"files": [FILE]}, files={"files": ["out/a"]})
    assert outcomes._outputs(ending) == {"files": "paid for"}
    assert outcomes.as_json(ending, OPUS)["files"] == {"files": ["out/a"]}
    assert outcomes.as_json(outcomes.JobEnd(outcome, {}, error=DownloadError("x", destination="a")), OPUS)[
        "error"
    ]
