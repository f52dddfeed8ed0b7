"""Files in the platform's storage, and copies of them on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opus_async.value import Value


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class UploadedFile(Value):
    """A file that lies in the platform's storage.

    Attributes:
        url: The ``fileUrl`` to put into inputs; not downloadable as it is.
        size: Bytes.
        sha256: Hex digest; None when the digest was switched off.
    """

    url: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class DownloadedFile(Value):
    """A file that was fetched from the platform's storage, whole.

    Attributes:
        path: Where it lies.
        size: Bytes.
        sha256: Hex digest, computed while it came in.
        content_type: As storage says; None where it does not.
    """

    path: Path
    size: int
    sha256: str
    content_type: str | None = None
