"""Uploads that no other job shares: for load tests, where every job is to upload as its users would."""

from __future__ import annotations

from opus_async.models import UploadedFile
from opus_async.opus.protocol.api_messages import PresignFields
from opus_async.opus.uploads import Uploader
from opus_async.transport.sources import Source


class SeparateUploader:
    """Uploads each file each time, without a digest.

    Args:
        uploader: Makes each upload.
    """

    saved = 0
    """Uploads that were not needed: none is left out."""

    def __init__(self, uploader: Uploader) -> None:
        self._uploader = uploader

    async def send(self, source: Source, fields: PresignFields) -> UploadedFile:
        """Upload a file."""
        return await self._uploader.send(source, fields, sha256=None)
