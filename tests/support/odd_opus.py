"""An Opus on a raw socket whose answers about one row are odd, as told; all others are in order."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Self

FIELDS = {
    "n": {"variable_name": "n", "display_name": "Number", "type": "str", "is_nullable": False},
    "d": {"variable_name": "d", "display_name": "Document", "type": "file", "is_nullable": True},
}
Answer = tuple[int, Mapping[str, str], bytes]


class OddOpus:
    """Jobs that complete at once.

    Args:
        odd: Operation -> its answer about the odd row: ``initiate``, ``presign``, ``execute``, ``status``,
            ``results``, ``audit``; called with this server.
        row: The number of the odd row, in the order in which rows come.
    """

    def __init__(self, odd: Mapping[str, Callable[[OddOpus], Answer]], row: int) -> None:
        self.executed: Counter[int] = Counter()
        self.base_url = ""
        self._odd = odd
        self._row = row
        self._shells = itertools.count()
        self._connections: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split(" ", 2)
                headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                status, more, content = self._answer(method, path.partition("?")[0], body)
                lines = {"Content-Type": "application/json", "Content-Length": len(content), **more}
                text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{text}\r\n".encode() + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        operation, number = self._what(method, path, body)
        if number == self._row and operation in self._odd:
            return self._odd[operation](self)
        if operation == "nothing":
            said = "no such job" if path.endswith("/status") else f"Cannot {method} {path}"
            return 404, {}, json.dumps({"statusCode": 404, "message": said}).encode()
        return 200, {}, json.dumps(self._in_order(operation, number)).encode()

    def _what(self, method: str, path: str, body: bytes) -> tuple[str, int]:
        parts = path.strip("/").split("/")
        match (method, *parts):
            case ("GET", "workflow", _):
                return "workflow", -1
            case ("POST", "job", "initiate"):
                return "initiate", next(self._shells)
            case ("POST", "job", "file", "upload"):
                return "presign", int(json.loads(body)["originalName"].removesuffix(".txt"))
            case ("POST", "job", "execute"):
                return "execute", _number(json.loads(body)["jobExecutionId"])
            case ("GET", "job", job, operation) if job.startswith("job-"):
                return operation, _number(job)
        return "put" if method == "PUT" else "nothing", -1

    def _in_order(self, operation: str, number: int) -> Any:
        job = f"job-{number:06d}x"
        if operation == "execute":
            self.executed[number] += 1
        started = self.executed[number] > 0
        return {
            "workflow": {"name": "odd", "workspaceId": "w", "version": 1, "jobPayloadSchema": FIELDS},
            "initiate": {"jobExecutionId": job},
            "presign": {
                "presignedUrl": f"{self.base_url}/bucket/{number}",
                "fileUrl": f"{self.base_url}/files/{number}.txt",
            },
            "execute": {"success": True, "message": "Job Started"},
            "status": {"status": "COMPLETED" if started else "PENDING"},
            "results": {"jobExecutionId": job, "status": "COMPLETED", "results": {}},
            "audit": {"jobExecutionId": job, "audit": {"executed_nodes": ["a"] * started}},
        }.get(operation, {})


def _number(job: str) -> int:
    return int(job.removeprefix("job-").removesuffix("x"))
