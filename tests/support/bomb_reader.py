"""Reads a manifest in a process of its own and tells how much memory that took: run by ``forking``.

Writes a JSON object: what was read or why not, and the peak in MiB.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.manifests import open_manifest


def main(path: str, most: str) -> None:
    """Read a manifest with at most so many bytes of memory, so that a fault ends this and not the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (int(most), int(most)))
    told = {"rows": 0, "refused": [], "error": None}
    try:
        for record in open_manifest(path).records():
            told["rows"] += not record.unreadable
            told["refused"] += [f"{record.where}: {part.problem}" for part in record.unreadable]
    except ManifestError as error:
        told["error"] = str(error)
    told["peak"] = _peak()
    sys.stdout.write(json.dumps(told))


def _peak() -> int:
    """Of this program alone; ``getrusage`` also tells what the process was before it became this one."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20
