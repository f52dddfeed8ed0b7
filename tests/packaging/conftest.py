"""Fixtures: the sdist and the wheel of this tree, and an environment in which the wheel is installed."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import opus_async

ROOT = Path(opus_async.__file__).parents[1]


@dataclass(frozen=True)
class Built:
    """What was built of a tree.

    Attributes:
        sdist: The source distribution.
        wheel: The wheel.
    """

    sdist: Path
    wheel: Path


def build(tree: Path, into: Path) -> Built:
    """Build both, as a frontend does it, without a network: what builds is installed."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", into], cwd=tree, check=True, capture_output=True
    )
    [sdist], [wheel] = into.glob("*.tar.gz"), into.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def unpacked(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree that is in the sdist: no repository, no tags."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built.sdist) as archive:
        archive.extractall(folder, filter="data")
    [tree] = folder.iterdir()
    return tree


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, and our dependencies from this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(packages)
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin/python"
