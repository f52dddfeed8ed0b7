"""A simulated Operativus for tests of the command line: the environment that leads there, workflows in it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from opus_async.simulator import OperativusConfig, SimulatorConfig, SimulatorProcess

WORKFLOWS = "/api/v1/workflows"
APPROVAL = ("finance_agent", "approval_agent", "writer_agent")
"""Agents of a workflow whose runs wait for a person at their second step."""
FAILING = ("finance_agent", "failing_agent")


def config(**changes: Any) -> SimulatorConfig:
    """A server that does not make a test wait, and has no limits."""
    operativus = OperativusConfig(
        queue_jobs=50, queue_tick=0.1, rate_limit=None, login_limit=None, **changes.pop("operativus", {})
    )
    return SimulatorConfig(**{"run_time": 0.1, **changes}, operativus=operativus)


def leading_to_operativus(process: SimulatorProcess) -> dict[str, str]:
    return {
        "OPERATIVUS_BASE_URL": process.operativus.base_url,
        "OPERATIVUS_TOKEN": process.operativus.token,
    }


def asked(to: dict[str, str], method: str, path: str, body: Any = None) -> Any:
    """What the server answers to the admin, past our client."""
    request = Request(
        to["OPERATIVUS_BASE_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {to['OPERATIVUS_TOKEN']}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=10) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def workflow(to: dict[str, str], *agents: str, name: str = "Briefing", action: str = "AGENT") -> str:
    """Make a workflow with a step for each agent; returns its id."""
    made = asked(to, "POST", WORKFLOWS, {"name": name})
    for place, agent in enumerate(agents or ("finance_agent", "writer_agent"), 1):
        step = {"agentId": agent, "action": action, "stepOrder": place}
        asked(to, "POST", f"{WORKFLOWS}/{made['id']}/steps", step)
    return str(made["id"])


def steps(to: dict[str, str], workflow_id: str) -> list[tuple[str, str]]:
    """Agent and action of each step, in order."""
    found = asked(to, "GET", f"{WORKFLOWS}/{workflow_id}/steps")
    return [(step["agentId"], step["action"]) for step in sorted(found, key=lambda step: step["stepOrder"])]


def runs(to: dict[str, str], workflow_id: str) -> list[dict[str, Any]]:
    """The runs of a workflow, newest first."""
    return asked(to, "GET", f"{WORKFLOWS}/{workflow_id}/runs?size=200")["content"]


def inputs(home: Path, count: int, *, name: str = "texts.csv") -> str:
    """A manifest of texts that differ, with keys."""
    rows = "".join(f"k{number},text {number}\n" for number in range(count))
    (home / name).write_text("key,input\n" + rows)
    return name


def script(home: Path, source: str, *, name: str = "answer.py") -> str:
    """A program of Python, as ``--on-pause`` names it."""
    (home / name).write_text(source)
    return shlex.join([sys.executable, str(home / name)])
