"""The simulator as a process: its lines, its end, its command."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import late_connections
import pytest

from opus_async.simulator import Simulator, SimulatorConfig, SimulatorProcess, SimulatorStartError
from opus_async.simulator.cli import _configure, build_parser, main

ROOT = Path(__file__).resolve().parents[2]
MODULE = [sys.executable, "-m", "opus_async.simulator"]


def gone(pid):
    """Wait until a process that is not our child has ended; a zombie has."""
    descriptor = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    if descriptor is None:
        pytest.skip("needs pidfd_open")
    try:
        return bool(select.select([descriptor], [], [], 5)[0])
    finally:
        os.close(descriptor)


@pytest.fixture
def start():
    """Start the module with arguments; everything started is ended."""
    started = []

    def run(*arguments, **options):
        process = subprocess.Popen(
            [*MODULE, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def lines_until_ready(process):
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line == "# ready\n":
            break
    return lines


def test_simulator_process_serves_and_ends_within_a_second():
    with SimulatorProcess(SimulatorConfig(seed=4)) as simulator:
        assert simulator.service_key == SimulatorConfig(seed=4).service_key
        assert simulator.state()["simulator"]["seed"] == 4
        assert simulator.state(jobs="compact")["jobs"] == []
        assert os.getsid(simulator.pid) == simulator.pid
        pid, began = simulator.pid, time.monotonic()
    assert time.monotonic() - began < 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_simulator_process_works_as_async_context_manager():
    async with SimulatorProcess() as simulator, aiohttp.ClientSession() as session:
        url = simulator.base_url + "/workflow/T3xtOnlyWorkfl0w"
        async with session.get(url, headers={"x-service-key": simulator.service_key}) as answer:
            assert answer.status == 200


def test_simulator_process_that_cannot_start_raises_with_the_reason():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SimulatorStartError, match=rf"exit code 2: .*port {port} on 127.0.0.1 is in use"):
            SimulatorProcess(SimulatorConfig(port=port)).start()


def test_simulator_process_refuses_second_start():
    with SimulatorProcess() as simulator, pytest.raises(RuntimeError, match="running already"):
        simulator.start()


async def test_simulator_on_localhost_serves_127_0_0_1():
    async with Simulator(SimulatorConfig(host="localhost")) as simulator:
        assert simulator.base_url.startswith("http://127.0.0.1:")


def test_simulator_process_attributes_raise_if_not_running():
    simulator = SimulatorProcess()
    simulator.stop()
    for name in ("base_url", "service_key", "storage_url", "pid"):
        with pytest.raises(RuntimeError, match="not running"):
            getattr(simulator, name)


def test_simulator_config_survives_conversion_to_command_line_arguments(tmp_path):
    config = SimulatorConfig(
        host="::1",
        port=1,
        storage_port=2,
        workflow_files=("a.json", "b.json"),
        faults="storm",
        callbacks="mixed",
        seed=-3,
        run_time="lognormal:1.0,0.5",
        queue_time="0.1-0.2",
        capacity=3,
        fail_share=0.25,
        waiting_share=0.5,
        waiting_time=9.0,
        rate_limit=12.5,
        url_expiry=7,
        sign_content_type="alternate",
        max_file_size=99,
        callback_required=True,
        traits=frozenset({"numeric_ids"}),
        key="_key",
        keep_files=str(tmp_path),
        verbose=True,
    )
    parsed = _configure(build_parser().parse_args(config.to_arguments()))
    for name in SimulatorConfig.__slots__:
        given, read = getattr(config, name), getattr(parsed, name)
        assert str(read) == str(given) or read == given or name == "callback_required", name
    assert parsed.traits == {"numeric_ids", "callback_required"}


def test_simulator_command_prints_lines_that_a_shell_can_evaluate(start):
    process = start()
    lines = lines_until_ready(process)
    assert lines[0].startswith("export OPUS_SERVICE_KEY=_")
    assert lines[1].startswith("export OPUS_BASE_URL=http://127.0.0.1:")
    assert "# workflow B9uGJfZ3CFwOdMKH  All input types" in lines
    assert all(line.startswith(("export ", "# ")) for line in lines)
    shell = subprocess.run(
        ["sh", "-c", "\n".join(lines) + "\necho $OPUS_BASE_URL"], capture_output=True, text=True, check=True
    )
    assert shell.stdout.strip() == lines[1].partition("=")[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_simulator_command_ends_cleanly_on_sigint_and_sigterm_with_a_request_open(start, number):
    process = start()
    lines = lines_until_ready(process)
    host, port = lines[1].rpartition("/")[2].split(":")
    with (
        socket.create_connection((host, int(port))) as idle,
        socket.create_connection((host, int(port))) as open_,
    ):
        open_.sendall(
            f"POST /job/initiate HTTP/1.1\r\nHost: x\r\n{'x-service-key'}: {lines[0].partition('=')[2]}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        with urlopen(f"{lines[1].partition('=')[2]}/_simulator/state?jobs=0"):
            began = time.monotonic()
        process.send_signal(number)
        assert process.wait(5) == 0
        assert time.monotonic() - began < 1
        assert idle.recv(1) == b""
    assert process.stderr.read() == ""


def test_simulator_process_ends_when_its_parent_is_killed():
    program = (
        "import sys, time\nfrom opus_async.simulator import SimulatorProcess\n"
        "simulator = SimulatorProcess(); simulator.start()\n"
        "print(simulator.pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        pid = int(parent.stdout.readline())
        parent.kill()
        assert gone(pid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "not a loopback address"),
        (["--faults", "chaos"], "unknown fault profile"),
        (["--workflow", "/does/not/exist.json"], "No such file"),
        (["--run-time", "soon"], "not a duration"),
        (["--trait", "odd"], "unknown trait"),
    ],
)
def test_simulator_command_reports_wrong_use_in_one_line_with_exit_code_2(capsys, arguments, message):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("opus-async simulate: ")
    assert message in said.err


def test_simulator_command_reports_port_in_use_in_one_line_with_exit_code_2(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for option in ("--port", "--storage-port"):
            assert main([option, str(taken.getsockname()[1])]) == 2
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            assert "is in use" in said


def test_simulator_command_exits_2_on_unknown_option(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--nonsense"])
    assert caught.value.code == 2
    assert "--nonsense" in capsys.readouterr().err


def test_simulator_command_runs_child_with_environment_and_returns_its_exit_code(start):
    program = (
        "import os, sys, urllib.request\n"
        "url = os.environ['OPUS_BASE_URL'] + '/workflow/T3xtOnlyWorkfl0w'\n"
        "headers = {'x-service-key': os.environ['OPUS_SERVICE_KEY']}\n"
        "print(urllib.request.urlopen(urllib.request.Request(url, headers=headers)).status)\n"
        "sys.exit(7)"
    )
    process = start("--", sys.executable, "-c", program)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, "200\n")
    assert "export OPUS_BASE_URL=" in err
    assert err.endswith("# ready\n")


def test_simulator_command_exits_127_if_child_cannot_start(start):
    process = start("--", "/no/such/command", "--with", "arguments")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 127
    assert "cannot run /no/such/command: No such file or directory" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_simulator_command_passes_signals_on_to_child(start, number):
    program = (
        "import signal, sys\n"
        "def end(*_): print('told', flush=True); sys.exit(5)\n"
        f"signal.signal({int(number)}, end)\n"
        "print('up', flush=True)\nsignal.pause()\nsignal.pause()"
    )
    process = start("--", sys.executable, "-c", program, stdin=subprocess.DEVNULL)
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    assert process.wait(10) == 5
    assert process.stdout.read() == "told\n"


def test_simulator_command_exits_128_plus_signal_if_child_was_killed(start):
    process = start("--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert process.wait(20) == 128 + 9


@pytest.mark.parametrize("streams", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"])
@pytest.mark.parametrize(
    ("words", "code"), [("-- true", 0), ("-- false", 1), ("--port 99999999", 2), ("--fly", 2)]
)
def test_simulator_command_keeps_its_exit_code_whatever_becomes_of_its_streams(
    tmp_path, words, code, streams
):
    if "full" in streams and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    said = tmp_path / "said"
    shell = f"exec >{said} 2>&1; exec {' '.join(MODULE)} {words} {streams}"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, check=False)
    assert done.returncode == code
    assert "Traceback" not in said.read_text()
    assert "ignored" not in said.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", ["", "--list-traits"])
def test_simulator_command_that_can_tell_nobody_says_so(words):
    shell = f"exec {' '.join(MODULE)} {words} >/dev/full"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "opus-async simulate: [Errno 28] No space left on device\n"


async def test_simulator_log_shows_neither_query_nor_key(capsys):
    async with Simulator(SimulatorConfig(verbose=True)) as simulator, aiohttp.ClientSession() as session:
        url = f"{simulator.base_url}/workflow/T3xtOnlyWorkfl0w?secret=1"
        async with session.get(url, headers={"x-service-key": simulator.service_key}) as answer:
            await answer.read()
    logged = capsys.readouterr().err
    assert logged.startswith("GET /workflow/T3xtOnlyWorkfl0w 200 ")
    assert "secret" not in logged
    assert simulator.service_key not in logged


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"POST /job/initiate HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /job/initiate HTTP/1.1\r\nx-service-key: KEY\r\nContent-Length: 9\r\n\r\n{",
        b"POST /job/initiate HTTP/1.1\r\nx-service-key: KEY\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_simulator_log_omits_malformed_requests(caplog, sent):
    async with Simulator() as simulator:
        for url in (simulator.base_url, simulator.storage_url):
            host, port = url.rpartition("/")[2].split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent.replace(b"KEY", simulator.service_key.encode()))
            writer.write_eof()
            await reader.read()
            writer.close()
    assert caplog.records == []


async def test_simulator_stops_within_a_second_with_a_delayed_request_open(monkeypatch):
    from opus_async.simulator import PROFILES, fault_injection
    from opus_async.simulator.faults import SLOW, Profile, Rule

    monkeypatch.setitem(PROFILES, "slow", Profile("slow", "", {"workflow": (Rule(SLOW, 1.0),)}))
    monkeypatch.setattr(fault_injection, "LONGEST_DELAY", 3600.0)
    entered = asyncio.Event()
    delay = fault_injection.delay
    monkeypatch.setattr(fault_injection, "delay", lambda fault: (entered.set(), delay(fault))[1] + 60)
    async with aiohttp.ClientSession() as session:
        async with Simulator(SimulatorConfig(faults="slow")) as simulator:
            url = f"{simulator.base_url}/workflow/T3xtOnlyWorkfl0w"
            task = asyncio.create_task(session.get(url, headers={"x-service-key": simulator.service_key}))
            await entered.wait()
            began = time.monotonic()
        assert time.monotonic() - began < 1
        with pytest.raises(aiohttp.ClientError):
            await task


def test_simulator_imports_nothing_else_of_opus_async():
    program = (
        "import sys, pkgutil, importlib, opus_async.simulator as package\n"
        "for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "print(*(n for n in sys.modules if n.startswith('opus_async.') and '.simulator' not in n))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "opus_async._lazy\n"  # of the package itself, whose names are lazy


def test_simulator_package_exports_its_public_names():
    import opus_async.simulator as package

    assert all(getattr(package, name) for name in package.__all__)
    assert set(package.__all__) == set(package._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018 - the access is the test


@asynccontextmanager
async def simulating():
    async with Simulator(SimulatorConfig()) as simulator:
        yield int(simulator.base_url.rpartition(":")[2])


@pytest.mark.parametrize("steps", late_connections.STEPS)
async def test_connection_that_comes_as_the_simulator_stops_is_ended(steps):
    assert await late_connections.is_ended(simulating(), steps)
