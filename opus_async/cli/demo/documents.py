"""The demo's documents: real files in a folder, all different, of 1 kB to 1 MB."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from opus_async.cli.demo.contents import MAKERS

SMALLEST, LARGEST = 1_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """One file and what must come out of its job.

    Attributes:
        path: The file.
        type: Upper-case name of its type.
        size: Bytes.
        sha256: Hex digest.
    """

    path: Path
    type: str
    size: int
    sha256: str


def make(folder: Path, count: int, seed: int) -> Iterator[Document]:
    """Write documents, one at a time; the same seed gives the same documents."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        extension, (name, maker) = list(MAKERS.items())[index % len(MAKERS)]
        chance = Random(f"{seed}/{index}")  # noqa: S311 - repeatable, nothing secret
        content = maker(chance, index + 1, wanted_size(chance))
        path = folder / f"{name}-{index + 1:05}.{extension}"
        with path.open("xb") as file:  # no link is followed
            file.write(content)
        yield Document(path, extension.upper(), len(content), hashlib.sha256(content).hexdigest())


def wanted_size(chance: Random) -> int:
    """Draw the size of a document in bytes: half are under 6 kB, a tenth over 200 kB."""
    return round(SMALLEST * math.pow(LARGEST / SMALLEST, chance.random() ** 2))
