"""An Opus to run against: a strict server on loopback that computes its results from the bytes it received.

An Operativus stands beside it where a configuration says so (``SimulatorConfig(operativus=...)``).

`Simulator` runs it in the current event loop, `SimulatorProcess` in a process of its own, `ScriptedSimulator`
there too and as a test says, `opus-async simulate` on the command line. It shares no code with the client:
the same mistake would hide on both sides. Nothing here may import anything of `opus_async` but this package.
`README.md` says what each module is for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opus_async.simulator.config import SimulatorConfig
    from opus_async.simulator.faults import PROFILES
    from opus_async.simulator.operativus.access import OperativusAccess
    from opus_async.simulator.operativus.config import OperativusConfig
    from opus_async.simulator.process import SimulatorProcess, SimulatorStartError
    from opus_async.simulator.scripted import ScriptedSimulator
    from opus_async.simulator.server import PortTaken, Simulator
    from opus_async.simulator.traits import TRAITS
    from opus_async.simulator.workflow_file import WorkflowFileError

__all__ = [
    "PROFILES",
    "TRAITS",
    "OperativusAccess",
    "OperativusConfig",
    "PortTaken",
    "ScriptedSimulator",
    "Simulator",
    "SimulatorConfig",
    "SimulatorProcess",
    "SimulatorStartError",
    "WorkflowFileError",
]

_HOMES = {
    "PROFILES": "faults",
    "TRAITS": "traits",
    "OperativusAccess": "operativus.access",
    "OperativusConfig": "operativus.config",
    "PortTaken": "server",
    "ScriptedSimulator": "scripted",
    "Simulator": "server",
    "SimulatorConfig": "config",
    "SimulatorProcess": "process",
    "SimulatorStartError": "process",
    "WorkflowFileError": "workflow_file",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
