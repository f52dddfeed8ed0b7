"""The control channel of a simulator in a process of its own: its standard input and output.

A pipe that only the parent holds needs neither a port nor a password. Each line is a JSON object. The parent
sends commands with a number, ``{"id": 1, "do": "answer", ...}``, each answered by ``{"id": 1}`` or
``{"id": 1, "error": "..."}``; the simulator asks ``{"ask": 3, "workflow": "...", "inputs": {...}}`` for the
outputs of a run, and the parent sends the command ``reply`` for that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from opus_async.simulator.scripts import ScriptError

if TYPE_CHECKING:
    from opus_async.simulator.scripts import Scripts


class Control:
    """Follows the commands that come in on a pipe.

    Args:
        scripts: What is commanded.
        write: Writes bytes to the parent, at once.
        operativus: Tells the Operativus beside it an operation and its arguments; None where there is none.
    """

    def __init__(
        self,
        scripts: Scripts,
        write: Callable[[bytes], object],
        operativus: Callable[[str, dict[str, Any]], object] | None = None,
    ) -> None:
        self._scripts = scripts
        self._operativus = operativus
        self._write = write
        self._begun = b""
        scripts.ask = lambda number, workflow_id, inputs: self._send(
            {"ask": number, "workflow": workflow_id, "inputs": inputs}
        )

    def feed(self, piece: bytes) -> None:
        """Take bytes that came in; a command ends with its line."""
        *lines, self._begun = (self._begun + piece).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, command: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {"id": command["id"]}
        try:
            answer["value"] = self._do(command["do"], command)
        except ScriptError as error:
            answer["error"] = str(error)
        except Exception as error:  # noqa: BLE001 - unanswered, the test would hang
            answer["error"] = f"{type(error).__name__}: {error}"
        self._send(answer)

    def _do(self, what: str, given: Mapping[str, Any]) -> Any:
        scripts = self._scripts
        match what:
            case "answer":
                scripts.answer(given["workflow"], given["outputs"])
            case "ask":
                return scripts.answer_when_asked(given["workflow"])
            case "fail":
                scripts.fail_next(given["workflow"], given["times"], node=given["node"], error=given["error"])
            case "delay":
                scripts.delay_next(given["workflow"], given["seconds"], given["times"])
            case "pause":
                scripts.pause_next(given["workflow"], given["seconds"], given["times"])
            case "resume":
                return scripts.resume(given["job"])
            case "reply":
                scripts.reply(given["number"], given["outputs"], given["error"])
            case "reset":
                scripts.reset()
                self._steer_operativus("reset", {})
            case "operativus":
                self._steer_operativus(given["operation"], given["given"])
        return None

    def _steer_operativus(self, operation: str, given: dict[str, Any]) -> None:
        if self._operativus is not None:
            self._operativus(operation, given)

    def _send(self, message: Mapping[str, Any]) -> None:
        self._write(json.dumps(message).encode() + b"\n")
