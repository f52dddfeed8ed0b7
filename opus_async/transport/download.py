"""One attempt to GET a file from a presigned URL, into a file that has its name only when it is complete.

The URL goes out byte-identical, without a key, and no redirect is followed. The end of the bytes does not
prove that a file is complete: they are counted against the sizes that storage and the platform tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from opus_async.errors import DownloadError, TransportError
from opus_async.gaps import gapped
from opus_async.transport.http import Http, Response, Take
from opus_async.transport.part_file import Destination, PartialFile
from opus_async.transport.s3_errors import read_refusal
from opus_async.transport.urls import without_query

__all__ = ["Received", "get_file"]

WRITE_BYTES = 256 * 1024
"""Collected before a thread writes them: a hop costs more than the copying of one piece off the wire. Memory
is this much and twice aiohttp's buffer of 64 KiB for each download, whatever the size of the file."""

_WHOLE = 200
_REDIRECT = range(300, 400)
_HEADERS = {"Accept-Encoding": "identity"}
"""Bytes that are decompressed on the way could not be counted against a size."""

_EXPIRED = "the URL has expired before it was used: check this machine's clock"
_ADVICE = {
    "SignatureDoesNotMatch": "the URL was changed on its way: a proxy may stand in between",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
    "SlowDown": "storage asks for fewer downloads at once",
    "NoSuchKey": "the file is no longer there: read the results of the job again",
    "NoSuchBucket": "the URL leads to storage that does not exist",
}


class Received(NamedTuple):
    """A downloaded file, complete and on the disk.

    Attributes:
        path: Where it is.
        size: Bytes.
        sha256: Hex digest.
        content_type: As storage says; None where it does not.
        seconds: From the request to the last byte.
    """

    path: Path
    size: int
    sha256: str
    content_type: str | None
    seconds: float


async def get_file(
    http: Http, url: str, destination: Destination, *, expected_size: int | None, stall: float
) -> Received:
    """Fetch a file from a presigned URL, once.

    It comes in under a temporary name in the same folder (``.<name>.<random>.part``), which is gone after
    any failure and any cancel. Only a cancel in the instant of the renaming leaves a file, a whole one.

    Args:
        http: Sends.
        url: A secret; appears in no error.
        destination: Where the file goes when it is whole.
        expected_size: Bytes, as the platform tells; None where it does not.
        stall: Seconds without a byte after which it is given up.

    Raises:
        DownloadError: Storage refused (``status``, ``code``), or the file cannot be written.
        TransportError: No complete response came, nothing came for ``stall`` seconds, or another number of
            bytes than was told.
    """
    part = await PartialFile.open(destination)
    try:
        reception = _Reception(url, part, expected_size)
        response = await http.get(url, headers=_HEADERS, stall=stall, begin=reception.begin)
        _check_status(response, url, destination.path)
        await reception.end()
        path, sha256 = await part.finish()
    except BaseException:
        await part.discard()
        raise
    return Received(path, reception.size, sha256, response.headers.get("Content-Type"), response.seconds)


class _Reception:
    """Writes the pieces of a body to a file, and counts them.

    Attributes:
        size: Bytes received.
    """

    def __init__(self, url: str, part: PartialFile, expected_size: int | None) -> None:
        self.size = 0
        self._url = url
        self._part = part
        self._expected = expected_size
        self._told: int | None = None
        """The size told for a body that came compressed: of its compressed bytes, or of the others."""
        self._packed: int | None = None
        self._pieces: list[bytes] = []
        self._collected = 0

    def begin(self, headers: Mapping[str, str]) -> Take:
        """Find out how many bytes will come, and refuse at once what cannot be right.

        The length in the headers is held by the parser: a body that is shorter is an error there.
        """
        length = _length(headers)
        chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            self._told, self._packed, self._expected = self._expected, length, None
        elif length is not None:
            self._check(length)
            self._expected = length
        if length is None and not chunked and self._expected is None:
            raise self._wrong("neither storage nor the platform tells the size, so its end looks like a cut")
        return self._take

    async def end(self) -> None:
        """Write what is left, and check that it is all."""
        await self._write()
        self._check(self.size)
        if self._told is not None and self._told not in {self.size, self._packed}:
            raise self._wrong(f"{self.size:,} bytes came packed where {self._told:,} were told")

    async def _take(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._expected is not None and self.size > self._expected:
            self._check(self.size)
        self._pieces.append(piece)
        self._collected += len(piece)
        if self._collected >= WRITE_BYTES:
            await self._write()

    async def _write(self) -> None:
        pieces, self._pieces, self._collected = self._pieces, [], 0
        if pieces:
            await self._part.write(pieces)

    def _check(self, size: int) -> None:
        if self._expected is not None and size != self._expected:
            raise self._wrong(f"{size:,} bytes came or were announced where {self._expected:,} were told")

    def _wrong(self, what: str) -> TransportError:
        shown = without_query(self._url)
        return TransportError(
            gapped("GET {}: {}; nothing half was kept", shown, what),
            request_sent=True,
            method="GET",
            url=shown,
        )


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _check_status(response: Response, url: str, path: Path) -> None:
    if response.status == _WHOLE:
        return
    reason = read_refusal(response.body, url)
    advice = _EXPIRED if reason.expired else _ADVICE.get(reason.code or "", "")
    if response.status in _REDIRECT:
        advice = "it was redirected, and a presigned URL is followed nowhere"
    raise DownloadError(
        f"Storage refused to give {path.name} with HTTP {response.status} ({reason}); "
        f"{advice or 'try again, and check that the user of the key may read the file'}",
        destination=str(path),
        status=response.status,
        code=reason.code,
        expired=reason.expired,
    )
