"""An Opus made by hand, for one workflow with one text or one file: it misbehaves exactly as told.

Where the simulator draws its faults, a script here names them: for each operation a list of acts, the first
for the first request, and `OK` when the list is used up. Every request is written down as it came.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from client_tools import KEY, sha256

RESET_BEFORE = "reset before"
RESET_AFTER = "reset after"
CLOSE_BEFORE = "close before"
HANG_BEFORE = "hang before"
HANG_AFTER = "hang after"
TRUNCATED = "truncated after"
TRUNCATED_BEFORE = "truncated before"
CUT_JSON = "cut json after"
CUT_JSON_BEFORE = "cut json before"
OK = "ok"

_NO_LINGER = struct.pack("ii", 1, 0)
_ROUTES = (
    ("workflow", re.compile(r"GET /workflow/(?P<id>[^/?]+)")),
    ("initiate", re.compile(r"POST /job/initiate$")),
    ("presign", re.compile(r"POST /job/file/upload$")),
    ("execute", re.compile(r"POST /job/execute$")),
    ("status", re.compile(r"GET /job/(?P<id>[^/]+)/status$")),
    ("results", re.compile(r"GET /job/(?P<id>[^/]+)/results$")),
    ("audit", re.compile(r"GET /job/(?P<id>[^/]+)/audit$")),
    ("workflow", re.compile(r"GET /api/v1/workflow/(?P<id>[^/?]+)")),
    ("initiate", re.compile(r"POST /api/v1/case$")),
    ("presign", re.compile(r"POST /api/v1/file/upload/presigned$")),
    ("execute", re.compile(r"POST /api/v1/case/(?P<id>[^/]+)/execute$")),
    ("status", re.compile(r"GET /api/v1/case/(?P<id>[^/]+)/status$")),
    ("results", re.compile(r"GET /api/v1/case/(?P<id>[^/]+)/results$")),
    ("audit", re.compile(r"GET /api/v1/case/(?P<id>[^/]+)/audit$")),
    ("put", re.compile(r"PUT /bucket/")),
    ("download", re.compile(r"POST /job/file/download$")),
    ("get", re.compile(r"GET /bucket/")),
)


@dataclass(frozen=True)
class Reply:
    """An answer as it goes out; `obeyed` tells whether the request took effect."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    obeyed: bool = False

    def to_bytes(self, cut: int | None = None) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + self.body[:cut]


def html(status: int, *, obeyed: bool = False) -> Reply:
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>".encode()
    return Reply(status, page, (("Content-Type", "text/html"),), obeyed)


def said(status: int, /, *, obeyed: bool = False, **body: Any) -> Reply:
    return Reply(status, json.dumps(body).encode(), (("Content-Type", "application/json"),), obeyed)


def xml_error(status: int, code: str, message: str = "") -> Reply:
    page = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, page.encode(), (("Content-Type", "application/xml"),))


def redirect(status: int, location: str) -> Reply:
    return Reply(status, b"", (("Location", location),))


TOO_MANY = said(429, statusCode=429, message="Too many requests", metadata={"retryAfterSeconds": 0})


@dataclass(eq=False)
class Seen:
    operation: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def of_v1(self) -> bool:
        return self.target.startswith("/api/v1/")

    @property
    def payload(self) -> Any:
        """What an execute carries."""
        return self.json["payload" if self.of_v1 else "jobPayloadSchemaInstance"]

    @property
    def job_id(self) -> str:
        """Which job an execute names."""
        return self.target.split("/")[4] if self.of_v1 else self.json["jobExecutionId"]


@dataclass
class Job:
    request: dict[str, Any]
    executions: int = 0
    inputs: dict[str, Any] = field(default_factory=dict)
    looks: int = 0


