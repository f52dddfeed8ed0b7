"""The pytest plugin costs a project that does not use it next to nothing: it imports none of our weight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import opus_async

ROOT = Path(opus_async.__file__).parents[1]
LIGHT = {"opus_async", "opus_async._lazy", "opus_async.testing", "opus_async.testing.plugin"}
HEAVY = {"aiohttp", "aiofiles", "pydantic", "backoff"}


PROGRAM = """
import json, sys
import pytest
code = pytest.main(sys.argv[1:])
assert code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}, code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(folder: Path, *words: str) -> set[str]:
    """The modules that are there after a pytest run."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "-p", "no:cacheprovider", *words],
        cwd=folder,
        env=env | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("test", ["", "def test_nothing():\n    pass\n"], ids=["empty", "unrelated"])
def test_project_that_does_not_use_it_imports_none_of_our_weight(test, tmp_path):
    (tmp_path / "test_own.py").write_text(test)
    without = imported(tmp_path)
    added = imported(tmp_path, "-p", "opus_async.testing.plugin") - without
    assert {name for name in added if name.startswith("opus_async")} == LIGHT
    assert not {name.partition(".")[0] for name in added} & HEAVY


def test_entry_point_is_the_plugin(built):
    with zipfile.ZipFile(built.wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        told = archive.read(name).decode()
    assert "[pytest11]\nopus_async = opus_async.testing.plugin\n" in told
