"""Type checkers that are not Python's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TOLD = os.environ.get("OPUS_ASYNC_TEST_NPM")
"""Read at import: no test sees it in its environment."""


def pyright_program() -> Path:
    """Pyright as ``.ci/run`` installs it by npm: the package of PyPI fetches it when it is first run."""
    program = Path(TOLD or "/nonexistent", "node_modules/.bin/pyright")
    if not program.exists():
        pytest.skip("no pyright is installed; .ci/run installs one where there is npm")
    return program
