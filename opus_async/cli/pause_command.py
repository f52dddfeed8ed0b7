"""Runs the program of ``--on-pause``, some at once; see :mod:`opus_async.cli.on_pause`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from opus_async.cli.tables import printable
from opus_async.text import elapsed

AT_ONCE = 8
"""Programs that run at once: a person, or a service behind them, answers no faster for more."""
MOST_BYTES = 1024 * 1024
"""Of a text: what is longer is no answer of a person, and not sent."""
_FIRST = 5
"""How often it is told in full that no text came."""
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
        self._unanswered = 0

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
                self._tell(f"run {run.get('id')} stays paused: the command of --on-pause {why}")
                return None

    def _tell(self, text: str) -> None:
        """Say that a run stays paused; of many, which are asked about again and again, now and then only."""
        self._unanswered += 1
        if self._unanswered <= _FIRST:
            self._say(text)
        elif str(self._unanswered).strip("0") == "1":
            self._say(f"{text}; that is the {self._unanswered:,}th time that no text came")

    async def _asked(self, given: bytes) -> str:
        loop = asyncio.get_running_loop()
        try:
            transport, program = await loop.subprocess_exec(_Program, *self._words, start_new_session=True)
        except OSError as error:
            raise _Unusable(f"cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(self._timeout):
                program.feed(given)
                await asyncio.shield(program.ended)
        except TimeoutError:
            raise _Unusable(f"took longer than {elapsed(self._timeout)}") from None
        finally:
            await _bury(transport, program)
        if program.wrote_too_much:
            raise _Unusable(f"wrote more than {MOST_BYTES:,} bytes")
        if code := transport.get_returncode():
            said = printable(program.stderr.decode(errors="replace").strip())[-_SHOWN:]
            how = f"failed ({_ending(code)})"
            raise _Unusable(f"{how}: {said}" if said else how)
        return _text_in(bytes(program.stdout))


class _Program(asyncio.SubprocessProtocol):
    """Collects what a program writes.

    The streams of :mod:`asyncio.subprocess` are not used: one that nobody reads to its end keeps the wait for
    a killed process waiting.

    Attributes:
        stdout: What it wrote there.
        stderr: What it wrote to that one.
        wrote_too_much: Whether it was given up for that.
        ended: Done when it is over and its streams are closed, or when it is given up.
        exited: Done when the program itself is over, whatever it has started.
        buried: Done when nothing is left of it.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.stdout, self.stderr = bytearray(), bytearray()
        self.wrote_too_much = False
        self.ended: asyncio.Future[None] = loop.create_future()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.buried: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def feed(self, given: bytes) -> None:
        """Write this on its stdin, and close that; it need not read it."""
        stdin = self._transport.get_pipe_transport(0) if self._transport else None
        if stdin is not None:
            with suppress(RuntimeError):  # uvloop's, of a program that has closed it already
                cast("asyncio.WriteTransport", stdin).write(given)  # uvloop's is none of asyncio's
            stdin.close()

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """It wrote something."""
        stream = self.stdout if fd == 1 else self.stderr
        stream += data if isinstance(data, bytes) else data.encode()
        if len(stream) > MOST_BYTES and not self.ended.done():
            self.wrote_too_much = True
            self.ended.set_result(None)

    def process_exited(self) -> None:
        """It is over, and its exit code is known."""
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """It has ended, and its streams are closed."""
        for future in (self.ended, self.buried):
            if not future.done():
                future.set_result(None)


async def _bury(transport: asyncio.SubprocessTransport, program: _Program) -> None:
    """Kill what still runs of a program, of what it has started, too, and wait until it is gone."""
    if not program.buried.done():
        with suppress(ProcessLookupError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
    await program.exited  # else closing would take its exit code from asyncio, which complains of that
    transport.close()
    await program.buried


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
