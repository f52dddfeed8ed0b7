"""Measure the validation of manifests: seconds, and memory against a manifest of a tenth of the size.

python benchmarks/validate.py [--rows 100000]

There are three manifests: one text in each row; one document in each row; one pattern in each row, which
matches one file in a folder of as many files as there are rows. Each is a CSV with a key and a remark. Every
measurement runs in a process of its own, with the embedded simulator in another, from the opening of the
manifest to the last row checked. Memory is the peak of the whole process; what it had before the first row is
given beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from opus_async import OpusClient
from opus_async.manifests import open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.validation.validate import validate
from opus_async.simulator import SimulatorConfig, SimulatorProcess

WORKFLOWS = {"text": "T3xtOnlyWorkfl0w", "files": "D0cumentWorkfl0w", "patterns": "D0cumentWorkfl0w"}


def cells(kind: str, number: int) -> tuple[str, str]:
    """The cell that fills the input of a row, and a remark."""
    if kind == "text":
        return f"Invoice {number} of a customer with a long name, due in thirty days", "remark"
    return (f"documents/{number}.txt" if kind == "files" else f"documents/{number}.*"), "remark"


def rows(kind: str, count: int) -> Iterator[tuple[str, ...]]:
    """Yield the header and the rows."""
    yield "key", "Text" if kind == "text" else "Document", "Internal remark"
    for number in range(count):
        yield f"INV-{number}", *cells(kind, number)


def megabytes() -> float:
    """The peak memory of this process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform == "linux" else peak / 1024 / 1024


async def measure(kind: str, path: Path) -> dict[str, float]:
    """Validate a manifest, and return its figures."""
    with SimulatorProcess(SimulatorConfig()) as simulator:
        async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
            platform = opus.lifecycle(WORKFLOWS[kind]).platform
            await platform.open()
            before = megabytes()
            began, busy = time.perf_counter(), time.process_time()
            manifest = open_manifest(path)
            binding = Binding(platform.workflow, title="Invoice {key}", allow_outside=False)
            found = await validate(manifest, binding, platform)
            seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    assert found.ok, found.errors[:3]
    return {
        "rows": found.rows,
        "files": found.estimate.files,
        "seconds": seconds,
        "cpu": cpu,
        "before": before,
        "peak": megabytes(),
    }


def prepare(folder: Path, count: int) -> None:
    """Make documents, and a manifest of each kind and size."""
    documents = folder / "documents"
    documents.mkdir()
    for number in range(count):
        (documents / f"{number}.txt").write_bytes(b"A document.\n")
    for kind in WORKFLOWS:
        for size in (count // 10, count):
            with (folder / f"{kind}-{size}.csv").open("w", newline="") as file:
                csv.writer(file).writerows(rows(kind, size))


def main() -> None:
    """Print a line for each manifest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "MANIFEST"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, path = arguments.one
        print(json.dumps(asyncio.run(measure(kind, Path(path)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), arguments.rows)
        for kind in WORKFLOWS:
            for size in (arguments.rows // 10, arguments.rows):
                command = [sys.executable, __file__, "--one", kind, f"{folder}/{kind}-{size}.csv"]
                told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                print(
                    f"{kind:8} {told['rows']:>8,} rows {told['files']:>8,} files: {told['seconds']:6.2f} s "
                    f"({told['cpu'] / told['rows'] * 1e6:4.0f} us CPU a row), peak {told['peak']:4.0f} MB, "
                    f"{told['before']:3.0f} MB of it before the first row",
                    flush=True,
                )


if __name__ == "__main__":
    main()
