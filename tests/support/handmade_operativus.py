"""An Operativus made by hand, for one workflow: it misbehaves exactly as told.

Where the simulator draws its faults, a script here names them: for each operation a list of acts, the first
for the first request; what is not scripted goes well. A run has its row when a test shows it.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import web

WORKFLOW = "wf_handmade"
TOKEN = "eyJhbGciOiJub25lIn0.c3ludGhldGljLXRva2VuLTAwMDE.c2lnbmF0dXJlMDAwMQ"
USERNAME, PASSWORD = "operator", "correct-horse-battery-staple"

RESET_BEFORE = "reset before"
RESET_AFTER = "reset after"
HANG_BEFORE = "hang before"
HANG_AFTER = "hang after"
OK = "ok"

_NO_LINGER = struct.pack("ii", 1, 0)
_BASE = "/api/v1/workflows"
_ROUTES = (
    ("login", "POST", "/api/auth/login"),
    ("session_runs", "GET", "/api/sessions/([^/]+)/runs"),
    ("job", "GET", "/api/jobs/([^/]+)"),
    ("resume", "POST", f"{_BASE}/runs/([^/]+)/resume"),
    ("route_options", "GET", f"{_BASE}/runs/([^/]+)/route-options"),
    ("node_runs", "GET", f"{_BASE}/runs/([^/]+)/node-runs"),
    ("cancel", "DELETE", f"{_BASE}/runs/([^/]+)"),
    ("run", "POST", f"{_BASE}/([^/]+)/run"),
    ("runs", "GET", f"{_BASE}/([^/]+)/runs"),
    ("add_step", "POST", f"{_BASE}/([^/]+)/steps"),
    ("steps", "GET", f"{_BASE}/([^/]+)/steps"),
    ("update_step", "PATCH", f"{_BASE}/[^/]+/steps/([^/]+)"),
    ("remove_step", "DELETE", f"{_BASE}/[^/]+/steps/([^/]+)"),
    ("clone", "POST", f"{_BASE}/([^/]+)/clone"),
    ("workflow", "GET", f"{_BASE}/([^/]+)"),
    ("update", "PATCH", f"{_BASE}/([^/]+)"),
    ("delete", "DELETE", f"{_BASE}/([^/]+)"),
    ("create", "POST", _BASE),
    ("workflows", "GET", _BASE),
)
_BEGAN = datetime(2026, 5, 6, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Reply:
    """An answer as it goes out; `obeyed` tells whether the request took effect before."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    obeyed: bool = False


def problem(status: int, detail: str = "", /, *, obeyed: bool = False, **fields: Any) -> Reply:
    body = {"type": "about:blank", "title": "Problem", "status": status, "detail": detail, **fields}
    return Reply(status, body, (("Content-Type", "application/problem+json"),), obeyed)


def page_of_html(status: int, *, obeyed: bool = False) -> Reply:
    return Reply(status, f"<html><body><h1>{status}</h1></body></html>", obeyed=obeyed)


