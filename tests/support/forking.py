"""Short processes that share one start: a program is imported once, and every call of it is a fork.

An interpreter that imports the package takes a third of a second of CPU, a fork a few milliseconds. The
program is a module of this folder with ``main(*words)``; each call is a process of its own, whose memory,
limits, environment and death concern no other.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self


class ForkServer:
    """A process that forks for each call it is asked for; use it as a context manager.

    Args:
        words: The script that the process runs, and its arguments. It answers a line with a line.
        env: Its environment; that of this process if None.
    """

    def __init__(self, *words: str, env: dict[str, str] | None = None) -> None:
        self._words = words
        self._env = env

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, *self._words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._env,
            start_new_session=True,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._server:
            self._server.stdin.close()

    def ask(self, what: Any, *, seconds: float) -> Any:
        """Send a value as JSON and return the answer; None where all was killed after ``seconds``."""
        self._server.stdin.write(json.dumps(what) + "\n")
        self._server.stdin.flush()
        timer = threading.Timer(seconds, os.killpg, (self._server.pid, 9))
        timer.start()
        answer = self._server.stdout.readline()
        timer.cancel()
        timer.join()
        return json.loads(answer) if answer else None


class ForkingProgram(ForkServer):
    """A program whose calls are forks of one process.

    Args:
        module: The name of the module in this folder.
    """

    def __init__(self, module: str) -> None:
        super().__init__(__file__, module)
        self._module = module

    def call(
        self, *words: object, env: dict[str, str] | None = None, seconds: float = 110
    ) -> subprocess.CompletedProcess[str]:
        """Run ``main(*words)`` and give its code and what it wrote; after ``seconds`` all is killed."""
        arguments = [str(word) for word in words]
        with tempfile.TemporaryDirectory() as folder:
            out, err = (Path(folder) / name for name in ("out", "err"))
            asked = {
                "words": arguments,
                "env": {**os.environ, **(env or {})},
                "out": str(out),
                "err": str(err),
            }
            code = self.ask(asked, seconds=seconds)
            assert code is not None, f"{self._module} {arguments}: no end within {seconds} s, or no server"
            return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _serve(main: Callable[..., Any]) -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(main, asked)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def _become(main: Callable[..., Any], asked: dict[str, Any]) -> None:
    code = 1
    try:
        for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
            with Path(asked[name]).open("wb") as file:
                os.dup2(file.fileno(), stream.fileno())
        os.environ.clear()
        os.environ.update(asked["env"])
        main(*asked["words"])
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends with it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(importlib.import_module(sys.argv[1]).main)