class HandmadeOpus:
    """Use it as an asynchronous context manager.

    Args:
        script: Operation -> acts, in the order of its requests: one of the texts above, a `Reply`, or a
            function of the request that returns either.
        shown_after: How many status answers of a started job look like a job never started.
        running_for: How many status answers after those say IN_PROGRESS.
        file_input: Whether the one input is a file.
        signed: What `X-Amz-SignedHeaders` says.
        put_delay: Seconds that storage takes for an answer.
    """

    def __init__(
        self,
        script: dict[str, list[Any]] | None = None,
        *,
        shown_after: int = 0,
        running_for: int = 0,
        file_input: bool = False,
        signed: str = "host",
        put_delay: float = 0.0,
    ) -> None:
        self.script = {name: list(acts) for name, acts in (script or {}).items()}
        self.seen: list[Seen] = []
        self.jobs: dict[str, Job] = {}
        self.stored: dict[str, bytes] = {}
        self.puts_now = self.most_puts = 0
        self.open_slots = self.most_open_slots = 0
        self.connections = 0
        self.service_key = KEY
        self._shown_after = shown_after
        self._running_for = running_for
        self._file_input = file_input
        self._signed = signed
        self._put_delay = put_delay
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._again: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reopening:
            await self._reopening
        await self._stop_listening()
        tasks = list(self._open)
        for task in tasks:
            self._open[task].transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def counts(self) -> Counter[str]:
        """Requests per operation."""
        return Counter(seen.operation for seen in self.seen)

    @property
    def executed_twice(self) -> list[str]:
        return [job_id for job_id, job in self.jobs.items() if job.executions > 1]

    def of(self, operation: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.operation == operation]

    async def refuse_for(self, seconds: float) -> None:
        """Close every connection and the port; listen again after a while."""
        await self._stop_listening()

        async def again() -> None:
            await asyncio.sleep(seconds)
            await self._listen()

        self._reopening = asyncio.get_running_loop().create_task(again())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, limit=2**20)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            del self._open[task]
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        operation, argument = _route(method, target)
        putting = operation == "put"
        if putting:
            self.puts_now += 1
            self.most_puts = max(self.most_puts, self.puts_now)
        try:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            seen = Seen(operation, method, target, headers, body)
            self.seen.append(seen)
            if putting and self._put_delay:
                await asyncio.sleep(self._put_delay)
            acts = self.script.get(operation)
            act = acts.pop(0) if acts else OK
            if callable(act):
                act = act(seen)
            if asyncio.iscoroutine(act):
                act = await act
            return await self._act(act, seen, argument, writer)
        finally:
            self.puts_now -= putting

    async def _act(self, act: Any, seen: Seen, argument: str, writer: asyncio.StreamWriter) -> bool:
        if isinstance(act, Reply):
            if act.obeyed:
                self._obey(seen, argument)
            writer.write(act.to_bytes())
            await writer.drain()
            return True
        if act in {RESET_BEFORE, RESET_AFTER, CLOSE_BEFORE}:
            if act == RESET_AFTER:
                self._obey(seen, argument)
            if act != CLOSE_BEFORE:
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            writer.transport.abort()
            return False
        if act in {HANG_BEFORE, HANG_AFTER}:
            if act == HANG_AFTER:
                self._obey(seen, argument)
            await asyncio.Event().wait()
        obeyed = act in {OK, TRUNCATED, CUT_JSON}
        reply = self._obey(seen, argument) if obeyed else said(201, success=True, message="started")
        if act in {TRUNCATED, TRUNCATED_BEFORE}:
            writer.write(reply.to_bytes(cut=len(reply.body) // 2))
            await writer.drain()
            return False
        if act in {CUT_JSON, CUT_JSON_BEFORE}:
            reply = Reply(reply.status, reply.body[: len(reply.body) // 2], reply.headers)
        writer.write(reply.to_bytes())
        await writer.drain()
        return True

    def _obey(self, seen: Seen, argument: str) -> Reply:
        return getattr(self, f"_{seen.operation}")(seen, argument)

    def _workflow(self, _: Seen, argument: str) -> Reply:
        kind = "file" if self._file_input else "str"
        name = "workflow_input_handmade1"
        variable = {"variable_name": name, "display_name": "Input", "type": kind, "is_nullable": False}
        return said(200, workflowId=argument, name="By hand", jobPayloadSchema={name: variable})

    def _initiate(self, seen: Seen, _: str) -> Reply:
        job_id = f"job-{len(self.jobs) + 1}"
        self.jobs[job_id] = Job(seen.json)
        return said(201, **{"caseId" if seen.of_v1 else "jobExecutionId": job_id})

    def _presign(self, seen: Seen, _: str) -> Reply:
        number = len(self.of("presign"))
        extension = seen.json["fileExtension"]
        self.open_slots += 1
        self.most_open_slots = max(self.most_open_slots, self.open_slots)
        query = "&".join(
            (
                "X-Amz-Algorithm=AWS4-HMAC-SHA256",
                "X-Amz-Credential=AKIA%2F20260101",
                f"X-Amz-SignedHeaders={self._signed.replace(';', '%3B')}",
                f"X-Amz-Signature={number:064x}",
            )
        )
        url = f"{self.base_url}/bucket/file-{number}{extension}?{query}"
        return said(201, presignedUrl=url, fileUrl=f"https://files.opus.com/media/file-{number}{extension}")

    def _put(self, seen: Seen, _: str) -> Reply:
        self.stored[seen.target.partition("?")[0].rpartition("/")[2]] = seen.body
        self.open_slots -= 1
        return Reply(200)

    def _download(self, seen: Seen, _: str) -> Reply:
        name = seen.json["fileUrl"].rpartition("/")[2]
        if name not in self.stored:
            return said(404, statusCode=404, message="File not found")
        query = f"X-Amz-SignedHeaders=host&X-Amz-Signature={len(self.of('download')):064x}"
        return said(
            201,
            presignedUrl=f"{self.base_url}/bucket/{name}?{query}",
            fileUrl=seen.json["fileUrl"],
            contentType="text/plain",
            contentLength=len(self.stored[name]),
        )

    def _get(self, seen: Seen, _: str) -> Reply:
        return Reply(200, self.stored[seen.target.partition("?")[0].rpartition("/")[2]])

    def _execute(self, seen: Seen, _: str) -> Reply:
        job = self.jobs[seen.job_id]
        job.executions += 1
        job.inputs = {name: entry["value"] for name, entry in seen.payload.items()}
        return said(201, success=True, message="Job execution has been started")

    def _status(self, _: Seen, argument: str) -> Reply:
        job = self.jobs[argument]
        if not job.executions:
            return said(200, status="PENDING")
        job.looks += 1
        if job.looks <= self._shown_after:
            return said(200, status="PENDING")
        running = job.looks <= self._shown_after + self._running_for
        return said(200, status="IN_PROGRESS" if running else "COMPLETED")

    def _audit(self, _: Seen, argument: str) -> Reply:
        job = self.jobs[argument]
        ran = job.executions and job.looks > self._shown_after
        return said(200, nb_nodes=1, executed_nodes=["Input"] if ran else [], failed_nodes=[], audit={})

    def _results(self, _: Seen, argument: str) -> Reply:
        value = next(iter(self.jobs[argument].inputs.values()))
        output = {"value": sha256(str(value).encode()), "type": "str", "displayName": "SHA-256"}
        return said(200, jobResultsPayloadSchema={"workflow_output_handmade1": output})

    def _unknown(self, seen: Seen, _: str) -> Reply:
        return said(404, statusCode=404, message=f"Cannot {seen.method} {seen.target}")


def _route(method: str, target: str) -> tuple[str, str]:
    for operation, pattern in _ROUTES:
        found = pattern.match(f"{method} {target}")
        if found:
            return operation, found.groupdict().get("id") or ""
    return "unknown", ""
