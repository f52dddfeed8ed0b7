"""A table elsewhere as a manifest: copied to a temporary file once, because a manifest is read several times.

The documents that it names are not copied.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.manifests.model import Manifest, Record
from opus_async.remote.copying import copy_to
from opus_async.remote_urls import ALLOW_QUERIES, RemoteFile, carries_query, carries_secret, folder_of


class RemoteTable:
    """A manifest in a file elsewhere; see :class:`opus_async.manifests.Manifest`.

    Args:
        url: Where it lies.
        opened: Opens its copy.

    Raises:
        ManifestError: It cannot be read, or is no manifest.
    """

    def __init__(self, url: str, opened: Callable[[Path], Manifest]) -> None:
        self.path = RemoteFile(url)
        self.base = folder_of(url)
        self._folder = Path(tempfile.mkdtemp(prefix="opus-async-manifest-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._copy = self._folder / (self.path.name or "manifest")
        self._version = copy_to(self.path, self._copy)
        with self._by_its_own_name():
            self._manifest = opened(self._copy)
        self.kind = self._manifest.kind
        self.columns = self._manifest.columns

    @property
    def warnings(self) -> Sequence[str]:
        """What was assumed or left out."""
        return [self._named(warning) for warning in self._manifest.warnings]

    def records(self) -> Iterator[Record]:
        """Read the rows one after another, from the copy."""
        with self._by_its_own_name():
            yield from self._manifest.records()

    def stamp(self) -> str:
        """What identifies the version that was copied."""
        return self._version

    def estimated_rows(self) -> int | None:
        """About how many rows there are."""
        return self._manifest.estimated_rows()

    @contextmanager
    def _by_its_own_name(self) -> Iterator[None]:
        """Errors name the manifest, not the copy."""
        try:
            yield
        except ManifestError as error:
            raise ManifestError(self._named(error.summary), list(map(self._named, error.problems))) from None

    def _named(self, text: str) -> str:
        return text.replace(str(self._copy), str(self.path)).replace(f"{self._folder}/", f"{self.base}/")


def refuse_secret(url: str, *, allow_query: bool) -> None:
    """Refuse a URL that gives access: where a manifest lies is kept, to be read again.

    Raises:
        ManifestError: It has a password or a signature, or may have one under any name.
    """
    if carries_secret(url):
        raise ManifestError(
            f"{RemoteFile(url)} was given with a password or a signature, and where a manifest lies is kept: "
            "name it without (s3://, gs://, az://), with credentials where its library looks for them, or "
            "save it to a file"
        )
    if carries_query(url) and not allow_query:
        raise ManifestError(
            f"{RemoteFile(url)} was given with a query, which may hold a secret under any name, and where a "
            f"manifest lies is kept: name it without, save it to a file, or {ALLOW_QUERIES}, if what follows "
            "the '?' gives no access by itself"
        )
