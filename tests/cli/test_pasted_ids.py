"""Pages of Opus pasted at a shell: every argument that is an id takes their links."""

from __future__ import annotations

import pytest

APP = "https://app.opus.com/app"
TEXT = "T3xtOnlyWorkfl0w"
PAGE = f" {APP}/workflow/{TEXT}?tab=runs "
NO_PAGE = f"{APP}/workflow/share"


def test_links_of_workflows_are_understood_by_every_command(opus, to, tmp_path):
    (tmp_path / "rows.csv").write_text("Text\nx\n")
    shown = opus("workflow", "show", PAGE, env=to)
    assert shown.out.startswith(f"Text only ({TEXT}, version 3)")
    assert f"Try: opus-async run {TEXT} " in shown.err
    assert opus("run", PAGE, "--input", "Text=x", env=to).json["Text"] == "x"
    assert opus("batch", "validate", "rows.csv", "--workflow", PAGE, env=to).code == 0
    assert opus("batch", "run", "rows.csv", "--workflow", PAGE, "--out", "out", env=to).code == 0
    assert opus("batch", "status", "out", "--json", env=to).json["workflow_id"] == TEXT
    assert "Text only" in opus("doctor", "--workflow", PAGE, env=to).out


def test_links_of_jobs_are_understood_by_every_command(opus, to):
    job_id = opus("run", TEXT, "--input", "Text=x", "--json", env=to).json["job_id"]
    page = f"{APP}/dashboard/job/{job_id}/"
    assert opus("wait", page, "--json", env=to).json["job_id"] == job_id
    assert opus("audit", page, env=to).out.startswith(f"Job {job_id}: finished")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("workflow", "show", NO_PAGE), "the workflow id is a link that names no workflow"),
        (("run", NO_PAGE), "the workflow id is a link that names no workflow"),
        (("run", f"{APP}/job/2514"), "the workflow id is the link of a job"),
        (("doctor", "--workflow", NO_PAGE), "the workflow id is a link that names no workflow"),
        (
            ("batch", "validate", "x.csv", "--workflow", NO_PAGE),
            "the workflow id is a link that names no workflow",
        ),
        (
            ("batch", "run", "x.csv", "--workflow", NO_PAGE, "--out", "o"),
            "the workflow id is a link that names no workflow",
        ),
        (("wait", PAGE), "the job id is the link of a workflow"),
        (("audit", f"{APP}/job/"), "the job id is a link that names no job"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value[:2]),
)
def test_links_without_an_id_have_the_code_2_and_nothing_is_asked(opus, words, told):
    nowhere = {"OPUS_SERVICE_KEY": "_" + "5e" * 48, "OPUS_BASE_URL": "http://127.0.0.1:1"}
    said = opus(*words, env=nowhere)
    assert said.code == 2
    assert told in " ".join(said.err.split())
    assert "127.0.0.1" not in said.err
