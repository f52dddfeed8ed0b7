"""The file system that a folder lies on. A network's is refused: a ledger shares memory and locks."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from opus_async.errors import LedgerError

_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "auristorfs", "afpfs", "coda"),
        *("webdav", "davfs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "pvfs2", "orangefs"),
        *("sshfs", "s3fs", "rclone", "gcsfuse", "blobfuse", "blobfuse2", "goofys", "curlftpfs", "juicefs"),
        *("mfs", "moosefs", "cephfs"),
    }
)
"""Seen in mount tables, with or without ``fuse.`` before them.

``9p`` and ``virtiofs`` are not among them: virtual machines and sandboxes mount what is their own disk so.
Whether memory can be shared there is asked of SQLite itself when the ledger is opened.
"""
_OCTAL = re.compile(r"\\([0-7]{3})")
_MAC_MOUNT = re.compile(r"^.+? on (?P<point>.+) \((?P<kind>[^,)]+)[^)]*\)$")
_MOUNTS = Path("/proc/self/mounts")
_MAC_TOOL = "/sbin/mount"
_MAC_SECONDS = 10.0

TypeOf = Callable[[Path], str | None]
"""From a folder that exists to the type of its file system; None where it cannot be told."""


def type_of(directory: Path) -> str | None:
    """The type of the file system that a folder lies on, as the mount table has it; None if unknown."""
    return of_mounts(directory.resolve(), _mounts())


def refuse_network(directory: Path, kind: str | None) -> None:
    """Refuse a folder on a network's file system; an unknown one is let pass.

    Raises:
        LedgerError: It is known to be a network file system; the message says what to do.
    """
    if kind is not None and kind.lower().removeprefix("fuse.").removeprefix("fuseblk.") in _NETWORK:
        raise LedgerError(
            f"{directory} lies on a network file system ({kind}): the ledger needs memory and locks that it "
            f"shares with its readers (SQLite's write-ahead log), and those work on a disk of this machine "
            f"only. Give a folder on a local disk, and copy it over when the batch has ended"
        )


def of_mounts(path: Path, mounts: Iterable[tuple[str, str]]) -> str | None:
    """The type of the innermost mount that holds a path; of two on one point the later one covers the other.

    Args:
        path: Absolute, without links.
        mounts: Mount point and type, in the order of mounting.
    """
    inside = f"{path}/"
    holding = [(point, kind) for point, kind in mounts if inside.startswith(f"{point.rstrip('/')}/")]
    # Of equals, max() gives the first.
    return max(reversed(holding), key=lambda mount: len(mount[0]), default=(None, None))[1]


def linux_mounts(text: str) -> list[tuple[str, str]]:
    """Mount points and types of ``/proc/self/mounts``."""
    rows = (line.split(" ") for line in text.splitlines())
    return [(_OCTAL.sub(lambda found: chr(int(found[1], 8)), row[1]), row[2]) for row in rows if len(row) > 2]  # noqa: PLR2004 - device, point, type


def mac_mounts(text: str) -> list[tuple[str, str]]:
    """Mount points and types of what ``mount`` prints on macOS."""
    return [(row["point"], row["kind"]) for row in map(_MAC_MOUNT.match, text.splitlines()) if row]


def _mounts() -> list[tuple[str, str]]:
    try:
        if sys.platform == "darwin":
            printed = subprocess.run([_MAC_TOOL], capture_output=True, timeout=_MAC_SECONDS, check=True)  # noqa: S603 - no argument
            return mac_mounts(printed.stdout.decode(errors="surrogateescape"))
        return linux_mounts(_MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, subprocess.SubprocessError):
        return []
