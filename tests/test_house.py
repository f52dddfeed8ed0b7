"""The drawing of the house is that of the house: folders with many modules have a README that names each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import opus_async

ROOT = Path(opus_async.__file__).parent
MANY = 10
FOLDERS = [
    folder
    for folder in (ROOT, *sorted(path for path in ROOT.rglob("*") if path.is_dir()))
    if len(list(folder.glob("*.py"))) > MANY
]


def modules(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_folder_readme_names_each_module(folder):
    readme = folder / "README.md"
    assert readme.exists(), "say what each module is for"
    rows = [line.split("|")[1] for line in readme.read_text().splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)]
    assert sorted(named) == sorted(modules(folder))
