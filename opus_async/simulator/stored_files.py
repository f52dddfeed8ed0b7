"""What storage can give back: uploads whose bytes were kept, and the files that runs generate."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.simulator import generated_files
from opus_async.simulator.uploads import CONTENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from opus_async.simulator.config import SimulatorConfig
    from opus_async.simulator.generated_files import GeneratedFile
    from opus_async.simulator.uploads import Upload
    from opus_async.simulator.world import SimulatorState


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that can be downloaded.

    Attributes:
        path: Its path on the storage host, decoded; letters that need no encoding.
        file_url: Its identifier.
        identity: What its faults depend on.
        content_type: Its MIME type.
        size: Bytes.
        sha256: Hexadecimal digest.
        read: Returns its bytes; raises FileNotFoundError if a kept file was taken away.
    """

    path: str
    file_url: str
    identity: str
    content_type: str
    size: int
    sha256: str
    read: Callable[[], bytes]


def behind(world: SimulatorState, file_url: str) -> StoredFile | None:
    """Return the file with this file URL, or None if there is none or its bytes were not kept."""
    upload = world.uploads.behind(file_url)
    if upload is not None:
        return _uploaded(world, upload)
    return _generated(world, generated_files.behind(world.jobs, file_url, world.clock()))


def at_path(world: SimulatorState, path: str) -> StoredFile | None:
    """Return the file at a decoded path of the storage host, or None."""
    upload = world.uploads.at_path(path)
    if upload is not None:
        return _uploaded(world, upload)
    return _generated(world, generated_files.at_path(world.jobs, path, world.clock()))


def kept_at(config: SimulatorConfig, upload: Upload) -> Path | None:
    """Return where the bytes of an upload are kept, or None if they are not."""
    if config.keep_files is None:
        return None
    return Path(config.keep_files) / upload.file_url.rpartition("/")[2]


def _uploaded(world: SimulatorState, upload: Upload) -> StoredFile | None:
    kept, facts = kept_at(world.config, upload), upload.facts
    if kept is None or facts is None:
        return None
    return StoredFile(
        path=upload.path,
        file_url=upload.file_url,
        identity=upload.path,
        content_type=upload.content_type or CONTENT_TYPES[upload.extension],
        size=facts.size,
        sha256=facts.sha256,
        read=kept.read_bytes,
    )


def _generated(world: SimulatorState, file: GeneratedFile | None) -> StoredFile | None:
    if file is None:
        return None
    content = file.content(world.uploads.behind)
    return StoredFile(
        path=file.path,
        file_url=file.file_url,
        identity=file.identity,
        content_type=generated_files.CONTENT_TYPE,
        size=len(content),
        sha256=sha256(content).hexdigest(),
        read=lambda: content,
    )
