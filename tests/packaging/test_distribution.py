"""The sdist is the whole repository, the wheel the whole package; without extras only the core is needed."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import opus_async

ROOT = Path(opus_async.__file__).parents[1]
CORE = {"aiohttp", "aiofiles", "pydantic", "backoff"}


def listed_by_git(*options):
    """Files that git knows; skips where there is no repository."""
    done = subprocess.run(
        ["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("no git repository")
    return {name for name in done.stdout.split("\0") if (ROOT / name).is_file()}


def in_sdist(built):
    with tarfile.open(built.sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def in_wheel(built):
    with zipfile.ZipFile(built.wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(built):
    with zipfile.ZipFile(built.wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_sdist_has_every_file_of_the_repository(built):
    of_git = listed_by_git() | listed_by_git("--others", "--exclude-standard")
    assert in_sdist(built) == of_git | {"PKG-INFO"}


def test_wheel_has_the_package_and_nothing_else(built):
    names = in_wheel(built)
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "opus_async").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == package
    assert "opus_async/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_sdist_builds_the_same_wheel_without_a_repository(built, unpacked, tmp_path):
    from_sdist = tmp_path / "again"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", from_sdist],
        cwd=unpacked,
        check=True,
        capture_output=True,
    )
    [wheel] = from_sdist.iterdir()
    assert wheel.name == built.wheel.name
    with zipfile.ZipFile(wheel) as again, zipfile.ZipFile(built.wheel) as first:
        assert {each.filename: each.CRC for each in again.infolist()} == {
            each.filename: each.CRC for each in first.infolist()
        }


def test_core_is_all_that_is_needed_without_extras(metadata):
    needed = [Requirement(text) for text in metadata.get_all("Requires-Dist")]
    without = {each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})}
    assert without == CORE
    assert set(metadata.get_all("Provides-Extra")) >= {"cli", "parquet", "prometheus", "opentelemetry"}


def test_version_is_that_of_the_package_and_of_the_tag(metadata):
    assert metadata["Version"] == opus_async.__version__
    tags = subprocess.run(
        ["git", "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    versions = {tag for tag in tags.stdout.split() if re.fullmatch(r"v\d.*", tag)}
    assert versions <= {f"v{opus_async.__version__}"}


def test_pythons_that_are_claimed_are_those_that_ci_tries(metadata):
    claimed = re.findall(
        r"^Programming Language :: Python :: (3\.\d+)$",
        "\n".join(metadata.get_all("Classifier")),
        re.MULTILINE,
    )
    ci = ROOT / ".ci/wheel"
    tried = re.search(r"^for version in ([\d. ]+); do$", ci.read_text(), re.MULTILINE)
    assert tried is not None
    assert claimed == tried[1].split()
    assert metadata["Requires-Python"] == f">={claimed[0]}"
