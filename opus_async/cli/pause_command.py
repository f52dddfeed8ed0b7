"""Runs the program of ``--on-pause``, some at once; see :mod:`opus_async.cli.on_pause`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from opus_async.cli.tables import printable
from opus_async.errors import first_error
from opus_async.text import elapsed

AT_ONCE = 8
"""Programs that run at once: a person, or a service behind them, answers no faster for more."""
MOST_BYTES = 1024 * 1024
"""Of a text: what is longer is no answer of a person, and not sent."""
_SHOWN = 200
"""Characters of what a program complains of that are told."""


class _Unusable(Exception):
    """A command gave no text; the message says why."""


class PauseCommand:
    """Asks the user's program about one paused run after the other, some at once.

    Args:
        words: The program and its arguments.
        timeout: Seconds that it may take.
        say: Told in a sentence when a run stays paused.
    """

    def __init__(self, words: Sequence[str], *, timeout: float, say: Callable[[str], None]) -> None:
        self._words = tuple(words)
        self._timeout = timeout
        self._say = say
        self._free = asyncio.Semaphore(AT_ONCE)

    async def answer(self, run: Mapping[str, Any]) -> str | None:
        """The text for a run; None where the program gives none, which is told.

        Args:
            run: What the program gets, as JSON values; its ``id`` is how the run is named in messages.
        """
        given = json.dumps(run, ensure_ascii=False, default=str).encode()
        async with self._free:
            try:
                return await self._asked(given)
            except _Unusable as why:
                self._say(f"run {run.get('id')} stays paused: the command of --on-pause {why}")
                return None

    async def _asked(self, given: bytes) -> str:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            raise _Unusable(f"cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(self._timeout):
                text, complaint = await _talk(process, given)
        except TimeoutError:
            await _kill(process)
            raise _Unusable(f"took longer than {elapsed(self._timeout)}") from None
        except BaseException:
            await _kill(process)
            raise
        if process.returncode:
            said = printable(complaint.decode(errors="replace").strip())[-_SHOWN:]
            how = f"failed ({_ending(process.returncode)})"
            raise _Unusable(f"{how}: {said}" if said else how)
        return _text_in(text)


async def _talk(process: asyncio.subprocess.Process, given: bytes) -> tuple[bytes, bytes]:
    """Hand it the run; returns what it writes on stdout and stderr, once it has ended.

    Raises:
        _Unusable: It writes too much.
    """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_feed(process, given))
            text = group.create_task(_read(process.stdout))
            complaint = group.create_task(_read(process.stderr))
            group.create_task(process.wait())
    except ExceptionGroup as several:
        raise first_error(several) from None
    return text.result(), complaint.result()


async def _feed(process: asyncio.subprocess.Process, given: bytes) -> None:
    stdin = process.stdin
    if stdin is None:
        return
    with suppress(OSError):  # it need not read what it is given
        stdin.write(given)
        await stdin.drain()
    stdin.close()


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    pieces: list[bytes] = []
    while stream is not None and (piece := await stream.read(65536)):
        pieces.append(piece)
        if sum(map(len, pieces)) > MOST_BYTES:
            raise _Unusable(f"wrote more than {MOST_BYTES:,} bytes")
    return b"".join(pieces)


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill it, and what it has started and may hold its streams open, and wait for its end."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _ending(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _text_in(output: bytes) -> str:
    """The text without the line ends behind it.

    Raises:
        _Unusable: There is none, or it is no UTF-8.
    """
    try:
        text = output.decode()
    except UnicodeDecodeError:
        raise _Unusable("printed what is not UTF-8") from None
    text = text.rstrip("\r\n")
    if not text.strip():
        raise _Unusable("printed no text")
    return text
