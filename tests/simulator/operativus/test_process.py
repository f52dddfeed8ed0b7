"""The simulated Operativus as a process: its lines, its options, what it is told, and the pytest fixture."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import aiohttp
import pytest

from opus_async.simulator import (
    OperativusConfig,
    ScriptedSimulator,
    Simulator,
    SimulatorConfig,
    SimulatorProcess,
)
from opus_async.simulator.cli import _configure, build_parser, main
from opus_async.simulator.operativus.options import SETTINGS
from opus_async.simulator.operativus.traits import FORMS, TRAITS

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = "/api/v1/workflows"


def call(server, method, path, body=None):
    """Send one request without an event loop; return what was answered."""
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(server.base_url + path, data, headers, method=method)) as answer:
        return json.load(answer)


def make(server, *agents):
    workflow_id = call(server, "POST", WORKFLOWS, {"name": "W"})["id"]
    for agent in agents:
        call(server, "POST", f"{WORKFLOWS}/{workflow_id}/steps", {"agentId": agent, "stepOrder": 0})
    return workflow_id


@pytest.fixture(scope="module")
def simulator():
    config = SimulatorConfig(run_time=0, operativus=OperativusConfig(queue_tick=0, rate_limit=None))
    with ScriptedSimulator(config) as process:
        yield process


def test_operativus_process_counts_and_obeys(simulator):
    server = simulator.operativus
    workflow_id = make(server, "finance_agent", "assistant")
    server.fail_next(workflow_id, error="out of paper")
    server.pause_next(workflow_id)
    sessions = [call(server, "POST", f"{WORKFLOWS}/{workflow_id}/run", {})["sessionId"] for _ in range(2)]
    rows = call(server, "GET", f"{WORKFLOWS}/{workflow_id}/runs")["content"]
    assert {row["sessionId"]: row["status"] for row in rows} == {
        sessions[0]: "FAILED",
        sessions[1]: "COMPLETED",
    }
    assert server.session(sessions[0])["rows"][0]["outputs"] == ["[finance_agent] ", None]
    stats = server.stats()
    assert (stats["starts"], stats["started_twice"], stats["requests"]["run"]) == (2, [], 2)
    server.delay_next(workflow_id, 3600)
    call(server, "POST", f"{WORKFLOWS}/{workflow_id}/run", {})
    assert server.stats()["runs"]["RUNNING"] == 1
    server.restart_server()
    with pytest.raises(ValueError, match="times must lie between"):
        server.fail_next(workflow_id, times=0)
    server.pause_next(workflow_id)
    simulator.reset()
    call(server, "POST", f"{WORKFLOWS}/{workflow_id}/run", {})
    assert "PAUSED" not in server.stats()["runs"]


def test_operativus_process_logs_its_users_in(simulator):
    server = simulator.operativus
    told = call(server, "POST", "/api/auth/login", {"username": server.username, "password": server.password})
    assert told["username"] == "admin"


def test_operativus_process_that_is_not_scripted_is_told_nothing():
    with SimulatorProcess(SimulatorConfig(operativus=OperativusConfig())) as process:
        assert process.operativus.stats()["starts"] == 0
        with pytest.raises(RuntimeError, match="use a ScriptedSimulator"):
            process.operativus.reset()


async def test_operativus_is_not_there_unless_it_is_asked_for():
    async with Simulator() as simulator:
        with pytest.raises(RuntimeError, match="there is no Operativus"):
            _ = simulator.operativus


async def test_operativus_and_opus_share_a_process_and_no_counters():
    config = SimulatorConfig(operativus=OperativusConfig())
    async with Simulator(config) as simulator, aiohttp.ClientSession() as session:
        async with session.get(f"{simulator.operativus.base_url}{WORKFLOWS}") as answer:
            assert answer.status == 401
        assert simulator.operativus.stats()["answers"] == {"401": 1}
        assert simulator.state()["counters"]["answers"] == {}


def test_operativus_command_exports_url_and_token_for_a_shell_and_a_command():
    program = (
        "import os, json, urllib.request as u\n"
        "url = os.environ['OPERATIVUS_BASE_URL'] + '/api/v1/workflows'\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['OPERATIVUS_TOKEN']}\n"
        "print(json.load(u.urlopen(u.Request(url, headers=headers))))"
    )
    words = [
        sys.executable,
        "-m",
        "opus_async.simulator",
        "--operativus-port",
        "0",
        "--operativus-form=documented",
    ]
    done = subprocess.run(
        [*words, "--", sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'content': [], 'totalElements': 0, 'totalPages': 0, 'number': 0}\n"
    exported = [line.partition("=")[0] for line in done.stderr.splitlines() if line.startswith("export ")]
    assert exported == [
        "export OPUS_SERVICE_KEY",
        "export OPUS_BASE_URL",
        "export OPERATIVUS_BASE_URL",
        "export OPERATIVUS_TOKEN",
    ]
    assert "# user of Operativus: admin, password " in done.stderr


@pytest.mark.parametrize(
    "config",
    [
        OperativusConfig(),
        OperativusConfig(
            port=0,
            form="documented",
            traits=frozenset({"routers_on", "human_review"}),
            queue_jobs=7,
            queue_tick=0.25,
            restart_after=3.5,
            restarts=4,
            running_expiry=60.0,
            pause_expiry=61.0,
            token_life=62.0,
            rate_limit=None,
            login_limit=None,
            agents=("mine", "yours"),
            old_runs=8,
        ),
    ],
    ids=["default", "everything"],
)
def test_operativus_config_survives_the_command_line(config):
    arguments = SimulatorConfig(operativus=config, traits=frozenset({"numeric_ids"})).to_arguments()
    parsed = _configure(build_parser().parse_args(arguments))
    assert parsed.operativus == config
    assert parsed.traits == {"numeric_ids"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trait", "routers_on"], "the trait 'routers_on' is of Operativus: add --operativus-port 0"),
        (["--operativus-port", "99999"], "must lie between"),
        (["--operativus-port", "0", "--operativus-queue", "0/1s"], "must take at least one job"),
        (["--operativus-port", "0", "--operativus-set", "rate-limit=-1"], "rate_limit must be more than 0"),
        (["--operativus-port", "0", "--operativus-set", "old-runs=-1"], "old_runs must be 0 or more"),
    ],
)
def test_operativus_command_reports_wrong_use(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("queue", value) for value in ("five/30s", "5", "5/soon", "/30s")),
        *(("set", value) for value in ("restarts", "restarts=many", "token-life=1-2", "rate=1", "")),
    ],
)
def test_operativus_command_refuses_a_value_that_it_cannot_read(capsys, option, value):
    with pytest.raises(SystemExit) as caught:
        main(["--operativus-port", "0", f"--operativus-{option}", value])
    assert caught.value.code == 2
    assert f"--operativus-{option}" in capsys.readouterr().err


def test_operativus_traits_are_listed(capsys):
    assert main(["--list-traits"]) == 0
    said = capsys.readouterr().out
    assert "traits of Operativus:" in said
    assert all(f"  {name}" in said for name in (*TRAITS, *SETTINGS))
    with pytest.raises(ValueError, match="unknown form"):
        OperativusConfig(form="odd")
    assert set(FORMS) == {"real", "documented"}


def test_operativus_port_in_use_is_reported(capsys):
    with SimulatorProcess(SimulatorConfig(operativus=OperativusConfig())) as process:
        port = process.operativus.base_url.rpartition(":")[2]
        assert main(["--operativus-port", port]) == 2
    assert "choose another one for the operativus" in capsys.readouterr().err


async def test_operativus_process_outlives_its_clients():
    config = SimulatorConfig(run_time=0.1, operativus=OperativusConfig(queue_tick=0.05))
    async with SimulatorProcess(config) as process:
        server = process.operativus
        workflow_id = await asyncio.to_thread(make, server, "finance_agent")
        program = (
            "import os, signal, sys, json, urllib.request as u\n"
            "url, token = sys.argv[1:]\n"
            "headers = {'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json'}\n"
            'u.urlopen(u.Request(url, b\'{"sessionId": "mine"}\', headers))\n'
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        words = [
            sys.executable,
            "-c",
            program,
            f"{server.base_url}{WORKFLOWS}/{workflow_id}/run",
            server.token,
        ]
        killed = await asyncio.create_subprocess_exec(*words)
        assert await killed.wait() == -9
        assert (await asyncio.to_thread(server.session, "mine"))["starts"] == 1


PLUGIN = """
import json
from urllib.request import Request, urlopen


def call(server, path, body=None):
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    return json.load(urlopen(Request(server.base_url + "/api/v1/workflows" + path, data, headers)))


def test_a_says(operativus_simulator):
    call(operativus_simulator, "", {"id": "mine", "name": "Mine"})
    call(operativus_simulator, "/mine/steps", {"agentId": "assistant", "stepOrder": 1})
    operativus_simulator.pause_next("mine", times=2)


def test_b_is_not_told(operativus_simulator):
    call(operativus_simulator, "/mine/run", {"sessionId": "s"})
    rows = []
    while not rows or rows[0]["status"] == "RUNNING":
        rows = operativus_simulator.session("s")["rows"]
    assert rows[0]["status"] == "COMPLETED"
    assert operativus_simulator.stats()["started_twice"] == []
"""


def test_operativus_fixture_forgets_scripts_after_each_test(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (tmp_path / "test_it.py").write_text(PLUGIN)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
    done = subprocess.run(
        [sys.executable, *words, "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout
