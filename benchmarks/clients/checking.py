"""A manifest read and checked, row by row: by opus_async, and by what could be written in ten lines."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.answers import DOCUMENT, KEY, TEXT
from benchmarks.harness.meter import Meter
from opus_async import OpusClient
from opus_async.manifests import open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.validation.validate import validate

CELLS = {
    "text": "Invoice {} of a customer with a long name, due in thirty days",
    "files": "documents/{}.txt",
    "patterns": "documents/{}.*",
}
"""What fills the input of a row."""


async def ours(meter: Meter, count: int, *, url: str, kind: str) -> None:
    """Validate a manifest of so many rows, from its opening to the last row checked."""
    with _manifest(count, kind) as path:
        async with OpusClient(KEY, base_url=url) as opus:
            platform = opus.lifecycle(TEXT if kind == "text" else DOCUMENT).platform
            await platform.open()
            with meter:
                binding = Binding(platform.workflow, title="Invoice {key}", allow_outside=False)
                found = await validate(open_manifest(path), binding, platform)
    assert found.ok, found.errors[:3]
    assert found.rows == count


async def bare(meter: Meter, count: int, *, kind: str) -> None:
    """Read the rows with :mod:`csv`, look for two that are equal, and for the file that each names."""
    with _manifest(count, kind) as path, meter, path.open(newline="") as file:
        keys = set()
        for row in csv.DictReader(file):
            keys.add(row["key"])
            if kind != "text":
                (path.parent / row["Document"].replace("*", "txt")).stat()
        assert len(keys) == count


@contextmanager
def _manifest(count: int, kind: str) -> Iterator[Path]:
    """Make a CSV with a key, an input and a remark in each row, and the files that it names."""
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder) / "documents"
        documents.mkdir()
        if kind != "text":
            for number in range(count):
                (documents / f"{number}.txt").write_bytes(b"A document.\n")
        path = Path(folder) / "manifest.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["key", "Text" if kind == "text" else "Document", "Internal remark"])
            rows.writerows([f"INV-{number}", CELLS[kind].format(number), "remark"] for number in range(count))
        yield path
