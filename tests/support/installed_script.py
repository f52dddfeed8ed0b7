"""A program like the one that pip installs."""

from __future__ import annotations

import sys
from pathlib import Path

from opus_async.cli import program


def installed_script(folder: Path) -> Path:
    """Write it into a new folder."""
    folder.mkdir()
    script = folder / program.NAME
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom opus_async.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    return script
