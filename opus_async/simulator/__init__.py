"""An Opus to run against: a strict server on loopback that computes its results from the bytes it received.

`Simulator` runs it in the current event loop, `SimulatorProcess` in a process of its own, `opus-async
simulate` on the command line. It shares no code with the client: the same mistake would hide on both sides.
Nothing here may import anything of `opus_async` but this package.

    config             what a simulator is started with
    server, gate       two ports; what every API request passes
    v0, v1             the endpoints of the jobs API and of the cases API
    service            what is behind both of them
    schemas, reference   how a workflow is described, and the paths that always describe it as a graph
    validation, payload   what the vendor refuses
    workflows, builtin, workflow_file, catalogue   what can be run
    runs, results, audit   a job's life, derived from the clock
    statuses, audit_forms   how a status is said and an audit is written
    housekeeping, searching   detail, search, archive, duplicate, delete
    uploads, storage, sigv4, contents   presigned slots and what their bytes tell
    downloads, stored, generated   presigned GETs, and what they give back
    faults, breakage   what goes wrong, and how that looks on the wire
    callback_profiles, callback_plans, callbacks   what is posted to a callbackUrl, and how it is sent
    traits             named departures from the newest documentation
    state              what a test may see behind the API
    openapi            the description of the API, shipped and served
    process, cli       a process of its own
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opus_async.simulator.config import SimulatorConfig
    from opus_async.simulator.faults import PROFILES
    from opus_async.simulator.process import SimulatorProcess, SimulatorStartError
    from opus_async.simulator.server import PortTaken, Simulator
    from opus_async.simulator.traits import TRAITS
    from opus_async.simulator.workflow_file import WorkflowFileError

__all__ = [
    "PROFILES",
    "TRAITS",
    "PortTaken",
    "Simulator",
    "SimulatorConfig",
    "SimulatorProcess",
    "SimulatorStartError",
    "WorkflowFileError",
]

_HOMES = {
    "PROFILES": "faults",
    "TRAITS": "traits",
    "PortTaken": "server",
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
