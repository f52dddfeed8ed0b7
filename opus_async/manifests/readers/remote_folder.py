"""A folder elsewhere, or a pattern of documents there, as a manifest: one job for each document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from opus_async.errors import ManifestError
from opus_async.manifests.model import FILE_COLUMN, Record
from opus_async.manifests.readers.listing import MOST_FILES
from opus_async.manifests.readers.natural_order import in_order
from opus_async.remote.listing import RemoteListing, in_folder, matching
from opus_async.remote_urls import RemoteFile, RemoteFolder


class DocumentsManifest:
    """A manifest whose rows are documents elsewhere; see :class:`opus_async.manifests.Manifest`.

    They are those of the moment when it was opened: nothing is asked for afterwards.

    Args:
        url: The folder or the pattern.
        kind: ``folder`` or ``glob``.
        listing: What is there.

    Raises:
        ManifestError: There is nothing, or too much.
    """

    def __init__(self, url: str, kind: str, listing: RemoteListing) -> None:
        self.path = RemoteFile(url)
        self.kind = kind
        self.base = listing.folder
        self.columns = (FILE_COLUMN,)
        self._versions = listing.names
        self._names = in_order(set(listing.names))
        if not self._names:
            what = "has no documents" if kind == "folder" else "matches no document"
            raise ManifestError(f"{self.path} {what}: check the URL")
        if len(self._names) > MOST_FILES:
            raise ManifestError(f"{self.path} has more than {MOST_FILES:,} documents: make several batches")
        everything = f"{listing.folder}/**/*"
        self.warnings = (
            [f"folders in it are not taken; to take them too give the pattern '{everything}'"]
            if listing.deeper
            else []
        )

    def records(self) -> Iterator[Record]:
        """Yield a row for each document, in natural order."""
        for index, name in enumerate(self._names):
            yield Record(index=index, where=name, cells={FILE_COLUMN: name})

    def stamp(self) -> str:
        """A digest over the names, sizes and versions of the documents."""
        digest = hashlib.sha256()
        for name in self._names:
            digest.update(f"{name}\0{self._versions[name]}\n".encode())
        return digest.hexdigest()

    def estimated_rows(self) -> int:
        """The number of documents."""
        return len(self._names)


def remote_folder(url: str) -> DocumentsManifest:
    """A manifest of the documents in a folder, without those in its folders."""
    return DocumentsManifest(url, "folder", in_folder(RemoteFolder(url.rstrip("/"))))


def remote_pattern(url: str) -> DocumentsManifest:
    """A manifest of the documents that match a pattern such as ``s3://bucket/docs/**/*.pdf``."""
    return DocumentsManifest(url, "glob", matching(url))