@dataclass(eq=False)
class Seen:
    operation: str
    argument: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HandmadeOperativus:
    """Use it as an asynchronous context manager.

    Args:
        script: Operation -> acts, in the order of its requests: one of the texts above, a `Reply`, or a
            function of the request that returns either.
        documented: Whether pages and rows have the documented form.
        page_cap: Rows of a page at the most, whatever is asked for.
        shows: What becomes of an order: the status of the row that shows at once; None shows none.
    """

    def __init__(
        self,
        script: dict[str, list[Any]] | None = None,
        *,
        documented: bool = False,
        page_cap: int = 200,
        shows: str | None = "COMPLETED",
    ) -> None:
        self.script = {name: list(acts) for name, acts in (script or {}).items()}
        self.documented = documented
        self.page_cap = page_cap
        self.shows = shows
        self.tokens = {TOKEN}
        self.seen: list[Seen] = []
        self.rows: list[dict[str, Any]] = []
        """Newest first."""
        self.orders: Counter[str] = Counter()
        """Orders that took effect, per session."""
        self.resumed: list[tuple[str, str]] = []
        self.steps: list[dict[str, Any]] = [
            {"id": "step_1", "workflowId": WORKFLOW, "stepOrder": 1, "agentId": "writer", "action": "Write."}
        ]
        self.before_page: Callable[[int], None] = lambda _: None
        """Called before a page of runs is given out, with its number."""
        self.on_order: Callable[[str], None] = self._show_at_once
        self._closing = asyncio.Event()
        self._made = 0
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.base_url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        self._closing.set()
        await self._runner.cleanup()

    @property
    def counts(self) -> Counter[str]:
        """Requests per operation."""
        return Counter(seen.operation for seen in self.seen)

    @property
    def ordered_twice(self) -> list[str]:
        return [session for session, orders in self.orders.items() if orders > 1]

    def of(self, operation: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.operation == operation]

    def show(self, session: str, status: str = "COMPLETED", **fields: Any) -> dict[str, Any]:
        """Let a row appear, above all others."""
        self._made += 1
        row = {
            "id": f"run_{self._made:05d}",
            "workflowId": WORKFLOW,
            "sessionId": session,
            "status": status,
            "createdAt": (_BEGAN + timedelta(seconds=self._made)).isoformat().replace("+00:00", ""),
            **fields,
        }
        self.rows.insert(0, row)
        return row

    def row_of(self, session: str) -> dict[str, Any]:
        """The newest row of a session."""
        return next(row for row in self.rows if row["sessionId"] == session)

    def _show_at_once(self, session: str) -> None:
        if self.shows is not None:
            self.show(session, self.shows)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        operation, argument = _route(request.method, request.path)
        body = await request.read()
        seen = Seen(
            operation,
            argument,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            body,
            asyncio.get_running_loop().time(),
        )
        self.seen.append(seen)
        acts = self.script.get(operation)
        act = acts.pop(0) if acts else OK
        if callable(act):
            act = act(seen)
        if asyncio.iscoroutine(act):
            act = await act
        if isinstance(act, Reply):
            if act.obeyed:
                self._obey(seen)
            return _response(act)
        if act in {RESET_AFTER, HANG_AFTER}:
            self._obey(seen)
        if act in {RESET_BEFORE, RESET_AFTER}:
            assert request.transport is not None
            raw = request.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            request.transport.abort()
            return web.Response()
        if act in {HANG_BEFORE, HANG_AFTER}:
            await self._closing.wait()
            return web.Response()  # nobody is there: aiohttp ends no handler whose client has left
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if operation != "login" and token not in self.tokens:
            return _response(Reply(401, {"timestamp": "now", "status": 401, "error": "Unauthorized"}))
        return _response(self._obey(seen))

    def _obey(self, seen: Seen) -> Reply:
        answer = getattr(self, f"_{seen.operation}", None)
        return Reply(404) if answer is None else answer(seen)

    def _login(self, seen: Seen) -> Reply:
        if seen.json != {"username": USERNAME, "password": PASSWORD}:
            return Reply(401, {"status": 401, "error": "Unauthorized", "path": "/api/auth/login"})
        token = f"eyJhbGciOiJub25lIn0.dG9rZW4tb2YtYS1sb2dpbg.{len(self.of('login')):08d}"
        self.tokens.add(token)
        return Reply(200, {"token": token, "type": "Bearer", "id": "u1", "username": USERNAME, "roles": []})

    def _workflow(self, seen: Seen) -> Reply:
        if seen.argument != WORKFLOW:
            return Reply(404)
        return Reply(200, {"id": WORKFLOW, "name": "By hand", "description": None, "stepCount": 1})

    def _workflows(self, _: Seen) -> Reply:
        return self._page([{"id": WORKFLOW, "name": "By hand"}], 0, 20)

    def _steps(self, seen: Seen) -> Reply:
        return Reply(200, self.steps if seen.argument == WORKFLOW else [])

    def _run(self, seen: Seen) -> Reply:
        session = seen.json["sessionId"]
        self.orders[session] += 1
        self.on_order(session)
        told = {"jobId": f"job_{len(self.seen)}", "workflowId": seen.argument, "sessionId": session}
        return Reply(202, told)

    def _runs(self, seen: Seen) -> Reply:
        number = int(seen.query.get("page", 0))
        size = min(int(seen.query.get("size", 20)), self.page_cap)
        self.before_page(number)
        return self._page([self._shaped(row) for row in self.rows], number, size)

    def _resume(self, seen: Seen) -> Reply:
        self.resumed.append((seen.argument, seen.json["output"]))
        return Reply(202, {"jobId": f"job_{len(self.seen)}", "runId": seen.argument})

    def _cancel(self, seen: Seen) -> Reply:
        return Reply(204 if any(row["id"] == seen.argument for row in self.rows) else 404)

    def _shaped(self, row: dict[str, Any]) -> dict[str, Any]:
        shaped = dict(row)
        if self.documented:
            shaped["createdAt"] += "Z"
            shaped["currentStepOrder"] = shaped.pop("lastStepOrder", None)
        return shaped

    def _page(self, rows: list[Any], number: int, size: int) -> Reply:
        content = rows[number * size : (number + 1) * size]
        counts = {"totalElements": len(rows), "totalPages": -(-len(rows) // size), "number": number}
        if self.documented:
            return Reply(200, {"content": content, **counts})
        return Reply(200, {"content": content, "page": {"size": size, **counts}})


def _route(method: str, path: str) -> tuple[str, str]:
    for operation, of_method, pattern in _ROUTES:
        found = re.fullmatch(pattern, path) if of_method == method else None
        if found is not None:
            return operation, found[1] if found.groups() else ""
    return "unknown", ""


def _response(reply: Reply) -> web.Response:
    headers = dict(reply.headers)
    if reply.body is None:
        return web.Response(status=reply.status, headers=headers)
    if isinstance(reply.body, str):
        return web.Response(status=reply.status, text=reply.body, content_type="text/html", headers=headers)
    headers.setdefault("Content-Type", "application/json")
    return web.Response(status=reply.status, body=json.dumps(reply.body).encode(), headers=headers)
