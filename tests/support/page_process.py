"""Runs the blocks of a page that have an ``await`` outside of a function, for ``tests/docs/test_code.py``.

As a notebook runs its cells: in one event loop, each with the names of those before it.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import json
import sys
import traceback

sys.path[0] = ""  # what is imported lies in the current folder, as for whoever types these lines
NAMES: dict[str, object] = {"__name__": "__main__"}


def run(runner: asyncio.Runner, where: str, code: str) -> int:
    try:
        runner.run(eval(compile(code, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), NAMES))
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
