"""Runs the Python blocks of a page, one after the other, for ``tests/docs/test_code.py``.

A block with ``await`` outside of a function is run as a notebook runs a cell: in the event loop and with the
names of those before it. Any other is a program, which begins with nothing.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import sys
import traceback

sys.path[0] = ""  # what is imported lies in the current folder, as for whoever types these lines
NAMES: dict[str, object] = {"__name__": "__main__"}


def run(runner: asyncio.Runner, where: str, code: str) -> int:
    compiled = compile(code, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    try:
        if compiled.co_flags & inspect.CO_COROUTINE:
            runner.run(eval(compiled, NAMES))
        else:
            exec(compiled, {"__name__": "__main__"})
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told to the test, whatever it is
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    answers = sys.stdout
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            block = json.loads(line)
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(runner, block["where"], block["code"])
            print(json.dumps([code, out.getvalue(), err.getvalue()]), file=answers, flush=True)


main()
