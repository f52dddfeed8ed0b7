"""Errors of files: an upload or a download failed."""

from __future__ import annotations

from opus_async.error_codes import ErrorCode, NextAction
from opus_async.errors.base import OpusError


class UploadError(OpusError):
    """A file could not be sent, or storage refused it.

    Attributes:
        filename: The file, as the caller named it.
        status: The HTTP status of storage's response; None when there was none.
        code: The S3 error code (``SlowDown``, ``AccessDenied``, ...), where storage gave one.
        expired: Whether storage said that the presigned URL has expired.
        refused_by: The store of a document that may not be read there, as ``s3://bucket``; None for all else.
    """

    error_code = ErrorCode.UPLOAD

    def __init__(
        self,
        message: str,
        *,
        filename: str,
        status: int | None = None,
        code: str | None = None,
        expired: bool = False,
        refused_by: str | None = None,
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.expired = expired
        self.refused_by = refused_by
        self.filename = filename
        self.status = status
        self.code = code


class DownloadError(OpusError):
    """A file could not be fetched or kept: storage refused it, or the disk did. Nothing half is left behind.

    Attributes:
        destination: Where it was to go.
        status: The HTTP status of storage's answer; None when it was not storage that refused.
        code: The S3 error code (``SlowDown``, ``AccessDenied``, ...), where storage gave one.
        expired: Whether storage said that the presigned URL has expired.
        disk_full: Whether the disk has no room left, or lets no file grow further: make some, then fetch it
            again.
    """

    error_code = ErrorCode.DOWNLOAD

    def __init__(
        self,
        message: str,
        *,
        destination: str,
        status: int | None = None,
        code: str | None = None,
        expired: bool = False,
        disk_full: bool = False,
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.expired = expired
        self.disk_full = disk_full
        self.destination = destination
        self.status = status
        self.code = code

    def _action_by_itself(self) -> NextAction | None:
        return NextAction.FREE_DISK_SPACE if self.disk_full else NextAction.FETCH_FILES
