"""How tests call the command line: as processes, with an environment and servers of their own."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import select
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from opus_async.cli import main
from opus_async.simulator import SimulatorProcess

HOME = Path(__file__).parents[2]
SECONDS = 60
WRONG_KEY = "_" + "0123456789abcdef" * 6


@dataclass(frozen=True)
class Said:
    """What a process said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    """Nothing of the developer's, warnings as errors, and the package of this tree."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONPATH": str(HOME), "PYTHONWARNINGS": "error", "COLUMNS": "100"} | more


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "opus_async", *map(str, words)]


def leading_to(process: SimulatorProcess) -> dict[str, str]:
    return {"OPUS_SERVICE_KEY": process.service_key, "OPUS_BASE_URL": process.base_url}


def called(*words: object, cwd: Path, env: dict[str, str], stdin: str = "") -> Said:
    """What ``main`` says in this process: without the half second that an interpreter and its imports take.

    Everything that it may change is put back: the folder, the environment, the streams, the log.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2))
    before = os.getcwd(), dict(os.environ), sys.stdin, sys.stdout, sys.stderr, sys.argv  # noqa: PTH109
    logger = logging.getLogger("opus_async")
    logged = logger.handlers[:], logger.level, logger.propagate
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment(**env))
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    sys.stdout, sys.stderr, sys.argv = out, err, ["opus_async", *map(str, words)]
    try:
        code = main([*map(str, words)])
    finally:
        sys.stdin, sys.stdout, sys.stderr, sys.argv = before[2:]
        os.environ.clear()
        os.environ.update(before[1])
        os.chdir(before[0])
        logger.handlers[:], logger.level, logger.propagate = logged
    return Said(code, *(_content(stream) for stream in (out, err)))


def _content(stream: io.TextIOWrapper) -> str:
    stream.flush()
    content: bytes = stream.buffer.getvalue()
    return content.decode()


class Terminal:
    """A pseudo-terminal, and what a program drew on it."""

    def __init__(self, *words, cwd, **env):
        self.parent, child = pty.openpty()
        self.process = subprocess.Popen(
            command(*words),
            cwd=cwd,
            env=environment(**{"TERM": "xterm-256color"} | env),
            stdin=child,
            stderr=child,
            stdout=child,
            start_new_session=True,
        )
        os.close(child)

    def read(self):
        drawn, deadline = b"", time.monotonic() + SECONDS
        while select.select([self.parent], [], [], max(deadline - time.monotonic(), 0))[0]:
            try:
                piece = os.read(self.parent, 65536)
            except OSError:  # Linux, when the other side has closed
                break
            if not piece:
                break
            drawn += piece
        os.close(self.parent)
        return drawn.decode(), self.process.wait(SECONDS)


def handler(answer, **headers):
    """A handler that answers with what ``answer(request)`` gives, a status and a body, and with headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answer(self)
            self.send_response_only(status)
            for name, value in {"Date": ago(0), "Content-Length": len(body), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def ago(hours):
    """A date as headers have it."""
    return format_datetime(datetime.now(UTC) - timedelta(hours=hours), usegmt=True)


@contextmanager
def serving(answer, *, context=None, **headers):
    """A server of ours in a thread; gives its port."""
    with HTTPServer(("127.0.0.1", 0), handler(answer, **headers)) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def at(port, scheme="http", host="127.0.0.1"):
    """The environment that leads there."""
    return {"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": f"{scheme}://{host}:{port}"}
