"""Batches on a machine that has little: few open files, small files, a host that is not there."""

from __future__ import annotations

import json
import resource
import subprocess
import time

import pytest
from command_line import command, environment

WORKFLOW = "Rep0rtWithFiles1"
LIMITED = """
import resource, sys
name, soft = sys.argv[1], int(sys.argv[2])
resource.setrlimit(getattr(resource, name), (soft, soft))
from opus_async.cli import main
sys.exit(main(sys.argv[3:]))
"""


def limited(name, soft, *words, cwd, env):
    """Run a command in a process that has no more than so much."""
    python = command()[0]
    done = subprocess.run(
        [python, "-c", LIMITED, name, str(soft), *map(str, words)],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def manifest_of(home, rows):
    (home / "docs").mkdir()
    lines = ["key,Document,Text"]
    for row in range(rows):
        (home / "docs" / f"{row}.txt").write_text(f"document {row}\n" * 50)
        lines.append(f"k{row},docs/{row}.txt,text {row}")
    (home / "m.csv").write_text("\n".join(lines) + "\n")
    return "m.csv"


def test_batch_run_completes_200_rows_with_128_open_files_and_one_notice(to, tmp_path):
    words = ("batch", "run", manifest_of(tmp_path, 200), "--workflow", WORKFLOW, "--out", "b")
    code, _, err = limited("RLIMIT_NOFILE", 128, *words, "--download-outputs", "--json", cwd=tmp_path, env=to)
    assert code == 0, err
    assert err.count("This process may have 128 files open") == 1
    summary = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert (summary["completed"], summary["failed"]) == (200, 0)
    assert len(list((tmp_path / "b" / "outputs").iterdir())) == 200


def test_batch_run_exits_4_with_too_few_open_files(to, tmp_path):
    words = ("batch", "run", manifest_of(tmp_path, 2), "--workflow", WORKFLOW, "--out", "b")
    code, _, err = limited("RLIMIT_NOFILE", 32, *words, cwd=tmp_path, env=to)
    assert code == 4
    assert "ulimit -n" in err
    assert not (tmp_path / "b").exists()


ANY = (
    ("batch", "status", "b"),
    ("batch", "export", "b", "--format", "csv", "--output", "-"),
    ("batch", "export", "b", "--format", "xlsx", "--output", "x.xlsx"),
    ("batch", "report", "b"),
    ("batch", "resume", "b"),
    ("batch", "resolve", "b", "--as", "done"),
    ("run", "T3xtOnlyWorkfl0w", "--input", "Text=a"),
    ("doctor",),
    ("simulate", "--", "true"),
)


@pytest.mark.parametrize("words", ANY, ids=" ".join)
def test_any_command_with_few_open_files_works_or_names_them(to, tmp_path, opus, words):
    (tmp_path / "m.csv").write_text("Text\na\n")
    assert opus("batch", "run", "m.csv", "--workflow", "T3xtOnlyWorkfl0w", "--out", "b", env=to).code == 0
    ends = set()
    for soft in range(5, 14, 2):
        env = to | {"PYTHONWARNINGS": ""}  # a library leaves its temporary files to the collector
        code, out, err = limited("RLIMIT_NOFILE", soft, *words, cwd=tmp_path, env=env)
        told = out + err
        assert code in {0, 4} or words[0] == "simulate" or "no row is unknown" in told, told
        assert "Traceback" not in told
        assert "ignored" not in told
        assert "never awaited" not in told
        assert code == 0 or "open files" in told or "files open" in told or "no row is" in told, told
        ends.add(code)
    assert ends - {0}, "some of these limits are too low"


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="not on this system")
def test_batch_run_halts_without_failed_rows_at_file_size_limit(to, tmp_path, opus):
    words = ("batch", "run", manifest_of(tmp_path, 120), "--workflow", WORKFLOW, "--out", "b")
    code, _, err = limited("RLIMIT_FSIZE", 300_000, *words, cwd=tmp_path, env=to)
    assert code == 3, err
    assert "No row failed for this" in err
    assert (tmp_path / "b" / "failures.jsonl").read_text() == ""
    assert opus("batch", "resume", "b", env=to).code == 0


@pytest.mark.parametrize("url", ["https://${HOST}", "https://a b", "http:/x", "https://a.example:99999"])
def test_batch_run_exits_4_for_unusable_base_url(opus, tmp_path, to, url):
    words = ("batch", "run", manifest_of(tmp_path, 1), "--workflow", WORKFLOW, "--out", "b")
    began = time.monotonic()
    said = opus(*words, env={**to, "OPUS_BASE_URL": url})
    assert time.monotonic() - began < 20
    assert said.code == 4
    assert "The base URL" in said.err
    assert not (tmp_path / "b").exists()
