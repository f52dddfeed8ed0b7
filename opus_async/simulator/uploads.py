"""Upload slots: what was presigned, and what is known of the bytes once they arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opus_async.simulator.seeded_random import identifier
from opus_async.simulator.sigv4 import Credentials, presign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opus_async.simulator.file_inspection import FileFacts

BUCKET = "opus-simulator-x1"
FILE_HOST = "https://files.opus.com"
_FOLDER = "media/private/uploaded"
CONTENT_TYPES = {
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".csv": "text/csv",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".txt": "text/plain",
    ".json": "application/json",
    ".html": "text/html",
    ".xml": "application/xml",
}
"""MIME type that is signed for each extension."""


@dataclass(slots=True)
class Upload:
    """One slot, from presign to stored bytes.

    Attributes:
        path: The path on the storage host, decoded.
        file_url: The identifier for the payload.
        extension: Lower case, with the dot.
        request: The body of the presign request.
        target_hash: Hash of the path and query as handed out, to see whether they came back byte-identical.
        facts: What the bytes told; None until they were stored.
        content_type: The Content-Type of the last PUT, or None.
        puts: How often bytes were stored.
        intact: Whether the last PUT came to exactly the URL that was handed out.
    """

    path: str
    file_url: str
    extension: str
    request: Mapping[str, Any]
    target_hash: int = 0
    facts: FileFacts | None = None
    content_type: str | None = None
    puts: int = 0
    intact: bool = True

    def to_state(self) -> dict[str, Any]:
        """Return what the state endpoint tells about this slot."""
        told = self.facts.known() if self.facts else {}
        return {
            "request": dict(self.request),
            "extension": self.extension,
            "stored": self.facts is not None,
            "puts": self.puts,
            "content_type": self.content_type,
            "url_intact": self.intact,
            **told,
        }


@dataclass(slots=True)
class UploadSlots:
    """Every slot that was handed out.

    Attributes:
        seed: What generated names depend on.
        host: Host and port of the storage, as the signature covers it.
        credentials: Who signs.
    """

    seed: int
    host: str
    credentials: Credentials
    _by_path: dict[str, Upload] = field(default_factory=dict)
    _by_url: dict[str, Upload] = field(default_factory=dict)
    _named: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Upload]:
        return iter(self._by_path.values())

    def __len__(self) -> int:
        return len(self._by_path)

    def open(self, request: Mapping[str, Any]) -> Upload:
        """Make a slot for a presign request.

        Its two names depend on the original name and on how often that was seen, not on who came first, so
        that a run with many files at once can be repeated.
        """
        extension = "." + str(request["fileExtension"]).removeprefix(".")
        original = str(request.get("originalName") or extension)
        nth = self._named[original] = self._named.get(original, 0) + 1
        stored_as, known_as = (identifier(self.seed, what, original, nth) for what in ("key", "file"))
        upload = Upload(
            path=f"/{BUCKET}/{_FOLDER}/media_{stored_as}{extension}",
            file_url=f"{FILE_HOST}/{_FOLDER}/media_{known_as}{extension}",
            extension=extension,
            request=request,
        )
        self._by_path[upload.path] = upload
        self._by_url[upload.file_url] = upload
        return upload

    def presigned_url(self, upload: Upload, *, signed_at: float, expires: int, sign_type: bool) -> str:
        """Sign the URL of a slot and remember how it looks."""
        headers = {"content-type": CONTENT_TYPES[upload.extension]} if sign_type else None
        query = presign(
            self.credentials,
            method="PUT",
            host=self.host,
            path=upload.path,
            signed_at=signed_at,
            expires=expires,
            headers=headers,
        )
        target = f"{upload.path}?{query}"
        upload.target_hash = hash(target)
        return f"http://{self.host}{target}"

    def at_path(self, path: str) -> Upload | None:
        """Return the slot at a decoded path of the storage host."""
        return self._by_path.get(path)

    def behind(self, file_url: str) -> Upload | None:
        """Return the slot behind a file URL."""
        return self._by_url.get(file_url)
