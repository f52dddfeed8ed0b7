"""The storage host: PUT and GET with presigned URLs, checked and answered as S3 does.

Bytes are hashed and counted while they arrive and are not kept, unless a directory for them is configured.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.sax.saxutils import escape

from aiohttp import web

from opus_async.simulator import fault_injection, faults, stored_files, traits
from opus_async.simulator.answers import XML_TYPE, Answer
from opus_async.simulator.file_inspection import FileFacts, Inspector
from opus_async.simulator.seeded_random import hexadecimal
from opus_async.simulator.sigv4 import PresignedRequest, SignatureError, mismatch, verify

if TYPE_CHECKING:
    from pathlib import Path

    from opus_async.simulator.faults import Fault
    from opus_async.simulator.stored_files import StoredFile
    from opus_async.simulator.uploads import Upload
    from opus_async.simulator.world import SimulatorState

CREDENTIAL_HEADERS = ("x-service-key", "Authorization", "Cookie")
_OPERATIONS = {"PUT": "put", "GET": "get"}


class StorageError(Exception):
    """A request that storage refuses, as S3 words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Storage:
    """Handles every request to the storage host.

    Args:
        world: What the simulator knows.
    """

    def __init__(self, world: SimulatorState) -> None:
        self._world = world
        self._strict_type = traits.LAX_CONTENT_TYPE not in world.config.traits
        self._requests = 0
        self._refused: set[str] = set()
        """What was asked for slots whose first PUT was refused by a fault, the last of each."""

    async def handle(self, request: web.BaseRequest) -> Answer | None:
        """Return the answer to a request, or None if its connection was closed instead."""
        self._requests += 1
        self._world.requests[_OPERATIONS.get(request.method, "storage_other")] += 1
        try:
            if request.method == "GET":
                return await self._download(request)
            upload = self._admit(request)
            fault = self._fault("put", upload.path)
            if fault is None or (fault.kind == faults.FORBIDDEN and self._was_refused(upload)):
                return await self._store(request, upload)
            return await self._store_faulty(request, upload, fault)
        except (StorageError, SignatureError) as error:
            return self._xml(error.status, error.code, error.message)

    async def _download(self, request: web.BaseRequest) -> Answer | None:
        """Give a file back, whole: ranges are not served."""
        file = self._admit_reader(request)
        fault = self._fault("get", file.identity)
        if fault is not None:
            self._refuse_by(fault)
            if fault.kind == faults.RESET_BEFORE:
                fault_injection.close(request, reset=True)
                return None
        answer = self._file_answer(file)
        if fault is not None and fault.kind == faults.TRUNCATED:
            fault_injection.send_part(request, answer, int(len(answer.body) * fault.chance))
            return None
        if fault is not None:
            await asyncio.sleep(fault_injection.delay(fault))
        return answer

    def _admit_reader(self, request: web.BaseRequest) -> StoredFile:
        """Return the file that a request may read."""
        path, _, query = request.raw_path.partition("?")
        self._refuse_credentials(request)
        file = stored_files.at_path(self._world, unquote(path))
        if file is None:
            raise _no_such_key()
        self._verify(request, path, query)
        return file

    def _file_answer(self, file: StoredFile) -> Answer:
        try:
            body = file.read()
        except FileNotFoundError:
            raise _no_such_key() from None
        headers = {"ETag": f'"{file.sha256[:32]}"', **self._request_ids()}
        return Answer(HTTPStatus.OK, body, file.content_type, headers)

    def _verify(self, request: web.BaseRequest, path: str, query: str) -> frozenset[str]:
        """Return the names of the signed headers; refuse a signature that does not fit or has expired."""
        return verify(
            self._world.uploads.credentials,
            PresignedRequest(request.method, path, query, request.headers),
            self._world.clock(),
        )

    def _admit(self, request: web.BaseRequest) -> Upload:
        """Return the slot a request may write to, judged by its head alone."""
        path, _, query = request.raw_path.partition("?")
        self._refuse_credentials(request)
        upload = self._world.uploads.at_path(unquote(path))
        if upload is None or request.method == "POST":
            raise _no_such_key()
        if request.method != "PUT":
            raise StorageError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            )
        if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            raise StorageError(
                HTTPStatus.NOT_IMPLEMENTED,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
            )
        signed = self._verify(request, path, query)
        if self._strict_type and "Content-Type" in request.headers and "content-type" not in signed:
            raise mismatch()
        self._check_length(request)
        return upload

    def _refuse_credentials(self, request: web.BaseRequest) -> None:
        for name in CREDENTIAL_HEADERS:
            if name in request.headers:
                self._world.leaks.append({"header": name.lower(), "method": request.method, "to": "storage"})
                raise StorageError(
                    HTTPStatus.BAD_REQUEST,
                    "InvalidRequest",
                    f"Only one auth mechanism allowed; the request also carries {name}",
                )

    def _check_length(self, request: web.BaseRequest) -> None:
        if "Content-Length" not in request.headers:
            raise StorageError(
                HTTPStatus.LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            )
        if int(request.headers["Content-Length"]) > self._world.config.max_file_size:
            raise StorageError(
                HTTPStatus.BAD_REQUEST,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed object size.",
            )

    def _fault(self, operation: str, identity: str) -> Fault | None:
        world = self._world
        if world.faults.quiet:
            return None
        fault = world.faults.next(operation, identity, world.clock())
        if fault is not None:
            world.injected[f"{operation}.{fault.kind}"] += 1
        return fault

    def _was_refused(self, upload: Upload) -> bool:
        """Whether the last slot for the same file was refused: who takes a new one always gets through."""
        asked = repr(sorted(upload.request.items(), key=str))
        if asked in self._refused:
            self._refused.discard(asked)
            return True
        self._refused.add(asked)
        return False

    def _refuse_by(self, fault: Fault) -> None:
        """Refuse a good request, if that is what the fault does."""
        if fault.kind == faults.SLOW_DOWN:
            raise StorageError(HTTPStatus.SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.")
        if fault.kind == faults.FORBIDDEN:
            raise StorageError(HTTPStatus.FORBIDDEN, "AccessDenied", "Access Denied")

    async def _store_faulty(self, request: web.BaseRequest, upload: Upload, fault: Fault) -> Answer | None:
        self._refuse_by(fault)
        match fault.kind:
            case faults.RESET_BEFORE:
                fault_injection.close(request, reset=True)
                return None
            case faults.CUT_UPLOAD:
                await self._read_part(request, fault.chance)
                fault_injection.close(request, reset=True)
                return None
        answer = await self._store(request, upload)
        if fault.kind == faults.RESET_AFTER:
            fault_injection.close(request, reset=True)
            return None
        await asyncio.sleep(fault_injection.delay(fault))
        return answer

    async def _store(self, request: web.BaseRequest, upload: Upload) -> Answer | None:
        """Take the bytes; a body that ends early stores nothing and gets no answer."""
        facts = await self._receive(request, upload)
        if facts is None:
            fault_injection.close(request, reset=False)
            return None
        upload.facts = facts
        upload.puts += 1
        upload.content_type = request.headers.get("Content-Type")
        upload.intact = hash(request.raw_path) == upload.target_hash
        return Answer(HTTPStatus.OK, b"", "", {"ETag": f'"{facts.sha256[:32]}"', **self._request_ids()})

    async def _receive(self, request: web.BaseRequest, upload: Upload) -> FileFacts | None:
        kept = stored_files.kept_at(self._world.config, upload)
        if kept is None:
            return await self._inspect(request, upload, None)
        # A body that ends early must not harm what an earlier PUT left: a copy is named when it is whole.
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"{kept.name}.{self._requests}.part")
        try:
            facts = await self._inspect(request, upload, part)
            if facts is not None:
                part.replace(kept)
            return facts
        finally:
            part.unlink(missing_ok=True)

    async def _inspect(self, request: web.BaseRequest, upload: Upload, copy: Path | None) -> FileFacts | None:
        await _invite(request)
        inspector = Inspector(upload.extension)
        with copy.open("wb") if copy else nullcontext() as kept:
            try:
                while chunk := await request.content.readany():
                    inspector.feed(chunk)
                    if kept:
                        kept.write(chunk)
            except (web.RequestPayloadError, asyncio.IncompleteReadError, OSError):
                return None
        complete = inspector.size == int(request.headers["Content-Length"])
        return inspector.facts() if complete else None

    async def _read_part(self, request: web.BaseRequest, share: float) -> None:
        await _invite(request)
        wanted, seen = int(request.headers["Content-Length"]) * share, 0
        try:
            while seen < wanted and (chunk := await request.content.readany()):
                seen += len(chunk)
        except (web.RequestPayloadError, asyncio.IncompleteReadError, OSError):
            return

    def _xml(self, status: int, code: str, message: str) -> Answer:
        identifiers = self._request_ids()
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>"
            f"<RequestId>{identifiers['x-amz-request-id']}</RequestId>"
            f"<HostId>{identifiers['x-amz-id-2']}</HostId></Error>"
        )
        return Answer(status, body.encode(), XML_TYPE, identifiers)

    def _request_ids(self) -> dict[str, str]:
        number = hexadecimal(16, self._world.config.seed, "storage request", self._requests).upper()
        return {"x-amz-request-id": number, "x-amz-id-2": number[::-1] * 2}


def _no_such_key() -> StorageError:
    return StorageError(HTTPStatus.NOT_FOUND, "NoSuchKey", "The specified key does not exist.")


async def _invite(request: web.BaseRequest) -> None:
    """Send `100 Continue` to a client that waits for it before it sends its body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
