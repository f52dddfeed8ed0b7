"""POST /job/file/download: a presigned GET for a file URL. Observed, not documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opus_async.simulator import stored_files, traits
from opus_async.simulator.answers import Answer, Refusal, to_json
from opus_async.simulator.faults import EXPIRED_SLOT
from opus_async.simulator.operations import Call, Operation
from opus_async.simulator.service import CREATED, NOT_FOUND, Service
from opus_async.simulator.sigv4 import presign
from opus_async.simulator.validation import DOWNLOAD_FIELDS, check_download

if TYPE_CHECKING:
    from opus_async.simulator.stored_files import StoredFile
    from opus_async.simulator.world import SimulatorState

# How far in the past a URL has expired that was handed out expired.
_STALE = 60


class Downloads:
    """The endpoint that makes a file URL downloadable.

    Args:
        world: What the simulator knows.
    """

    def __init__(self, world: SimulatorState) -> None:
        self._world = world
        self._traits = world.config.traits
        self._service = Service(world, "v0")
        self._operation = Operation("download", self.download, self._identify)

    def find(self, method: str, path: str) -> tuple[Operation, str] | None:
        """Return the operation of a request, or None if it is not this endpoint."""
        return (self._operation, "") if (method, path) == ("POST", "/job/file/download") else None

    def download(self, call: Call) -> Answer:
        """POST /job/file/download.

        Any workspaceId will do: no source says how a wrong one is answered. Nor does one say the status of
        success; it is the one of presign.
        """
        body = call.body
        problems = check_download(body, workspace_required=traits.DOWNLOAD_NEEDS_WORKSPACE in self._traits)
        if traits.DOWNLOAD_REFUSES_WORKSPACE in self._traits and "workspaceId" in body:
            problems.append("property workspaceId should not exist")
        self._service.refuse(problems, "download", body, DOWNLOAD_FIELDS)
        file = self._find_file(body["fileUrl"])
        expires = body.get("customExpiry") or self._world.config.url_expiry
        stale = call.fault is not None and call.fault.kind == EXPIRED_SLOT
        signed_at = self._world.clock() - (expires + _STALE if stale else 0)
        answer = {
            "presignedUrl": self._presigned_url(file, signed_at, expires),
            "fileUrl": file.file_url,
            "contentType": file.content_type,
            "contentLength": file.size,
        }
        return to_json(answer, CREATED)

    def _find_file(self, file_url: str) -> StoredFile:
        file = stored_files.behind(self._world, file_url)
        if file is not None:
            return file
        upload = self._world.uploads.behind(file_url)
        if upload is not None and upload.facts is not None:
            raise Refusal(
                NOT_FOUND,
                "The bytes of this file were not kept: start the simulator with keep_files (--keep-files)",
            )
        raise Refusal(NOT_FOUND, "File not found")

    def _presigned_url(self, file: StoredFile, signed_at: float, expires: int) -> str:
        uploads = self._world.uploads
        query = presign(
            uploads.credentials,
            method="GET",
            host=uploads.host,
            path=file.path,
            signed_at=signed_at,
            expires=expires,
        )
        return f"http://{uploads.host}{file.path}?{query}"

    def _identify(self, call: Call) -> tuple[str, str]:
        file_url = call.body.get("fileUrl")
        file = stored_files.behind(self._world, file_url) if isinstance(file_url, str) else None
        return "download", file.identity if file else str(file_url)
